"""From a run directory to a SavedModel version with signatures and warm-up requests."""
