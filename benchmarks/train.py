"""How fast a training step is: fovea on Keras and TensorFlow, beside PyTorch.

    python benchmarks/train.py [--rounds N]          (or: make bench-train)

Forward pass, backward pass and an SGD step of the network of airbench94
(`fovea.models.zoo.speednet` with its default options) on random images that are in
memory already. Each way of running it takes turns with PyTorch, a few steps each and
each in a process of its own, so that whatever else the machine does meets both; what
counts is the ratio of successive turns. The last lines are steps of the recipe for
CIFAR-10, with its augmentation, optimiser and sizes of images, and what they make of a
whole training beside airbench94's eight epochs. Needs the extra `bench`.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
STEPS = 2
BATCH = 500

# name -> (framework, its options, environment)
WAYS = {
    "PyTorch": ("torch", {}, {}),
    "PyTorch, bfloat16": ("torch", {"dtype": "bfloat16"}, {}),
    "fovea": ("fovea", {}, {}),
    "fovea, XLA": ("fovea", {"xla": True}, {}),
    "fovea, mixed bfloat16": ("fovea", {"precision": "mixed_bfloat16"}, {}),
    "plain Keras layers": ("fovea", {"plain": True}, {}),
    "plain Keras layers, oneDNN off": (
        "fovea",
        {"plain": True},
        {"TF_ENABLE_ONEDNN_OPTS": "0"},
    ),
    "fovea, batch 125": ("fovea", {"batch": 125}, {}),
    "fovea, batch 2000": ("fovea", {"batch": 2000}, {}),
    "fovea, one operation at a time": ("fovea", {"inter_op": 1}, {}),
}
REFERENCE = "PyTorch"
# Of airbench94, all on full-sized images.
REFERENCE_EPOCHS = 8


def main() -> None:
    """Print the figures as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns (default: 3)")
    parser.add_argument("--recipe", action="store_true", help="its steps alone")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        serve_turns(json.loads(args.worker))
        return
    missing = [m for m in ("torch", "tensorflow") if not importlib.util.find_spec(m)]
    if missing:
        sys.exit(f"This needs {', '.join(missing)}; pip install '.[bench]'")
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print(f"{len(os.sched_getaffinity(0))} CPUs, matrix product ", end="")
    print(f"{matrix_peak():.0f} GFLOP/s; {args.rounds} turns of {STEPS} steps,")
    print(f"batch {BATCH} of 32x32x3 unless stated otherwise\n")
    print("| way | images/s, median (minimum to maximum) | ratio to PyTorch |")
    print("|---|---|---|")
    reference = start(REFERENCE, WAYS[REFERENCE])
    for name, way in WAYS.items():
        if name != REFERENCE and not args.recipe:
            compare(name, way, reference, args.rounds)
    share = 0.0
    for side, epochs in epochs_of_recipe().items():
        way = ("fovea", {"recipe_side": side}, {})
        ratio = compare(f"fovea's recipe, {side}x{side}", way, reference, args.rounds)
        share += epochs / ratio
    stop(reference)
    print(
        f"\nA whole training by the recipe: {share / REFERENCE_EPOCHS:.2f} of the time "
        f"of {REFERENCE_EPOCHS} epochs in PyTorch"
    )


def epochs_of_recipe() -> dict[int, int]:
    """Return how many epochs the recipe spends on images of each size."""
    from fovea.training.recipes import files

    recipe = files.load("speednet", "cifar10")
    starts = recipe.sizes or ((0, 32),)
    ends = [epoch for epoch, _ in starts[1:]] + [recipe.epochs]
    epochs: dict[int, int] = {}
    for (epoch, side), end in zip(starts, ends, strict=True):
        epochs[side] = epochs.get(side, 0) + end - epoch
    return epochs


