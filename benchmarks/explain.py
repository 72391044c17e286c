"""What explanations look like, and what they cost beside plain predictions.

    python benchmarks/explain.py RUN... [--data-dir DIR] [--picture FILE.png]

Each run is exported with explanations by the method that suits it. Its signatures
explain and serving_default process the same test images in turn, one and 32 at a time;
prints the ratio of the medians. Then six images of each run's test set, of different
classes, are explained and drawn on one sheet.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SIZES = (1, 32)
REPEATS = 15
DRAWN = 6


def main() -> None:
    """Export, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path)
    parser.add_argument("--data-dir", help="directory with mnist.npz, cifar10.npz")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/explain.png"))
    args = parser.parse_args()
    from fovea.models import backend

    backend.prepare()
    from fovea.serving.client.heatmaps.draw import sheet
    from fovea.training.runs import pretrained

    heads = " | ".join(f"{size} at a time" for size in SIZES)
    print(f"| run | explain / serving_default, {heads} |")
    print(f"|---|{'---|' * len(SIZES)}")
    tiles = []
    for given in args.runs:
        functions, dataset, how = exported(pretrained.locate(given), args.data_dir)
        cells = [f"{ratio(functions, dataset.x_test[:size]):.1f}" for size in SIZES]
        print(f"| {given} | {' | '.join(cells)} |")
        tiles += drawn(functions, dataset, how)
    sheet(tiles).quantize(256).save(args.picture, optimize=True)


def exported(run: Path, data_dir):
    """Return a run's signatures, saved and loaded, its data set and the method."""
    import tensorflow as tf

    from fovea.training.attribution import explainers
    from fovea.training.datasets import load
    from fovea.training.exporting.export import export
    from fovea.training.runs import directory as runs
    from fovea.training.runs.load import load_model

    dataset = load.load(runs.read_config(run)["dataset"], data_dir)
    with tempfile.TemporaryDirectory() as directory:
        version = export(run, Path(directory) / "model", with_explain="auto")
        functions = tf.saved_model.load(str(version)).signatures
    _, how = explainers.explainer(load_model(run))
    return functions, dataset, how


def ratio(functions, images) -> float:
    """Return how many times as long a prediction with a heat map takes."""
    import tensorflow as tf

    batch = tf.constant(images)
    times = {"serving_default": [], "explain": []}
    for repeat in range(REPEATS + 2):
        for name, taken in times.items():
            started = time.perf_counter()
            functions[name](images=batch)["probabilities"].numpy()
            if repeat > 1:  # the first calls are warm-up
                taken.append(time.perf_counter() - started)
    plain, explained = map(statistics.median, times.values())
    return explained / plain


def drawn(functions, dataset, how: str) -> list:
    """Return tiles of images of different classes beside what explains them."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from fovea.serving.client.heatmaps.draw import draw
    from fovea.serving.client.heatmaps.explain_images import Explanation

    labels = np.ravel(dataset.y_test)
    images = np.stack(
        [dataset.x_test[np.flatnonzero(labels == name)[5]] for name in range(DRAWN)]
    )
    found = functions["explain"](images=tf.constant(images))
    tiles = []
    for place, image in enumerate(images):
        answer = Explanation(
            label=found["label"][place].numpy().decode(),
            class_id=int(found["class_id"][place]),
            probability=float(tf.reduce_max(found["probabilities"][place])),
            heatmap=found["heatmap"][place].numpy(),
            model_version=1,
        )
        tiles.append(draw(answer, Image.fromarray(image.squeeze()), how))
    return tiles


if __name__ == "__main__":
    main()
