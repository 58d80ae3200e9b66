"""Circuits over several processors: read, partition with few pairs, verify, schedule, draw.

    qasm.read -> native.native -> partition.partition -> program.build -> verify.verify
    program -> schedule.schedule -> estimate.fidelity, table.table, draw.draw

Everything here is pure: text and numbers in, tuples and frozen dataclasses out. Specification: docs/circuits.md.
"""
