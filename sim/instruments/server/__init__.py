"""The twins on loopback, each in its instrument's own protocol, for `atomlink lab` and for the vendors' own clients."""
