"""The parts of the command `atomlink`: lab folders, arguments, results files, catalog, doctor."""
