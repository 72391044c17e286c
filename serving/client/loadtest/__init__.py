"""Load tests of a server: the generator, its requests, and plots of the outcomes."""
