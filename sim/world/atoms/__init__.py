"""The atoms of a node: their labels and quantum states, and what light, traps and moving tweezers do to them."""
