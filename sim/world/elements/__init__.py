"""Pieces of the lab that are not on the bus, one file per kind: see `element.py` and sim/world/README.md."""
