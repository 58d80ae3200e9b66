"""What an experiment talks to when it asks for devices and datasets."""

import importlib
import logging
from operator import setitem
from typing import Any

from atomlink import errors
from sim.artiq_runtime.sync_struct import Notifier

logger = logging.getLogger(__name__)


class DummyDevice:
    """A device that is nothing: the type "dummy", and every device while an experiment is examined."""


class DeviceError(Exception):
    """A device cannot be found or created; the reason is this exception's cause."""


class DeviceManager:
    """Create devices from their descriptions, one object per description, and close them.

    `virtual_devices` are ready-made objects that come before the database, such as the scheduler.
    """

    def __init__(self, ddb: Any, virtual_devices: dict[str, Any] | None = None) -> None:
        self.ddb = ddb
        self.virtual_devices = {} if virtual_devices is None else virtual_devices
        self.active_devices: list[tuple[Any, Any]] = []
        self.devarg_override: dict[str, dict[str, Any]] = {}

    def get_device_db(self) -> dict[str, Any]:
        """Return the whole device database."""
        return self.ddb.get_device_db()

    def get_desc(self, name: str) -> Any:
        """Return the description of a device, aliases resolved."""
        return self.ddb.get(name, resolve_alias=True)

    def get(self, name: str) -> Any:
        """Return a device, creating it the first time; devices with equal descriptions are one device."""
        if name in self.virtual_devices:
            return self.virtual_devices[name]
        try:
            desc = self.get_desc(name)
        except Exception as error:
            raise DeviceError(f"Failed to get description of device '{name}'") from error
        for existing_desc, device in self.active_devices:
            if desc == existing_desc:
                return device
        try:
            device = _create_device(desc, self, self.devarg_override.get(name, {}))
        except Exception as error:
            raise DeviceError(f"Failed to create device '{name}'") from error
        self.active_devices.append((desc, device))
        return device

    def notify_run_end(self) -> None:
        """Tell every device that wants to know that `run()` has ended."""
        for _, device in self.active_devices:
            if hasattr(device, "notify_run_end"):
                device.notify_run_end()

    def close_devices(self) -> None:
        """Close every device, the last one made first; one that fails does not keep the others open."""
        for _, device in reversed(self.active_devices):
            try:
                if hasattr(device, "close_rpc"):
                    device.close_rpc()
                elif hasattr(device, "close"):
                    device.close()
            except Exception:
                logger.warning("Exception raised when closing device %r:", device, exc_info=True)
        self.active_devices.clear()


def _create_device(desc: Any, device_mgr: DeviceManager, argument_overrides: dict[str, Any]) -> Any:
    kind = _required(desc, "type")
    if kind == "local":
        module = importlib.import_module(_required(desc, "module"))
        device_class = getattr(module, _required(desc, "class"))
        return device_class(device_mgr, **(desc.get("arguments", {}) | argument_overrides))
    if kind == "controller":
        return _controller_client(desc, desc, desc.get("target_name"))
    if kind == "controller_aux_target":
        controller = device_mgr.get_desc(_required(desc, "controller"))
        return _controller_client(controller, controller | desc, _required(desc, "target_name"))
    if kind == "dummy":
        return DummyDevice()
    raise ValueError(f"Unsupported type in device DB: {kind}")


def _required(desc: Any, key: str) -> Any:
    if not isinstance(desc, dict):
        raise errors.DeviceError(f"The device_db entry must be a dict or the name of another device, but is {desc!r}.")
    if key not in desc:
        raise errors.DeviceError(
            f"The device_db entry must have the key '{key}', but has {', '.join(sorted(desc)) or 'no keys'}."
        )
    return desc[key]


