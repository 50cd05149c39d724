"""A forestry bureau that does not exist: its business database, well filled and wrong in every way that the rules know.

Everything follows from a seed and a day, so that two builds are alike. Nobody in it lives and nothing in it is registered anywhere
(see :mod:`gateway.demo.identifiers`), but for the two rows that production systems published without names.
"""
