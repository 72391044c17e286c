"""Images with their predictions, for the terminal and as a PNG."""

from pathlib import Path

import numpy as np

from fovea.training.rendering.figures import BLUE, ORANGE

# From background to ink, in the ten steps that are distinguishable in a terminal.
RAMP = " .:-=+*#%@"
GRID_COLUMNS = 8


def terminal_art(image: np.ndarray, width: int = 20) -> list[str]:
    """Draw an image with characters.

    Args:
        image: uint8 (height, width, channels).
        width: Characters in a line. A character is about twice as high as wide,
            so there are half as many lines.

    Returns:
        Lines of exactly `width` characters.
    """
    from PIL import Image

    grey = image.mean(axis=2).astype(np.uint8)
    lines = max(1, round(width * grey.shape[0] / grey.shape[1] / 2))
    small = Image.fromarray(grey).resize((width, lines), Image.Resampling.BOX)
    steps = np.asarray(small, np.int64) * len(RAMP) // 256
    return ["".join(RAMP[step] for step in row) for row in steps]


def prediction_grid(
    path: Path,
    images: np.ndarray,
    true_names: list[str],
    predicted_names: list[str],
    probabilities: list[float],
    title: str,
) -> None:
    """Write a PNG of images, each with its true and its predicted class.

    Wrong predictions are marked by words and a thick frame, not by colour alone.

    Args:
        path: The PNG file.
        images: uint8 (n, height, width, channels 1 or 3).
        true_names: n class names.
        predicted_names: n class names.
        probabilities: n probabilities of the predicted classes.
        title: The title of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(GRID_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.95 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, true, predicted, probability in zip(
        axes.flat, images, true_names, predicted_names, probabilities, strict=False
    ):
        ax.set_axis_on()
        ax.set_xticks([])
        ax.set_yticks([])
        ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        right = predicted == true
        colour = BLUE if right else ORANGE
        for spine in ax.spines.values():
            spine.set_color(colour)
            spine.set_linewidth(1 if right else 4)
        ax.set_title(f"{predicted}  {probability:.1%}", fontsize=9, color=colour)
        ax.set_xlabel("right" if right else f"wrong: it is {true}", fontsize=8)
    FigureCanvasAgg(figure).print_png(path)
