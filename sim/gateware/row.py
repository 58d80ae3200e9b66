"""One row of the device database, read with clear refusals, and the lab in which rows find each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from atomlink.errors import DeviceError
from sim.gateware.peripheral import Peripheral, WorldPorts
from sim.gateware.unmodelled import Unmodelled, not_modelled

if TYPE_CHECKING:
    from sim.gateware.i2c import I2cBus

T = TypeVar("T")
Builder = Callable[["Row"], object]
_REQUIRED: Any = object()


def resolved(device_db: Mapping[str, Any], key: Any) -> Any:
    """Return the key that an alias stands for, over several if need be; a key that is none stays."""
    seen = []
    while isinstance(key, str) and isinstance(device_db.get(key), str) and key not in seen:
        seen.append(key)
        key = device_db[key]
    return key


class Lab:
    """Build the models of rows on demand and keep them.

    `channels` and `names` are the RTIO channel map, `i2c` the buses of the CPU by number, `refused` what is wrong with
    the rows that could not be built.
    """

    def __init__(self, device_db: Mapping[str, Any], world: WorldPorts, builders: Mapping[str, Builder]) -> None:
        self.device_db = device_db
        self.world = world
        self.channels: dict[int, Peripheral] = {}
        self.names: dict[int, str] = {}
        self.i2c: dict[int, I2cBus] = {}
        self.refused: dict[str, DeviceError] = {}
        self._builders = builders
        self.models: dict[str, object] = {}
        self.heralders: list[Any] = []  # entanglers, which are played side by side
        self._building: list[str] = []

    def model(self, key: str) -> object:
        """Return the model of a row, built at the first call; rows with equal descriptions are one device."""
        if key in self.refused:
            raise self.refused[key]
        if key not in self.models:
            twins = (other for other in self.models if self.device_db[other] == self.device_db[key])
            twin = next(twins, None)
            try:
                self.models[key] = self._build(key) if twin is None else self.models[twin]
            except DeviceError as error:
                self.refused[key] = error
                raise
        return self.models[key]

    def _build(self, key: str) -> object:
        if key in self._building:
            raise DeviceError(f"device_db rows {' -> '.join([*self._building, key])} name each other in a circle")
        row = Row(self, key)
        self._building.append(key)
        try:
            return self._builders[row.device_class](row)
        finally:
            self._building.pop()


class Row:
    """A device_db row of type "local"."""

    def __init__(self, lab: Lab, key: str) -> None:
        self.lab = lab
        self.world = lab.world
        self.key = key
        description = lab.device_db[key]
        if not isinstance(description.get("module"), str) or not isinstance(description.get("class"), str):
            raise DeviceError(f"device_db row `{key}`: `module` and `class` must be given as text")
        self.device_class = f"{description['module']}.{description['class']}"
        arguments = description.get("arguments", {})
        if not isinstance(arguments, Mapping):
            raise DeviceError(f"device_db row `{key}`: `arguments` is {arguments!r}; it must be a dict")
        self.arguments = arguments

    def get(self, name: str, must_be: str, default: Any = _REQUIRED) -> Any:
        """Return an argument; refuse a row without it unless there is a default."""
        if name in self.arguments:
            return self.arguments[name]
        if default is _REQUIRED:
            raise DeviceError(f"device_db row `{self.key}`: argument `{name}` is missing; it must be {must_be}")
        return default

    def integer(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> int:
        """Return an integer argument from `low` to `high`."""
        must_be = f"an integer from {low} to {high}"
        value = self.get(name, must_be, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refusal(name, must_be, value)
        return value

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> float:
        """Return a number argument from `low` to `high`."""
        must_be = f"a number from {low:g} to {high:g}"
        value = self.get(name, must_be, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refusal(name, must_be, value)
        return float(value)

    def device(self, name: str, kind: type[T]) -> T:
        """Return the model of the row that an argument names; it must be of `kind`."""
        must_be = f"the key of a device_db row that is a {kind.__name__}"
        return self.named(name, self.get(name, must_be), kind)

    def optional_device(self, name: str, kind: type[T]) -> T | None:
        """Return the model of the row that an argument names, or None when the row does not have it."""
        key = self.arguments.get(name)
        return None if key is None else self.named(name, key, kind)

    def named(self, name: str, key: Any, kind: type[T]) -> T:
        """Return the model of row `key`, which argument `name` gave; aliases are followed."""
        key = resolved(self.lab.device_db, key)
        must_be = f"the key of a device_db row that is a {kind.__name__}"
        if not isinstance(key, str) or not isinstance(self.lab.device_db.get(key), dict):
            raise self.refusal(name, must_be, key)
        other = Row(self.lab, key)
        if other.device_class not in self.lab._builders:
            stands_in = other.device_class == f"{Unmodelled.__module__}.{Unmodelled.__name__}"
            raise not_modelled(**other.arguments) if stands_in else self.refusal(name, must_be, key)
        model = self.lab.model(key)
        if not isinstance(model, kind):
            raise self.refusal(name, f"{must_be} (`{key}` is a {type(model).__name__})", key)
        return model

    def claim(self, peripheral: Peripheral, name: str = "channel", offset: int = 0) -> None:
        """Give the RTIO channel of argument `name` (plus `offset`) to `peripheral`."""
        # 24 bits: eight of the destination, sixteen of the channel; a target is channel << 8 | address.
        channel = self.integer(name, 0, 0x7FFFFF) + offset
        if channel in self.lab.channels:
            raise DeviceError(
                f"device_db row `{self.key}`: argument `{name}` gives RTIO channel {channel:#x}, which row"
                f" `{self.lab.names[channel]}` has; it must be a channel of its own"
            )
        self.lab.channels[channel] = peripheral
        self.lab.names[channel] = self.key

    def refusal(self, name: str, must_be: str, value: Any) -> DeviceError:
        """Return the error for a wrong argument."""
        return DeviceError(f"device_db row `{self.key}`: argument `{name}` is {value!r}; it must be {must_be}")
