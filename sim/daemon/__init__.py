"""One lab for many runs: `atomlink lab` keeps a world alive, runs reach it over loopback."""
