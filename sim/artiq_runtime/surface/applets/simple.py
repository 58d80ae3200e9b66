"""The base of applets. Running one needs the dashboard's libraries, which come with the real ARTIQ."""

import argparse
import string
from typing import Any

from atomlink.errors import UsageError


class SimpleApplet:
    """An applet that shows a widget of `main_widget_class`, updated as the datasets it names change."""

    def __init__(
        self, main_widget_class: type, cmd_description: str | None = None, default_update_delay: float = 0.0
    ) -> None:
        self.main_widget_class = main_widget_class
        self.argparser = argparse.ArgumentParser(description=cmd_description)
        self.argparser.add_argument(
            "--update-delay", type=float, default=default_update_delay, help="time to collect changes before an update"
        )
        master = self.argparser.add_argument_group("standalone mode (default)")
        master.add_argument("--server", default="::1", help="host of the master")
        master.add_argument("--port-notify", default=3250, type=int, help="the master's port for notifications")
        master.add_argument("--port-control", default=3251, type=int, help="the master's port for control")
        self._dataset_group = self.argparser.add_argument_group("datasets")
        self.dataset_args: set[str] = set()

    def add_dataset(self, name: str, help: str | None = None, required: bool = True) -> None:
        """Add an argument that names a dataset to show."""
        self._dataset_group.add_argument(name if required else f"--{name}", help=help)
        self.dataset_args.add(name)

    def args_init(self) -> None:
        """Read the command line."""
        self.args = self.argparser.parse_args()
        self.datasets = {getattr(self.args, name.replace("-", "_")) for name in self.dataset_args}
        self.dataset_prefixes: list[str] = []

    def run(self) -> None:
        """Read the command line, then say what is missing: there is no window to show here."""
        self.args_init()
        raise UsageError(
            f"Applet {self.main_widget_class.__name__} must run beside a real ARTIQ with PyQt5, and this is the "
            "pip-only runtime; install the real ARTIQ with: pip install 'atomlink[artiq]'"
        )


class TitleApplet(SimpleApplet):
    """An applet with a title, a format string whose fields are datasets ("/" for "." in their names)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.argparser.add_argument("--title", default=None, help="title, with {dataset} for a dataset's value")

    def args_init(self) -> None:
        """Read the command line, and the datasets that the title names."""
        super().args_init()
        if self.args.title is None:
            return
        fields = {field for _, field, _, _ in string.Formatter().parse(self.args.title) if field is not None}
        if "" in fields:
            raise ValueError("Invalid title format string")
        self.dataset_title = {field.replace("/", ".") for field in fields}
        self.datasets |= self.dataset_title
