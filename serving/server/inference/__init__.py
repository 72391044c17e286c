"""Inference: one core on arrays, and the gRPC encoding of each method around it."""
