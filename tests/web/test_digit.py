"""Digits are prepared in the same way as MNIST's."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fovea import BadImage
from fovea.serving.web.digit import centre_digit, ink_of_photo


def bar(box, size=(280, 280)):
    ink = Image.new("L", size)
    ImageDraw.Draw(ink).rectangle(box, fill=255)
    return ink


@pytest.mark.parametrize(
    ("box", "height", "width"),
    [
        ((10, 10, 49, 209), 20, 4),  # 40 x 200
        ((60, 100, 259, 119), 2, 20),  # 200 x 20
        ((100, 100, 103, 119), 20, 4),  # the same size however small it was drawn
    ],
)
def test_a_digit_fills_a_box_of_20_in_the_centre(box, height, width):
    digit = centre_digit(bar(box), (28, 28))
    rows, columns = np.nonzero(digit)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (height, width)
    # An even number of pixels has no middle one: theirs are 13.5 or 14.5.
    assert abs(rows.mean() - 14) == abs(columns.mean() - 14) == 0.5
    assert digit.max() == 255


def test_the_centre_is_the_centre_of_mass():
    ink = bar((120, 40, 159, 79))  # a heavy head
    ImageDraw.Draw(ink).rectangle((136, 80, 143, 239), fill=255)
    digit = centre_digit(ink, (28, 28)).astype(float)
    rows, columns = np.mgrid[:28, :28]
    centre = np.array([(rows * digit).sum(), (columns * digit).sum()]) / digit.sum()
    assert np.abs(centre - 14).max() <= 0.5
    assert np.nonzero(digit)[0].min() > 4  # the box itself is not in the middle


def test_edges_are_antialiased():
    ink = Image.new("L", (280, 280))
    ImageDraw.Draw(ink).line((40, 40, 220, 240), fill=255, width=22)
    values = np.unique(centre_digit(ink, (28, 28)))
    assert len(values) > 20


def test_mnist_s_own_digits_are_unchanged(sample):
    images = sample.x_test[:200, ..., 0]
    ours = np.stack([centre_digit(Image.fromarray(i), (28, 28)) for i in images])
    same = (ours == images).all(axis=(1, 2))
    # The others have faint rims, or a centre of mass between two pixels.
    assert same.mean() > 0.85
    assert np.abs(ours.astype(int) - images).mean(axis=(1, 2)).max() < 1


def test_ink_is_extracted_from_a_photograph():
    paper = np.random.default_rng(0).integers(170, 200, (120, 90), np.uint8)
    photo = Image.fromarray(paper).convert("RGB")
    ImageDraw.Draw(photo).line((45, 20, 45, 100), fill=(30, 30, 90), width=8)
    ink = np.asarray(ink_of_photo(photo))
    assert ink[60, 45] > 200
    assert not ink[:, :30].any()
    inverse = Image.fromarray(255 - np.asarray(photo))
    assert np.abs(np.asarray(ink_of_photo(inverse)).astype(int) - ink).max() <= 2


def test_an_empty_image_is_rejected():
    with pytest.raises(BadImage, match="empty"):
        centre_digit(Image.new("L", (280, 280)), (28, 28))
    with pytest.raises(BadImage, match="one colour"):
        ink_of_photo(Image.new("RGB", (30, 30), "white"))
