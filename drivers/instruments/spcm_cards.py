"""The two cards of a tweezer AWG, and Spectrum's package `spcm`, which needs its kernel driver and is imported late."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from atomlink.errors import DeviceError

FULL_SCALE_MV = 1000  # of each output, into 50 Ohm


class Cards(Protocol):
    """What the driver is given; `errors` is what the DDS objects raise."""

    errors: tuple[type[Exception], ...]

    @property
    def rows(self) -> Any:
        """The DDS object of the card for the rows."""

    @property
    def columns(self) -> Any:
        """The DDS object of the card for the columns."""

    def identity(self) -> str:
        """Return product names and serial numbers of both cards."""

    def triggers(self, on: bool) -> None:
        """Let the trigger inputs of both cards act, or not."""

    def clear(self) -> None:
        """Nothing is ever late: registers answer at once."""

    def close(self) -> None:
        """Let go of the cards."""


class SpcmCards:
    """The two cards through Spectrum's package; needs its kernel driver. The address is `ROWS,COLUMNS`."""

    def __init__(self, device: str) -> None:
        self._names = [name.strip() for name in device.split(",")]
        if len(self._names) != 2 or not all(self._names) or self._names[0] == self._names[1]:
            raise DeviceError(f"The address is {device!r} but must be ROWS,COLUMNS, such as /dev/spcm0,/dev/spcm1: "
                              "correct --device.")  # fmt: skip
        self._cards: list[Any] = []
        self._rows_columns: list[Any] = []
        self.errors: tuple[type[Exception], ...] = (OSError,)

    @property
    def rows(self) -> Any:
        """The DDS of the card for the rows."""
        return self._opened()[0]

    @property
    def columns(self) -> Any:
        """The DDS of the card for the columns."""
        return self._opened()[1]

    def identity(self) -> str:
        """Return product names and serial numbers."""
        self._opened()
        return ", ".join(f"{card.product_name()} sn {card.sn()}" for card in self._cards)

    def triggers(self, on: bool) -> None:
        """Let the trigger inputs of both cards act, or not."""
        spcm = self._package()
        self._opened()
        for card in self._cards:
            card.cmd(spcm.M2CMD_CARD_ENABLETRIGGER if on else spcm.M2CMD_CARD_DISABLETRIGGER)

    def clear(self) -> None:
        """Nothing to do: registers answer at once."""

    def reopen(self) -> None:
        """Close and open both cards."""
        self.close()
        self._opened()

    def close(self) -> None:
        """Close both cards."""
        cards, self._cards, self._rows_columns = self._cards, [], []
        for card in cards:
            card.close()

    def _opened(self) -> list[Any]:
        if not self._rows_columns:
            spcm = self._package()
            self.errors = (spcm.SpcmException, spcm.SpcmTimeout, OSError)
            self._rows_columns = [self._set_up(spcm, name) for name in self._names]
        return self._rows_columns

    @staticmethod
    def _package() -> Any:
        try:
            return importlib.import_module("spcm")
        except Exception as error:  # spcm raises a bare Exception where the kernel driver is missing
            raise DeviceError(f"Spectrum's package spcm cannot be used ({error}): install it with its kernel driver, "
                              "or run with --simulation.") from error  # fmt: skip

    def _set_up(self, spcm: Any, name: str) -> Any:
        """Open a card in DDS mode with output 0 on and a rising edge at its external input as trigger."""
        card = spcm.Card(name)
        try:
            card.open(name)
            self._cards.append(card)
            card.card_mode(spcm.SPC_REP_STD_DDS)
            channels = spcm.Channels(card, card_enable=spcm.CHANNEL0)
            channels.enable(True)
            channels.amp(FULL_SCALE_MV)
            trigger = spcm.Trigger(card)
            trigger.or_mask(spcm.SPC_TMASK_EXT0)
            trigger.ext0_mode(spcm.SPC_TM_POS)
            trigger.ext0_level0(1500)  # mV: half of TTL
            card.write_setup()
            card.start()
            return spcm.DDS(card, no_units=True, check_features=True)
        except self.errors as error:
            self.close()
            raise DeviceError(f"The card {name} cannot be opened: {error}") from error
