"""Print the progress of training."""

import sys
import time
from typing import Any

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
    """Show a bar with speed and remaining time; without a terminal, a line an epoch.

    Args:
        batch_size: Images in a step.
        steps_per_epoch: Steps in an epoch.
        epochs: Epochs of the whole run.
        done: Number of steps done before.
    """

    def __init__(self, batch_size: int, steps_per_epoch: int, epochs: int, done: int):
        super().__init__()
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps = steps_per_epoch * epochs
        self.done = done
        self.console = Console(file=sys.stdout)
        self.bar: Progress | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar."""
        if self.bar is None and self.console.is_terminal:
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
            self.task = self.bar.add_task(
                "training", total=self.steps, completed=self.done, speed=0.0
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start to measure the speed."""
        self.epoch_started = time.perf_counter()
        self.speed = 0.0

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Advance the bar by a step."""
        self.done += 1
        seconds = time.perf_counter() - self.epoch_started
        self.speed = (batch + 1) * self.batch_size / seconds
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, speed=self.speed)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the metrics of the epoch."""
        logs = logs or {}
        figures = [f"epoch {epoch + 1:>3}/{self.epochs}"]
        figures.append(f"loss {logs['loss']:.4f}")
        figures.append(f"accuracy {logs['accuracy']:.4f}")
        if "val_accuracy" in logs:
            figures.append(f"held-out accuracy {logs['val_accuracy']:.4f}")
        figures.append(f"{time.perf_counter() - self.epoch_started:.1f} s")
        figures.append(f"{self.speed:,.0f} images/s")
        self.console.print("  ".join(figures), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bar from the terminal; also after an interruption."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
