"""What the server does under load, swaps, signals and faults."""