def _controller_client(address: dict[str, Any], desc: dict[str, Any], target_name: str | None) -> Any:
    """Return a client of a controller's process, which speaks sipyco's protocol."""
    try:
        pc_rpc = importlib.import_module("sipyco.pc_rpc")
    except ImportError as error:
        raise errors.DeviceError(
            "The device is a controller in another process, and talking to it needs sipyco, which is not installed; "
            "pip install 'atomlink[artiq]' brings it."
        ) from error
    client = pc_rpc.BestEffortClient if desc.get("best_effort", False) else pc_rpc.Client
    host, port = _required(address, "host"), _required(address, "port")
    return client(host, port, pc_rpc.AutoTarget if target_name is None else target_name)


class DatasetManager:
    """Keep an experiment's datasets: its own (`local`), those it read (`archive`), and those it broadcasts."""

    def __init__(self, ddb: Any) -> None:
        self._broadcaster = Notifier({})
        self._broadcaster.publish = ddb.update
        self.local: dict[str, Any] = {}
        self.archive: dict[str, Any] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.ddb = ddb

    def set(
        self, key: str, value: Any, metadata: dict[str, Any], broadcast: bool, persist: bool, archive: bool
    ) -> None:
        """Set a dataset; being persistent implies being broadcast. The local store keeps `value` itself."""
        broadcast = broadcast or persist
        if not (broadcast or archive):
            logger.warning("Dataset '%s' will not be stored. Both 'broadcast' and 'archive' are set to False.", key)
        if broadcast:
            self._broadcaster[key] = persist, value, metadata
        elif key in self._broadcaster.raw_view:
            del self._broadcaster[key]
        if archive:
            self.local[key] = value
        else:
            self.local.pop(key, None)
        self.metadata[key] = metadata

    def _mutation_target(self, key: str) -> Any:
        # The broadcast value and the local one are the same object, so changing either changes both.
        if key in self._broadcaster.raw_view:
            return self._broadcaster[key][1]
        if self.local.get(key) is None:
            raise KeyError(f"Cannot mutate nonexistent dataset '{key}'")
        return self.local[key]

    def mutate(self, key: str, index: Any, value: Any) -> None:
        """Change part of a dataset; a tuple as index is a slice, a tuple of tuples a slice per dimension."""
        target = self._mutation_target(key)
        if isinstance(index, tuple):
            index = tuple(slice(*part) for part in index) if isinstance(index[0], tuple) else slice(*index)
        setitem(target, index, value)

    def append_to(self, key: str, value: Any) -> None:
        """Append to a dataset that is a list; AttributeError if it is none, KeyError if it does not exist."""
        self._mutation_target(key).append(value)

    def get(self, key: str, archive: bool = False) -> Any:
        """Return a dataset of this experiment, or a shared one, which is then archived if asked to."""
        if key in self.local:
            return self.local[key]
        data = self.ddb.get(key)
        if archive:
            if key in self.archive:
                logger.warning("Dataset '%s' is already in archive, overwriting", key, stack_info=True)
            self.archive[key] = data
        return data

    def get_metadata(self, key: str) -> dict[str, Any]:
        """Return unit, scale and precision of a dataset."""
        if key in self.metadata:
            return self.metadata[key]
        return self.ddb.get_metadata(key)

    def write_hdf5(self, f: Any) -> None:
        """Write the groups `datasets` and `archive` into an open HDF5 file.

        What HDF5 cannot hold does not keep the rest from being written: the error, of the type that ARTIQ raises and
        naming every such dataset, comes at the end.
        """
        failures: list[tuple[str, Exception]] = []
        for name, values in (("datasets", self.local), ("archive", self.archive)):
            group = f.create_group(name)
            for key, value in values.items():
                try:
                    _write(group, key, value, self.metadata.get(key, {}))
                except (TypeError, ValueError, OSError) as error:
                    failures.append((f"Error writing dataset '{key}' of type '{type(value)}': {error}", error))
        if failures:
            first = failures[0][1]
            raise type(first)("; ".join(message for message, _ in failures)) from first


def _write(group: Any, key: str, value: Any, metadata: dict[str, Any]) -> None:
    group[key] = value
    for name, item in metadata.items():
        group[key].attrs[name] = item
