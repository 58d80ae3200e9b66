"""The pytest plugin that makes `import artiq` work in tests, before any test module is imported."""

from sim.artiq_runtime import install

install()
