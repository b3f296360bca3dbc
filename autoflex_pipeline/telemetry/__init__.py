"""What monitoring is told: metrics, read from the stores, and spans of each run.

Counts, times and ids; never what a record holds.
"""
