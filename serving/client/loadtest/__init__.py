"""Load on a server: the generator, its requests, and plots of the outcome."""
