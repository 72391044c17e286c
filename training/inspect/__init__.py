"""Seeing inside: what a trained network looks at, computed."""
