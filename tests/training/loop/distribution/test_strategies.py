"""Strategies: the meaning of their names, and training on two devices."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tensorflow as tf

from fovea.training.loop.distribution import cluster, strategies

ROOT = Path(__file__).parents[4]
TWO = {"cluster": {"worker": ["127.0.0.1:5000", "127.0.0.1:5001"]}}


def task(index, **config):
    return json.dumps({**TWO, "task": {"type": "worker", "index": index}, **config})


@pytest.mark.parametrize("name", ["auto", "single"])
def test_one_cpu_is_one_device(name, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = strategies.resolve(name)
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert strategies.is_chief(strategy) and not strategies.across_machines(strategy)


def test_a_cluster_of_one_counts_as_a_single_device(monkeypatch):
    alone = {"worker": ["127.0.0.1:5000"]}
    monkeypatch.setenv("TF_CONFIG", task(0, cluster=alone))
    assert strategies.resolve("auto").num_replicas_in_sync == 1
    with pytest.raises(ValueError, match="more than one worker"):
        strategies.resolve("multiworker")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mirorred", "must be one of auto, single, mirrored, multiworker"),
        ("mirrored", "needs more than one device"),
        ("multiworker", "needs the environment variable TF_CONFIG"),
    ],
)
def test_missing_devices_are_reported(name, rule, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=f"{rule}.*Received: "):
        strategies.resolve(name)


def test_the_chief_is_counted_first(monkeypatch):
    jobs = {"worker": ["b:1", "c:2"], "chief": ["a:3"]}
    place = {"type": "worker", "index": "1"}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": place}))
    assert cluster.read() == cluster.Cluster(("a:3", "b:1", "c:2"), 2)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        task(2),
        task(0, cluster={"worker": ["127.0.0.1", "127.0.0.1:5001"]}),
        task(0, cluster={"worker": ["a:1"], "ps": ["b:2"]}),
        task(0, task={"type": "evaluator", "index": 0}),
        task(0, task=None),
    ],
)
def test_an_inconsistent_cluster_is_rejected(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"TF_CONFIG must be like .*Received: "):
        strategies.resolve("auto")
    assert strategies.resolve("single").num_replicas_in_sync == 1


def free_ports(count):
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


def test_workers_wait_for_each_other():
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(3))
    come = []

    def worker(index):
        cluster.wait_for_workers(cluster.Cluster(addresses, index), timeout=30)
        come.append(index)
        # As TensorFlow does, keep listening at this address.
        with socket.create_server(("", int(addresses[index].split(":")[1]))):
            barrier.wait(30)

    barrier = threading.Barrier(3)
    workers = [threading.Thread(target=worker, args=(index,)) for index in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
    assert sorted(come) == [0, 1, 2]


def test_the_error_names_a_missing_worker(capsys):
    here, there = free_ports(2)
    pair = cluster.Cluster((f"127.0.0.1:{here}", f"127.0.0.1:{there}"), 0)
    with pytest.raises(OSError, match=f"no connection to 127.0.0.1:{there}"):
        cluster.wait_for_workers(pair, timeout=0)
    assert capsys.readouterr().out == f"waiting for 127.0.0.1:{there}\n"


def test_the_error_names_a_port_in_use():
    with socket.create_server(("", 0)) as door:
        address = f"127.0.0.1:{door.getsockname()[1]}"
        with pytest.raises(OSError, match=f"in use.* Received: {address} in"):
            cluster.wait_for_workers(
                cluster.Cluster((address, "127.0.0.1:1"), 0), timeout=0
            )


# Devices are divided before TensorFlow uses them, hence in a separate process.
SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
from fovea.models import augmentation, backend
backend.prepare()
import keras
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from fovea.training.datasets import load
from fovea.training.loop import checkpoint
from fovea.training.loop.distribution import strategies
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs.load import load_model

found = {}
digits = load.load("mnist_sample")
digits = dataclasses.replace(
    digits, x_train=digits.x_train[:100], y_train=digits.y_train[:100]
)
recipe = Recipe(epochs=2, batch_size=32, augmentation="none", optimizer="sgd",
    learning_rate=0.05, clip_norm=0.5, weight_decay=0.01, ema=0.5)
weights = []
for name in ("single", "mirrored"):
    run = Path(sys.argv[1]) / name
    metrics = train("lenet5", digits, run, recipe, strategy=name)
    weights.append(load_model(run).get_weights())
    found[name] = [metrics["train"]["loss"], metrics["validation"]["loss"]]
found["difference"] = max(float(np.abs(a - b).max()) for a, b in zip(*weights))
try:
    compiled = dataclasses.replace(recipe, xla=True)
    train("lenet5", digits, Path(sys.argv[1]) / "xla", compiled, strategy="mirrored")
except ValueError as error:
    found["xla"] = str(error)
environment = json.loads((run / "environment.json").read_text())

write, found["mid_epoch"] = checkpoint.write, []
def note(path, state):
    if state.step == 1:
        means = [v for v in state.model if v.shape == (8,)][2]  # after two biases
        found["mid_epoch"].append(means.tolist())
    write(path, state)
checkpoint.write = note
recipe = Recipe(epochs=1, batch_size=30, drop_last=True, augmentation="none",
    optimizer="sgd", options={"widths": [8, 4, 4]})
for name in ("single", "mirrored"):
    train("speednet", digits, Path(sys.argv[1]) / f"{name}_steps", recipe,
        strategy=name, save_every=1)
found["replicas"] = environment["replicas"]

two = strategies.resolve("mirrored")
with two.scope():
    inputs = keras.Input((4, 4, 1))
    flip = augmentation.AlternatingFlip((0.0, 1.0))
    shift = augmentation.RandomShift(2)
    distorted = keras.Model(inputs, shift(flip(inputs)))
    normalise = keras.layers.BatchNormalization(momentum=0.5)
    x = keras.layers.Flatten()(normalise(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse")

def values(parts):
    return [part.numpy().tolist() for part in two.experimental_local_results(parts)]

draw = tf.function(lambda: two.run(lambda: shift.draw(tf.zeros((5, 1)))))
for when in ("alike", "apart", "apart_again"):
    state = shift.generator.state.numpy()
    found[when] = values(draw())
    shift.generator.state.assign(state)
    strategies.spread_seeds(distorted, two)
halves = tf.function(lambda: two.run(lambda: flip.halves(digits.x_test[:50] / 255)))
found["halves"] = values(halves())

images = np.zeros((8, 4, 4, 1), "float32")
images[4:] += np.arange(4).reshape(4, 1, 1, 1)
model.fit(images, np.zeros((8, 2)), batch_size=8, shuffle=False,
    verbose=0, callbacks=[strategies.AverageStatistics(two)])
found["mean"] = [float(v.numpy()[0]) for v in normalise.moving_mean.value.values]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment.pop("TF_CONFIG", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("runs"))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_two_devices_train_as_one(two_devices):
    """With clipping, weight decay, momentum and averages: the gradients are sums."""
    assert two_devices["replicas"] == 2
    assert two_devices["difference"] < 1e-4
    assert two_devices["mirrored"] == pytest.approx(two_devices["single"], rel=1e-4)


@pytest.mark.slow
def test_xla_with_two_devices_is_rejected(two_devices):
    assert "Received: xla=True with 2 devices" in two_devices["xla"]


@pytest.mark.slow
def test_each_device_draws_different_numbers(two_devices):
    first, second = two_devices["alike"]
    assert first == second  # what Keras does by itself
    first, second = two_devices["apart"]
    assert first == two_devices["alike"][0]
    assert not set(first) & set(second)
    assert two_devices["apart_again"] == two_devices["apart"]


@pytest.mark.slow
def test_an_image_is_in_the_same_half_on_every_device(two_devices):
    first, second = two_devices["halves"]
    assert first == second and len(set(first)) == 2


@pytest.mark.slow
def test_batch_statistics_are_averaged_over_devices(two_devices):
    # The first device saw zeros, the second 0 to 3; the average began at 0.
    assert two_devices["mean"] == pytest.approx([0.375, 0.375])


@pytest.mark.slow
def test_a_checkpoint_within_an_epoch_holds_the_averages(two_devices):
    alone, together = two_devices["mid_epoch"]
    assert max(map(abs, alone)) > 0.01
    assert together == pytest.approx(alone, abs=1e-5)
