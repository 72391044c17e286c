"""Where Winograd's algorithm pays: forward and backward pass of one convolution.

    python benchmarks/winograd.py [--rounds N]

The ordinary convolution and `fovea.models.layers.conv_2d.winograd` take turns on the
same data, 500 images in float32; the sizes are those of networks for CIFAR-10.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
IMAGES = 500
# side of the maps, channels in, channels out
SIZES = [
    (32, 16, 16),
    (31, 24, 64),
    (16, 32, 32),
    (15, 64, 64),
    (16, 64, 128),
    (15, 64, 256),
    (16, 128, 128),
    (8, 64, 64),
    (7, 128, 128),
    (7, 256, 256),
    (8, 256, 256),
    (3, 256, 256),
    (4, 512, 512),
]


def main() -> None:
    """Print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns (default: 5)")
    args = parser.parse_args()
    from fovea.models import backend

    backend.prepare()
    import tensorflow as tf

    from fovea.models.layers.conv_2d import winograd

    def ordinary(images, kernel):
        return tf.nn.conv2d(images, kernel, 1, "SAME")

    print("| maps | channels | ordinary | Winograd | ratio of the times |")
    print("|---|---|---|---|---|")
    for side, channels, filters in SIZES:
        images = tf.random.normal((IMAGES, side, side, channels))
        kernel = tf.random.normal((3, 3, channels, filters))
        change = tf.random.normal((IMAGES, side, side, filters))
        ways = [both_passes(way) for way in (ordinary, winograd)]
        seconds = [[], []]
        for turn in range(args.rounds + 1):
            for way, times in zip(ways, seconds, strict=True):
                started = time.perf_counter()
                float(way(images, kernel, change))
                if turn:  # the first one compiles
                    times.append(time.perf_counter() - started)
        ratios = [b / a for a, b in zip(*seconds, strict=True)]
        middle = [f"{1000 * statistics.median(times):.0f} ms" for times in seconds]
        print(
            f"| {side}x{side} | {channels} to {filters} | {middle[0]} | {middle[1]} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) |",
            flush=True,
        )


def both_passes(convolve):
    """Return a function that also takes the gradients, and waits for them."""
    import tensorflow as tf

    @tf.function
    def run(images, kernel, change):
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            outputs = convolve(images, kernel)
        gradients = tape.gradient(outputs, (images, kernel), change)
        # One figure of each, so that none can be left out.
        return sum(tf.reshape(x, [-1])[0] for x in (outputs, *gradients))

    return run


if __name__ == "__main__":
    main()
