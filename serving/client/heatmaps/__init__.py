"""Heat maps of predictions: request them, and draw them over their images."""
