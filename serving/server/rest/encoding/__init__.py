"""JSON bodies to arrays and messages, and back."""
