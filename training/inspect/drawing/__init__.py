"""Pictures and plots of what `units` and `analysis` computed."""
