"""The sections of the inspect page, one module each."""
