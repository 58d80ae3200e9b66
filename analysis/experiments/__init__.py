"""The twins of experiments: the analysis of each, found by its class's name (analysis/twins.py)."""
