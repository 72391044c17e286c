"""What a trained network looks for, and what it does with an image.

Each module computes one thing from a Keras model and uint8 images, and knows neither
files nor pages.
"""
