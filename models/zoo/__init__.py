"""The architectures, one per file; `fovea.models.registry` lists them."""
