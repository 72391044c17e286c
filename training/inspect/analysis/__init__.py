"""The network as a whole: confusions, embedding, invariance, gradients."""
