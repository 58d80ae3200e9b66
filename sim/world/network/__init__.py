"""Nodes, the stations where their light meets, and the cables between signals and elements."""
