"""`fovea web`: a page on which people ask a served model, and see why it answers so.

A user of `fovea.serving.client` like any other: what it shows came over gRPC.
"""
