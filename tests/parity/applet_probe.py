"""Show datasets in ARTIQ's own applets without a master; stdin: JSON list of [command, {dataset: value}].

Prints for each what is on the screen: kind of widget, points, title. Run by the interpreter that has real ARTIQ and Qt.
"""

import importlib
import json
import shlex
import sys
from typing import Any

import numpy as np
from artiq.applets import simple
from PyQt5 import QtWidgets

PREFIX = "${artiq_applet}"


def shown(command: str, datasets: dict[str, Any]) -> dict[str, Any]:
    """Start an applet as the dashboard does, give it the datasets, and return what it draws."""
    words = shlex.split(command)
    sys.argv = [words[0], *words[1:]]
    made: list[Any] = []
    simple.SimpleApplet.run = lambda applet: made.append(applet)  # instead of connecting to a master
    importlib.import_module("artiq.applets." + words[0].removeprefix(PREFIX)).main()
    (applet,) = made
    applet.embed = None
    applet.args_init()
    missing = sorted(key for key in applet.datasets if key is not None and key not in datasets)
    assert not missing, f"{command} wants {missing}, there are {sorted(datasets)}"
    applet.main_widget = applet.main_widget_class(applet.args, None)
    values = {key: np.array(value) if isinstance(value, list) else value for key, value in datasets.items()}
    applet.emit_data_changed({key: (False, value, {}) for key, value in values.items()}, [])
    return drawn(applet.main_widget)


def drawn(widget: Any) -> dict[str, Any]:
    """Return points and title of a plot, the shape of an image, the digits of a number."""
    if hasattr(widget, "lcd_widget"):
        return {"number": widget.lcd_widget.value()}
    if hasattr(widget, "imageDisp"):
        return {"shape": list(widget.image.shape)}
    (curve,) = widget.listDataItems()
    widget.grab()  # a plot that cannot be painted fails here
    return {"points": len(curve.getData()[1]), "title": widget.plotItem.titleLabel.text,
            "warned": any(getattr(widget, "mismatch", {}).values())}  # fmt: skip


if __name__ == "__main__":
    screen = QtWidgets.QApplication([])
    print(json.dumps([shown(command, datasets) for command, datasets in json.load(sys.stdin)]))
