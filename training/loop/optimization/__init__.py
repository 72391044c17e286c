"""The optimisers that recipes name, and their schedules of learning rates."""
