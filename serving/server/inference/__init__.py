"""What the RPCs compute: Predict, Classify, Regress, MultiInference, metadata."""
