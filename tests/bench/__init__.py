"""Speed and memory, measured: ``python -m tests.bench`` sends generated permits between two real nodes and times every stage.

Nothing here asserts a time. Memory is asserted: a node that needs more than its budget for a million rows ends the run with exit code 1.
"""
