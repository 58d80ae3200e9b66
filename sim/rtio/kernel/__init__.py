"""The host engine's front end: it types kernels as ARTIQ's compiler does and turns them into Python functions.

`program.py` is the entry. `types.py` and `solver.py` are the type algebra; `embed.py` gives types to host values;
`scope.py` finds names; `infer*.py` state ARTIQ's typing rules; `checks.py` holds the rejections that are not about
types; `codegen*.py` writes the Python; `numbers.py` is the arithmetic of the device; `rpc.py` crosses to the host and
back.
"""
