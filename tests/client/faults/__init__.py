"""The client against servers that fail, or that want to know who is there."""
