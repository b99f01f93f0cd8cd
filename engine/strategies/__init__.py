"""One file per strategy: its parameters, the series that cross, its exits."""
