"""Ask for whole numbers: one definition of how they are shown and stepped."""

from typing import Any

from artiq.language.environment import NumberValue


def ask_whole(
    owner: Any, name: str, default: int, lowest: int, highest: int, group: str, tooltip: str, step: int = 1
) -> None:
    """Ask for a whole number from `lowest` to `highest`, and set it at the owner."""
    value = NumberValue(default, precision=0, scale=1, step=step, min=lowest, max=highest, type="int")
    owner.setattr_argument(name, value, group, tooltip)
