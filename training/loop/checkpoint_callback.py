"""After every epoch: evaluate the model, and save what the run resumes from."""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from fovea.training.loop import checkpoint
from fovea.training.loop.checkpoint import State
from fovea.training.loop.validation_model import ValidationModel
from fovea.training.runs import directory as runs


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first of the rows of history.csv with the best held-out accuracy."""
    evaluated = [row for row in rows if "val_accuracy" in row]
    return max(evaluated, key=lambda row: row["val_accuracy"], default=None)


def stops_early(rows: list[dict[str, Any]], patience: int) -> bool:
    """Return whether the last `patience` epochs brought no better accuracy."""
    best = best_row(rows)
    return bool(patience and best and rows[-1]["epoch"] - best["epoch"] >= patience)


class CheckpointCallback(keras.callbacks.Callback):
    """Evaluate, record and save; end the training when it should end.

    The process may be killed at any moment because of the order in which files are
    written: first the checkpoint, which alone says how far the run has come, then
    what can be written again from it.

    Args:
        state: The state of the run; kept up to date.
        validation_model: The model that is evaluated and saved.
        run: The run directory, or None in a process that does not write.
        steps_per_epoch: Steps in an epoch.
        patience: Epochs without a better held-out accuracy after which training ends;
            0: never.
        save_every: Steps between checkpoints within an epoch, or None for none.
        before_saving: Called in every process before such a checkpoint.

    Attributes:
        status: "complete", "interrupted" or "diverged".
        not_saved: For each failed write the file's name and the reason.
    """

    def __init__(
        self,
        state: State,
        validation_model: ValidationModel,
        run: Path | None,
        *,
        steps_per_epoch: int,
        patience: int = 0,
        save_every: int | None = None,
        before_saving: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self.state = state
        self.validation_model = validation_model
        self.run = run
        self.steps_per_epoch = steps_per_epoch
        self.patience = patience
        self.save_every = save_every
        self.before_saving = before_saving
        self.status = "complete"
        self.not_saved: list[str] = []
        self.started = time.perf_counter() - state.seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restore the metrics of an epoch that is resumed within it."""
        self.step = self.state.step
        if self.step:
            for variable, value in zip(
                self.model.metrics_variables, self.state.metrics, strict=True
            ):
                variable.assign(value)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Stop when the loss is not finite; save every `save_every` steps."""
        self.step += 1
        if logs is not None and not math.isfinite(logs["loss"]):
            self.status = "diverged"
            self.model.stop_training = True
        elif self.save_every and self.step % self.save_every == 0:
            self.before_saving()
            self.save_step()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate the model, and save the checkpoint and what follows from it."""
        logs = {} if logs is None else logs
        state, diverged = self.state, self.status == "diverged"
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        validation = {} if diverged else self._evaluate()
        logs.update(validation)  # for the callbacks after this one
        row = {
            "epoch": epoch,
            "loss": logs["loss"],
            "accuracy": logs["accuracy"],
            **validation,
            "learning_rate": float(f"{rate:.6g}"),  # of the next step
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        state.rows.append(row)
        if diverged:  # its weights are useless and replace no others
            self.save("history.csv", self._write_history)
            return
        state.epoch, state.step = epoch + 1, 0
        state.seconds = row["seconds"]
        state.capture(self.model)
        self.save(runs.CHECKPOINT, lambda path: checkpoint.write(path, state))
        self.write_results()
        if stops_early(state.rows, self.patience):
            self.model.stop_training = True

    def write_results(self) -> None:
        """Write history and models, which follow from the checkpoint of an epoch."""
        rows = self.state.rows
        self.save("history.csv", self._write_history)
        self.save(
            runs.MODEL, lambda path: runs.save_model(path, self.validation_model.model)
        )
        if best_row(rows) is rows[-1]:
            self.save(runs.BEST, lambda path: runs.copy(path.parent / runs.MODEL, path))

    def save_step(self) -> None:
        """Write a checkpoint within an epoch."""
        if not 0 < self.step < self.steps_per_epoch:
            return
        self.state.step = self.step
        self.state.seconds = time.perf_counter() - self.started
        self.state.capture(self.model)
        self.save(runs.CHECKPOINT, lambda path: checkpoint.write(path, self.state))

    def handle_interrupt(self) -> None:
        """Save the state at a Ctrl-C."""
        self.status = "interrupted"
        if self.model is None:  # before the first step
            return
        # Ctrl-C may have come between a step and its count.
        iterations = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        self.step = iterations - self.state.epoch * self.steps_per_epoch
        self.save_step()
        if self.run is not None and not (self.run / runs.MODEL).exists():
            self.validation_model.copy_weights(self.model)
            self.save(
                runs.MODEL,
                lambda path: runs.save_model(path, self.validation_model.model),
            )

    def save(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file of the run; an error such as a full disk is only reported."""
        if self.run is None:
            return
        try:
            write(self.run / name)
        # h5py, which Keras saves with, raises RuntimeError.
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            if not self.not_saved:
                with contextlib.suppress(OSError):
                    print(
                        f"fovea: warning: {self.run / name} could not be written "
                        f"({reason}); training continues",
                        file=sys.stderr,
                        flush=True,
                    )
            self.not_saved.append(f"{name}: {reason}")

    def _evaluate(self) -> dict[str, float]:
        self.validation_model.copy_weights(self.model)
        return self.validation_model.evaluate()

    def _write_history(self, path: Path) -> None:
        runs.write_history(path, self.state.rows)
