"""The labels of an atom: where it is in its level scheme, as far as light that moves populations tells levels apart."""

ABSENT, F1, F2, READY = range(4)  # READY: F = 2, m = 0, from where excitation light makes a photon
QUBIT = 4  # has a part in a quantum state over |0>, |1> (F = 1, m = -1 and +1) and |2> (F = 2)
CHAIN = 4  # how many labels the chain of attempts tells apart: a qubit counts as F = 1
