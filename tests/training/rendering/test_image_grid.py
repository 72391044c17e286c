"""Images for the terminal and for paper."""

import numpy as np
from PIL import Image

from fovea.training.rendering import image_grid


def test_terminal_art_preserves_shape_and_brightness():
    image = np.zeros((20, 20, 1), np.uint8)
    image[:, 10:] = 255
    lines = image_grid.terminal_art(image, width=20)
    assert lines == [" " * 10 + "@" * 10] * 10


def test_terminal_art_of_a_wide_colour_image():
    lines = image_grid.terminal_art(np.full((8, 32, 3), 128, np.uint8), width=16)
    assert lines == ["+" * 16] * 2


def test_prediction_grid_is_a_picture(tmp_path, digits):
    path = tmp_path / "grid.png"
    image_grid.prediction_grid(
        path, digits.x_test[:3], ["7", "2", "1"], ["7", "3", "1"], [0.9, 0.5, 1.0], "T"
    )
    with Image.open(path) as picture:
        assert picture.width > 300
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 24)}
    assert (0xD5, 0x5E, 0x00) in colours  # the frame of the mistake
