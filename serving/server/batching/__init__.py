"""Batching: requests that arrive at the same time run together."""
