"""What monitoring is told: metrics, read from the stores. Counts, times and ids; never what a record holds."""
