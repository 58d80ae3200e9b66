"""Run one experiment with every RTIO event written down: `python traced_run.py MODE FILE CLASS [ARG=VALUE ...]`.

MODE is `artiq_run` (real ARTIQ's own command), `atomlink` (`atomlink run` on real ARTIQ's language and stock drivers)
or `pip` (`atomlink run` on the pip-only runtime, as where no ARTIQ is installed, even if one is). FILE is in the
working directory, beside device_db.py. Leaves `trace.txt`.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any


def use_the_pip_only_runtime() -> None:
    """Load our `artiq` although another may be installed: once loaded, its submodules are ours too."""
    from sim import artiq_runtime
    from sim.artiq_runtime.finder import SURFACE

    spec = importlib.util.spec_from_file_location(
        "artiq", SURFACE / "__init__.py", submodule_search_locations=[str(SURFACE)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["artiq"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["artiq"])
    artiq_runtime.install()


def trace_every_bus() -> list[Any]:
    """Put a recording bus into the simulated core; return the list of those that will have been made."""
    import sim.rtio.core as core
    from sim.rtio.trace import Trace

    made: list[Any] = []

    class TracedBus(core.Bus):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.trace = Trace(self, size=10_000_000)
            made.append(self)

    core.Bus = TracedBus  # type: ignore[misc]
    return made


def main(mode: str, file: str, class_name: str, arguments: list[str]) -> int:
    if mode == "pip":
        use_the_pip_only_runtime()
    buses = trace_every_bus()
    code = run(mode, file, class_name, arguments)
    write_trace(buses)
    return code


def write_trace(buses: list[Any]) -> None:
    """Write down what the buses had to do, and where cursor and counter are in the end."""
    import artiq

    with Path("trace.txt").open("w") as out:
        ours = getattr(artiq, "__host_runtime__", False)
        print("runtime", "pip-only" if ours else "real", file=out)
        for bus in buses:
            for event in bus.trace.events:
                print(event.t_mu, event.target, event.data, file=out)
            print("cursor", int(bus.now), "counter", int(bus.counter), file=out)


def run(mode: str, file: str, class_name: str, arguments: list[str]) -> int:
    """Run the experiment with the command that the mode asks for."""
    if mode == "artiq_run":
        from artiq.frontend import artiq_run

        sys.argv = ["artiq_run", "-c", class_name, "-o", "artiq_run.h5", file, *arguments]
        artiq_run.main()
        return 0
    from sim.cli import main as atomlink

    return atomlink(["run", file, "-c", class_name, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
