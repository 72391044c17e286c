"""Train, evaluate, inspect and export models.

Imports fovea.models and fovea.serving.protocol.pixels, nothing else of serving.
"""
