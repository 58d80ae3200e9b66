"""Twins of the instruments: each answers its instrument's protocol from the simulated lab, without socket or clock."""
