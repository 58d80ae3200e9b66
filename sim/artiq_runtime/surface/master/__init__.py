"""The master's side of an experiment: databases, device drivers, results."""
