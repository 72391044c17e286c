"""Plots, pictures and self-contained HTML pages in one style."""
