"""One controller for every instrument row of device_db.py: `aqctl_atomlink`, for ARTIQ's controller manager.

    aqctl_atomlink -p 3301 --bind ::1 --driver microwave --device TCPIP::192.168.1.81::5025::SOCKET alice_microwave

With `--simulation` the driver talks to the lab that `atomlink lab` keeps (ATOMLINK_LAB=HOST:PORT), else to a twin in
this process whose lab time is the wall clock's. sipyco's remote calls are no security boundary: bind to the
laboratory's own network. Source: sipyco's manual; ARTIQ's, "Writing a network device support package".
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from atomlink.errors import LabError
from drivers.controllers import Controller
from drivers.instruments import Instrument, driver_class, kinds
from sim.daemon.in_lab import open_at_lab
from sim.instruments.in_process import open_alone

DEFAULT_PORT = 3300


def get_argparser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with sipyco's options."""
    common = importlib.import_module("sipyco.common_args")
    parser = argparse.ArgumentParser(prog="aqctl_atomlink", description="ARTIQ controller of one atomlink instrument")
    parser.add_argument("name", metavar="NAME", help="the instrument's row of device_db.py")
    parser.add_argument("--driver", required=True, metavar="KIND", help=f"one of {', '.join(kinds())}")
    parser.add_argument("-d", "--device", required=True, metavar="ADDRESS", help="the instrument's address")
    parser.add_argument("--simulation", action="store_true", help="talk to the simulated instrument")
    common.simple_network_args(parser, DEFAULT_PORT)
    common.verbosity_args(parser)
    return parser


def open_driver(name: str, kind: str, device: str, simulation: bool = False) -> Instrument:
    """Return the driver of a row, opened: at its address, or at its twin's."""
    if not simulation:
        return driver_class(kind)(name, driver_class(kind).connect(device)).open()
    lab = os.environ.get("ATOMLINK_LAB", "")
    if lab:
        return open_at_lab(lab, name, kind)
    return open_alone(name, kind, device)


def main(arguments: list[str] | None = None) -> int:
    """Run a controller until it is told to terminate."""
    try:
        common = importlib.import_module("sipyco.common_args")
        pc_rpc = importlib.import_module("sipyco.pc_rpc")
    except ImportError:
        print("aqctl_atomlink: error: controllers need sipyco: pip install 'atomlink[artiq]'", file=sys.stderr)
        return 2
    options = get_argparser().parse_args(arguments)
    common.init_logger_from_args(options)
    try:
        driver = open_driver(options.name, options.driver, options.device, options.simulation)
    except LabError as error:
        print(f"aqctl_atomlink: error: {error}", file=sys.stderr)
        return 2
    controller = Controller(driver)
    try:
        pc_rpc.simple_server_loop(
            {options.name: controller}, common.bind_address_from_args(options), options.port,
            description=f"{driver.KIND}: {driver.identity}", allow_parallel=True,
        )  # fmt: skip
    finally:
        controller._close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
