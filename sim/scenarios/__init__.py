"""The shipped labs, one TOML file each, and what the nodes of a lab are called that nobody has described."""

NODES = ("alice", "bob")
