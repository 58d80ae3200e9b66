"""The folders in which programs of this user keep settings, data and caches, by the platform's convention."""

import os
import sys

__all__ = ["user_cache_dir", "user_config_dir", "user_data_dir"]

_DARWIN = {
    "config": "~/Library/Preferences",
    "data": "~/Library/Application Support",
    "cache": "~/Library/Caches",
}
_XDG = {
    "config": ("XDG_CONFIG_HOME", "~/.config"),
    "data": ("XDG_DATA_HOME", "~/.local/share"),
    "cache": ("XDG_CACHE_HOME", "~/.cache"),
}


def user_config_dir(appname: str | None = None, appauthor: str | None = None, version: str | None = None) -> str:
    """Return the folder for settings."""
    return _folder("config", appname, appauthor, version)


def user_data_dir(appname: str | None = None, appauthor: str | None = None, version: str | None = None) -> str:
    """Return the folder for data."""
    return _folder("data", appname, appauthor, version)


def user_cache_dir(appname: str | None = None, appauthor: str | None = None, version: str | None = None) -> str:
    """Return the folder for what can be made again."""
    return _folder("cache", appname, appauthor, version)


def _folder(kind: str, appname: str | None, appauthor: str | None, version: str | None) -> str:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", os.path.expanduser(r"~\AppData\Local"))
        parts = [appauthor or appname, appname] if appname else []
    elif sys.platform == "darwin":
        base, parts = os.path.expanduser(_DARWIN[kind]), [appname]
    else:
        variable, usual = _XDG[kind]
        base, parts = os.environ.get(variable) or os.path.expanduser(usual), [appname]
    if appname:
        parts.append(version)
    return os.path.join(base, *(part for part in parts if part))
