"""After every epoch: judge the model, and keep what the run goes on from."""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras

from fovea.training.loop import checkpoint
from fovea.training.loop.checkpoint import State
from fovea.training.loop.validation_model import Judge
from fovea.training.runs import directory as runs


def best_row(rows: list[dict]) -> "dict | None":
    """Return the first of the rows of history.csv with the best held-out accuracy."""
    judged = [row for row in rows if "val_accuracy" in row]
    return max(judged, key=lambda row: row["val_accuracy"], default=None)


def stops_early(rows: list[dict], patience: int) -> bool:
    """Return whether the last `patience` epochs brought no better accuracy."""
    best = best_row(rows)
    return bool(patience and best and rows[-1]["epoch"] - best["epoch"] >= patience)


class Keeper(keras.callbacks.Callback):
    """Judges, records and saves; ends the training when it should end.

    The order in which files are written makes every moment a good one to be killed:
    the checkpoint first, which alone says how far the run has come, and then what
    follows from it and can be made from it again.

    Args:
        state: Where the run stands; kept up to date.
        judge: The model that is judged and saved.
        run: The run directory, or None in a process that is not to write.
        steps_per_epoch: Steps in an epoch.
        patience: Epochs without a better held-out accuracy that end the training;
            0: none do.
        save_every: Steps between checkpoints within an epoch, or None for none.
        before_saving: Called in every process before such a checkpoint.
    """

    def __init__(
        self,
        state: State,
        judge: Judge,
        run: "Path | None",
        *,
        steps_per_epoch: int,
        patience: int = 0,
        save_every: "int | None" = None,
        before_saving: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self.state = state
        self.judge = judge
        self.run = run
        self.steps_per_epoch = steps_per_epoch
        self.patience = patience
        self.save_every = save_every
        self.before_saving = before_saving
        self.status = "complete"
        self.not_saved: list[str] = []
        self.started = time.perf_counter() - state.seconds

    def on_epoch_begin(self, epoch, logs=None):
        self.step = self.state.step
        if self.step:  # the figures of the epoch's first part, before a resumption
            for variable, value in zip(
                self.model.metrics_variables, self.state.metrics, strict=True
            ):
                variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if not math.isfinite(logs["loss"]):
            self.status = "diverged"
            self.model.stop_training = True
        elif self.save_every and self.step % self.save_every == 0:
            self.before_saving()
            self.keep_step()

    def on_epoch_end(self, epoch, logs=None):
        state, diverged = self.state, self.status == "diverged"
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        judged = {} if diverged else self._judged()
        logs.update(judged)  # for the callbacks after this one
        row = {
            "epoch": epoch,
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            **judged,
            "learning_rate": float(f"{rate:.6g}"),  # of the next step
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        state.rows.append(row)
        if diverged:  # weights that are worth nothing replace no others
            self.save("history.csv", self._write_history)
            return
        state.epoch, state.step = epoch + 1, 0
        state.seconds = row["seconds"]
        state.take(self.model)
        self.save(runs.CHECKPOINT, lambda path: checkpoint.write(path, state))
        self.publish()
        if stops_early(state.rows, self.patience):
            self.model.stop_training = True

    def publish(self) -> None:
        """Write what follows from the checkpoint of a whole epoch."""
        rows = self.state.rows
        self.save("history.csv", self._write_history)
        self.save(runs.MODEL, lambda path: runs.save_model(path, self.judge.model))
        if best_row(rows) is rows[-1]:
            self.save(runs.BEST, lambda path: runs.copy(path.parent / runs.MODEL, path))

    def keep_step(self) -> None:
        """Write a checkpoint of a moment within an epoch."""
        if not 0 < self.step < self.steps_per_epoch:
            return
        self.state.step = self.step
        self.state.seconds = time.perf_counter() - self.started
        self.state.take(self.model)
        self.save(runs.CHECKPOINT, lambda path: checkpoint.write(path, self.state))

    def interrupted(self) -> None:
        """Keep the moment of a Ctrl-C."""
        self.status = "interrupted"
        if self.model is None:  # before the first step
            return
        # Which may have come between a step and its count.
        iterations = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        self.step = iterations - self.state.epoch * self.steps_per_epoch
        self.keep_step()
        if self.run is not None and not (self.run / runs.MODEL).exists():
            self.judge.take(self.model)
            self.save(runs.MODEL, lambda path: runs.save_model(path, self.judge.model))

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """Write a file of the run; a full disk must not end the training."""
        if self.run is None:
            return
        try:
            write(self.run / name)
        # h5py, which Keras saves with, has errors of another kind.
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            if not self.not_saved:
                with contextlib.suppress(OSError):
                    print(
                        f"fovea: warning: {self.run / name} could not be written "
                        f"({reason}); training goes on",
                        file=sys.stderr,
                        flush=True,
                    )
            self.not_saved.append(f"{name}: {reason}")

    def _judged(self) -> dict[str, float]:
        self.judge.take(self.model)
        return self.judge.measure()

    def _write_history(self, path: Path) -> None:
        runs.write_history(path, self.state.rows)
