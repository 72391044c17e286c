"""The lecture's calculations, number for number."""

import numpy as np
import pytest
from keras import layers

from fovea.models.anatomy import arithmetic as a


def test_a_million_hidden_units_on_a_megapixel_image():
    pixels, units = 1000 * 1000, 10**6
    fully = a.fully_connected_parameters(pixels, units, bias=False)
    fields = a.locally_connected_parameters((1000, 1000), (10, 10), 1, 1, bias=False)
    shared = a.convolution_parameters((10, 10), 1, 100, bias=False)
    assert fully == 10**12
    assert fields == 10**8
    assert shared == 10**4


def test_ten_linear_classifiers_on_a_flattened_colour_image():
    weights = a.fully_connected_parameters(32 * 32 * 3, 1, bias=False)
    assert weights == 3072
    assert a.fully_connected_parameters(32 * 32 * 3, 10) == 10 * (3072 + 1)


def test_ten_filters_at_padding_two_keep_the_size():
    assert a.feature_map_size(32, kernel=5, padding=2) == 32
    assert a.convolution_parameters((5, 5), 3, 10) == 760
    layer = layers.Conv2D(10, 5, padding="same")
    assert layer(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 32, 32, 10)
    assert layer.count_params() == 760


def test_one_filter_without_padding_gives_28():
    assert a.feature_map_size(32, kernel=5) == 28
    layer = layers.Conv2D(1, (5, 5))
    assert layer(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 28, 28, 1)


IMAGE = np.array(
    [
        [1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 0],
        [0, 1, 1, 0, 0],
    ],
    "float32",
)
FILTER = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], "float32")
EXPECTED = np.array([[4, 3, 4], [2, 4, 3], [2, 3, 4]], "float32")


def test_the_worked_convolution_by_hand():
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, (3, 3))
    np.testing.assert_array_equal((windows * FILTER).sum(axis=(2, 3)), EXPECTED)


def test_the_worked_convolution_by_keras():
    layer = layers.Conv2D(1, 3, use_bias=False)
    layer.build((1, 5, 5, 1))
    layer.set_weights([FILTER[:, :, None, None]])
    output = layer(IMAGE[None, :, :, None])
    np.testing.assert_array_equal(output[0, :, :, 0], EXPECTED)


def test_two_stacked_3x3_see_5x5_and_three_see_7x7():
    assert a.receptive_field([(3, 1, 1)] * 2) == (5, 1)
    assert a.receptive_field([(3, 1, 1)] * 3) == (7, 1)


def test_two_stacked_3x3_need_fewer_weights_than_one_5x5():
    stacked = 2 * a.convolution_parameters((3, 3), 64, 64, bias=False)
    one = a.convolution_parameters((5, 5), 64, 64, bias=False)
    assert (stacked, one) == (18 * 64 * 64, 25 * 64 * 64)


def test_jump_and_dilation_widen_the_field():
    # LeNet-5 on 32x32: c5's units see the whole image.
    lenet5 = [(5, 1, 1), (2, 2, 1), (5, 1, 1), (2, 2, 1), (5, 1, 1)]
    assert a.receptive_field(lenet5) == (32, 4)


@pytest.mark.parametrize(("depth", "field"), [(1, 3), (2, 7), (3, 15), (4, 31)])
def test_doubling_dilation_doubles_the_field(depth, field):
    layers_of_yu_and_koltun = [(3, 1, 2**i) for i in range(depth)]
    assert a.receptive_field(layers_of_yu_and_koltun) == (field, 1)


def test_a_5x5_layer_of_the_inception_module_and_its_bottleneck():
    position = a.convolution_multiply_adds((1, 1), (5, 5), 256, 32)
    whole = a.convolution_multiply_adds((28, 28), (5, 5), 256, 32)
    assert position == 204_800
    assert whole == 28 * 28 * 204_800 == 160_563_200  # 160.6 M
    # A 1x1 convolution to 64 channels in front of it.
    squeeze = a.convolution_multiply_adds((28, 28), (1, 1), 256, 64)
    filters = a.convolution_multiply_adds((28, 28), (5, 5), 64, 32)
    assert squeeze == 28 * 28 * 256 * 64 == 12_845_056
    assert filters == 28 * 28 * 25 * 64 * 32 == 40_140_800
    assert whole / (squeeze + filters) == pytest.approx(3.03, abs=0.01)


@pytest.mark.parametrize("size", [5, 7, 8, 28, 32, 33])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_the_map_s_size_is_the_number_of_windows_that_fit(
    size, kernel, stride, padding
):
    padded = np.arange(size + 2 * padding)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel)[::stride]
    assert a.feature_map_size(size, kernel, padding, stride) == len(windows)
    beyond = len(padded) - 1 - windows[-1, -1]
    assert a.unseen_pixels(size, kernel, padding, stride) == beyond


@pytest.mark.parametrize("size", [5, 8, 32, 33])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2)])
def test_same_padding_gives_as_many_positions_as_strides(
    size, kernel, stride, dilation
):
    before, after = a.same_padding(size, kernel, stride, dilation)
    extent = a.kernel_extent(kernel, dilation)
    assert (size + before + after - extent) // stride + 1 == -(-size // stride)
    assert after - before in (0, 1)


def test_groups_divide_weights_and_work():
    full = a.convolution_parameters((3, 3), 64, 128, bias=False)
    assert a.convolution_parameters((3, 3), 64, 128, groups=4, bias=False) == full // 4
    depthwise = a.convolution_multiply_adds((8, 8), (3, 3), 64, 64, groups=64)
    assert depthwise == 8 * 8 * 9 * 64


def test_a_kernel_larger_than_the_padded_input_is_rejected():
    with pytest.raises(ValueError, match=r"must fit.*Received: size=3, kernel=5"):
        a.feature_map_size(3, kernel=5)
