"""Run directories: their files, the environment they record, packed models."""
