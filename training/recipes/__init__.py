"""Recipes: the hyper-parameters of a run, as a dataclass and as TOML files."""