def compare(name: str, way: tuple, reference: subprocess.Popen, rounds: int) -> float:
    """Let a way and the reference take turns; print its line, return its ratio."""
    worker = start(name, way)
    speeds, ratios = [], []
    for _ in range(rounds):
        base = turn(reference)
        speeds.append(turn(worker))
        ratios.append(speeds[-1] / base)
    stop(worker)
    print(
        f"| {name} | {statistics.median(speeds):.0f} ({min(speeds):.0f} to "
        f"{max(speeds):.0f}) | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}) |",
        flush=True,
    )
    return statistics.median(ratios)


def turn(worker: subprocess.Popen) -> float:
    """Have a process do its steps; return its images/s."""
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def stop(worker: subprocess.Popen) -> None:
    """End a process."""
    worker.stdin.close()
    worker.wait()


def start(name: str, way: tuple) -> subprocess.Popen:
    """Start a way's process and wait until it has warmed up."""
    framework, options, environment = way
    worker = subprocess.Popen(
        [
            sys.executable,
            __file__,
            "--worker",
            json.dumps({"framework": framework, **options}),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    )
    if worker.stdout.readline() != "ready\n":
        sys.exit(f"The process for {name!r} did not start.")
    return worker


def serve_turns(options: dict) -> None:
    """Time a few steps for every line that comes in; print images/s."""
    framework = options.pop("framework")
    batch = options.pop("batch", BATCH)
    make = torch_step if framework == "torch" else fovea_step
    step = make(batch, **options)
    steps = max(1, STEPS * BATCH // batch)
    for _ in range(2):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        for _ in range(steps):
            step()
        print(steps * batch / (time.perf_counter() - started), flush=True)


def torch_step(batch: int, dtype: str = "float32"):
    """Return PyTorch's training step."""
    import torch
    from airbench_torch import training_step

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return training_step(batch, 32, dtype)


def fovea_step(
    batch: int,
    *,
    xla: bool = False,
    precision: str = "float32",
    plain: bool = False,
    inter_op: int = 0,
    recipe_side: int = 0,
):
    """Return Keras' own training step of fovea's network.

    Args:
        batch: Images in a step.
        xla: Whether XLA compiles it.
        precision: Keras' dtype policy.
        plain: Keras' own layers in place of fovea's faster ones.
        inter_op: Operations that may run at the same time, 0 for TensorFlow's choice.
        recipe_side: Train by the recipe for CIFAR-10, on images of this size.
    """
    from fovea.models import backend

    backend.prepare()
    import keras
    import numpy as np
    import tensorflow as tf

    from fovea import models

    if inter_op:
        tf.config.threading.set_inter_op_parallelism_threads(inter_op)
    if plain:
        use_plain_layers()
    keras.config.set_dtype_policy(precision)
    side, options = recipe_side or 32, {}
    optimizer = keras.optimizers.SGD(0.01, momentum=0.85, nesterov=True)
    if recipe_side:
        from fovea.training.loop.optimization import optimizers
        from fovea.training.recipes import files

        recipe = files.load("speednet", "cifar10")
        options = {"augmentation": recipe.augmentation, **recipe.options}
        optimizer = optimizers.build(recipe, steps_per_epoch=1_000)
    model = models.build("speednet", (side, side, 3), 10, **options)
    model.get_layer("whitening").trainable = False
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=xla,
    )
    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (batch, side, side, 3), np.uint8))
    labels = tf.constant(rng.integers(0, 10, batch))
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    model.make_train_function()
    return lambda: float(model.train_function(batches)["loss"])


def use_plain_layers() -> None:
    """Have Keras' own call for the layers that fovea trains differently."""
    import keras

    from fovea.models.layers.batch_normalization import BatchNormalization
    from fovea.models.layers.conv_2d import Conv2D

    Conv2D.call = keras.layers.Conv2D.call
    BatchNormalization.call = keras.layers.BatchNormalization.call


def matrix_peak(side: int = 2048) -> float:
    """Return GFLOP/s of NumPy's float32 matrix product, the best of ten."""
    import numpy as np

    a = np.ones((side, side), np.float32)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds) / 1e9


if __name__ == "__main__":
    main()
