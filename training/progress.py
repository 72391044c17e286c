"""What a person sees while a model trains."""

import sys
import time

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class EpochProgress(keras.callbacks.Callback):
    """A bar with speed and time left; without a terminal, a line an epoch.

    Args:
        images: Number of training images in an epoch.
        batch_size: Images in a step.
    """

    def __init__(self, images: int, batch_size: int):
        super().__init__()
        self.images = images
        self.batch_size = batch_size
        self.console = Console(file=sys.stdout)
        self.bar: Progress | None = None

    def on_train_begin(self, logs=None):
        self.steps_done = 0
        self.started = time.perf_counter()
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[speed]:>7,.0f} images/s"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            steps = -(-self.images // self.batch_size) * self.params["epochs"]
            self.task = self.bar.add_task("training", total=steps, speed=0.0)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self.bar is not None:
            seconds = time.perf_counter() - self.epoch_started
            speed = (batch + 1) * self.batch_size / seconds
            self.bar.update(self.task, completed=self.steps_done, speed=speed)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        seconds = time.perf_counter() - self.epoch_started
        figures = [f"epoch {epoch + 1:>3}/{self.params['epochs']}"]
        figures.append(f"loss {logs['loss']:.4f}")
        figures.append(f"accuracy {logs['accuracy']:.4f}")
        if "val_accuracy" in logs:
            figures.append(f"held-out accuracy {logs['val_accuracy']:.4f}")
        figures.append(f"{seconds:.1f} s")
        figures.append(f"{self.images / seconds:,.0f} images/s")
        self.console.print("  ".join(figures), highlight=False, soft_wrap=True)

    def close(self):
        """Take the bar off the terminal; also after an interruption."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
