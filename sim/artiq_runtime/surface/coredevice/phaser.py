"""Phaser, an arbitrary waveform card.  Named for annotations; the pip-only runtime has no driver."""

from sim.artiq_runtime.absent import absent

Phaser = absent(__name__, "Phaser")
PhaserChannel = absent(__name__, "PhaserChannel")
PhaserOscillator = absent(__name__, "PhaserOscillator")
Miqro = absent(__name__, "Miqro")
