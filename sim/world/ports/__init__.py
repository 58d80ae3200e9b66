"""Photon ports: what a pulse of light on the atom in front of one sends into the fibre."""
