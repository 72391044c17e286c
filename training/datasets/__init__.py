"""Where images and labels come from: known names, a folder, an .npz file."""
