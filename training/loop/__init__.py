"""The training loop: batches, optimisers, checkpoints, and what runs between epochs."""
