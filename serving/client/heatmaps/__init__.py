"""Heat maps of predictions: request them, lay them over their pictures."""
