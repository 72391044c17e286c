"""A SavedModel: its files, its session, and the checks before a run."""
