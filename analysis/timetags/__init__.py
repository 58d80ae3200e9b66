"""Time tags: streams of detector clicks as integer picoseconds, their files, correlations and coincidences.

    stream          Tags, and what a stream must be
    storage         TagWriter, TagFile: compressed HDF5 that a killed process leaves readable
    correlate       histogram of differences, continuous and pulsed g2
    coincidences    patterns of clicks within a window, and how many of them chance makes
"""
