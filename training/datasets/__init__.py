"""Data sets: known by name, in a folder of images, or in an .npz file."""
