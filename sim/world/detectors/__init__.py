"""Photon counters, from photons to the edges that the electronics sees."""
