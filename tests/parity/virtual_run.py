"""Run an experiment as a compiled binary with every RTIO event written down: `virtual_run.py CPU FILE CLASS …`.

Real ARTIQ's own `artiq_run` compiles its kernels and sends them to a virtual core in the same process, at a loopback
address of its own: the port of a core device is fixed. CPU is the processor, `cortexa9` or `rv32g`; FILE is in the
working directory, beside device_db.py, which is changed to it. Instruments are opened over their twins in the virtual
core's lab, which needs no `atomlink lab` here: it is in this process. Leaves `trace.txt`, as traced_run.py does. With
LOOK_AT_IT in the environment somebody looks at every channel all the while, as MonInj does.
"""

import os
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from traced_run import run, trace_every_bus, write_trace

if TYPE_CHECKING:
    from sim.virtual_core.device import Device


def main(processor: str, file: str, class_name: str, arguments: list[str]) -> int:
    rows = Path("device_db.py")
    rows.write_text(rows.read_text().replace('"target": "cortexa9"', f'"target": "{processor}"'))
    buses = trace_every_bus()
    from sim.command.virtual_core import device_of, facts_of
    from sim.target import resolved
    from sim.virtual_core.server import Server

    facts = facts_of("", resolved(os.environ, {}))
    os.environ |= {"ATOMLINK_TARGET": "hardware", "ATOMLINK_ROWS_OF": str(facts["scenario"])}
    device = device_of(Path.cwd(), facts)
    pid = os.getpid()
    address = f"127.{10 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255 or 1}"
    server = Server(device, address, 1381)
    server.start()
    put_instruments_into(device)
    if "LOOK_AT_IT" in os.environ:
        threading.Thread(target=look, args=(device,), daemon=True).start()
    os.environ |= {"ATOMLINK_TARGET": "virtual", "ATOMLINK_CORE": address}
    try:
        code = run("artiq_run", file, class_name, arguments)
        assert "LOOK_AT_IT" not in os.environ or len(looks) > 100, f"looked at {len(looks)} times only"
        return code
    finally:
        server.close()
        write_trace(buses)


class InTurn:
    """The lab of a virtual core, as an instrument sees it: whoever asks one waits for a turn."""

    def __init__(self, device: "Device") -> None:
        self._device, self.world = device, device.core.world

    def sync(self) -> None:
        with self._device.turns.turn():
            self._device.core.sync()


def put_instruments_into(device: "Device") -> None:
    """Open the rows of instruments over their twins in the lab of a virtual core of this process."""
    from sim import target
    from sim.instruments import in_process

    opened, lab = in_process.open_row, InTurn(device)

    def open_row(dmgr: Any, **row: str) -> Any:
        return opened(SimpleNamespace(get=lambda _name: lab, virtual_devices=dmgr.virtual_devices), **row)

    in_process.open_row = open_row
    target._nowhere = target._in_process


looks: list[int] = []  # when


def look(device: "Device") -> None:
    places = [(destination << 16 | channel, 0) for destination in range(3) for channel in range(40)]
    while True:
        device.look(places, places)
        looks.append(device.counter)
        time.sleep(0.001)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
