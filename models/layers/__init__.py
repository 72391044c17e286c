"""Keras layers, and an initialiser, that Keras does not have."""
