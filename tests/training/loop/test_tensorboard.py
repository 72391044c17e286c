"""TensorBoard's events, read by TensorBoard."""

import csv

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fovea import cli


@pytest.mark.slow
def test_events_equal_the_history(tmp_path):
    run = tmp_path / "run"
    words = "train softmax_regression --dataset mnist_sample --epochs 2 --tensorboard"
    assert cli.main([*words.split(), "--run", str(run)]) == 0
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(run / "tensorboard" / part))
        events.Reload()
        for name in ("loss", "accuracy"):
            written = [
                float(tf.make_ndarray(event.tensor_proto))
                for event in events.Tensors(f"epoch_{name}")
            ]
            expected = [float(row[prefix + name]) for row in rows]
            assert written == pytest.approx(expected, rel=1e-5)
