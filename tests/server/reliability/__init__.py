"""The server under load, swaps, signals and faults."""
