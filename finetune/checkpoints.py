"""Checkpoints of the library's trainer that are whole or not there, and that a training goes on from as if it had never stopped.

    CHECKPOINTS/checkpoint-N/           after N optimizer steps
        trained.safetensors             the weights that training changes, under their names in the model
        optimizer.pt, scheduler.pt      momenta, learning rates
        rng_state*.pth                  random numbers of each process
        loss_window_*.json              each process's losses since the last record
        trainer_state.json              step, best loss, state of the callbacks
        checkpoint.json                 see finetune.checkpoint_record
    CHECKPOINTS/.checkpoint-N.tmp/      one that is being written

Under FSDP weights and optimizer lie in the formats of accelerate. With several machines the folder must be one that all see.
Nothing is unpickled: tensors are loaded with `weights_only`.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.api import CheckpointException
from transformers import EarlyStoppingCallback

from drive_vqa.errors import DriveVqaError, ModelError
from finetune.checkpoint_record import DamagedError, Origin, Record, check_origin, read_record, write_record
from finetune.first_process import in_first_process

logger = logging.getLogger(__name__)

CHECKPOINTS_KEPT = 2
"""The newest; the best one is kept besides."""

PREFIX = "checkpoint-"
TRAINED = "trained.safetensors"
STATE = "trainer_state.json"
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError, SafetensorError)
TORCH_WRITERS = ("PytorchStreamWriter", "inline_container", "iostream")
"""Words in the messages of torch when writing fails; it does not say why."""


class AtomicCheckpoints:
    """Mixed into `transformers.Trainer`, before it, to write and read checkpoints as this file says."""

    args: Any
    accelerator: Any
    model: Any
    state: Any
    callback_handler: Any
    is_fsdp_enabled: bool

    def __init__(self, *, origin: Origin, **options: Any) -> None:
        """Prepare.

        Args:
            origin: what the training is made from.
            options: of the trainer.
        """
        super().__init__(**options)
        self.args.restore_callback_states_from_checkpoint = True  # the patience that is left
        self._origin = origin
        self._writing_in: Path | None = None

    def _get_output_dir(self, trial: Any) -> str:
        """Where the trainer puts checkpoints: while one is written, in a hidden folder."""
        place: str = super()._get_output_dir(trial)  # type: ignore[misc]
        return place if self._writing_in is None else str(self._writing_in)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        final = folder / f"{PREFIX}{self.state.global_step}"
        hidden = folder / f".{final.name}.tmp"
        with _disk_errors_told(folder):
            try:
                self._write(model, trial, hidden, final)
                if self.args.should_save:
                    _put_in_place(hidden / final.name, final)
                    rotate(folder, self.state.global_step, self.state.best_global_step)
            finally:
                if self.args.should_save:
                    shutil.rmtree(hidden, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _write(self, model: Any, trial: Any, hidden: Path, final: Path) -> None:
        """Everything of a checkpoint, on the disk itself and not only in its cache, in `hidden`."""
        if self.args.should_save:
            shutil.rmtree(hidden, ignore_errors=True)
            hidden.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        self._writing_in = hidden
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
        finally:
            self._writing_in = None
        if self.state.best_global_step == self.state.global_step:
            self.state.best_model_checkpoint = str(final)  # and not where it is written
        self.accelerator.wait_for_everyone()  # until the files of all processes are there
        if self.args.should_save:
            self.state.save_to_json(str(hidden / final.name / STATE))
            write_record(hidden / final.name, self.state.global_step, self._origin)
            _sync(hidden)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        """The weights that training changes, under their own names.

        The library would write all of a model that is trained in full, under names that it does not know again when it loads it.
        """
        del state_dict  # given under FSDP alone, where accelerate writes the weights
        if not self.args.should_save or self.is_fsdp_enabled:
            return
        folder = Path(self.args.output_dir if output_dir is None else output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().contiguous() for name, weight in _trained(self.model).items()}
        save_file(weights, folder / TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with _told_as_unreadable(resume_from_checkpoint):
            if self.is_fsdp_enabled:
                super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            else:
                load_trained(self.model if model is None else model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        logger.info("the best checkpoint is %s (%.4g)", best, self.state.best_metric)
        with _told_as_unreadable(best):
            if self.is_fsdp_enabled:
                super()._load_best_model()  # type: ignore[misc]
            else:
                load_trained(self.model, Path(best))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _told_as_unreadable(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]

    def _init_training_state(self, *arguments: Any, **options: Any) -> tuple[int, int]:
        """As the library does, with the best checkpoint beside the others, even where the run folder has moved.

        A training whose patience has run out is at its end.
        """
        passes_done, batches_done = super()._init_training_state(*arguments, **options)  # type: ignore[misc]
        best = Path(self.args.output_dir) / f"{PREFIX}{self.state.best_global_step}"
        if self.state.best_global_step and best.is_dir():
            self.state.best_model_checkpoint = str(best)
        is_over = any(map(_has_lost_patience, self.callback_handler.callbacks))
        return (sys.maxsize if is_over else passes_done), batches_done

    def _save_rng_state(self, output_dir: str) -> None:
        """Random numbers, and the losses that the next record is the mean of, of this process."""
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        window = {"loss": self._tr_loss.item(), "last_record": self._globalstep_last_logged}
        path = Path(output_dir) / f"loss_window_{self.args.process_index}.json"
        path.write_text(json.dumps(window), encoding="utf-8")

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with _told_as_unreadable(checkpoint):
            super()._load_rng_state(checkpoint)  # type: ignore[misc]
            if checkpoint is not None:
                self._load_loss_window(Path(checkpoint))

    def _load_loss_window(self, checkpoint: Path) -> None:
        """Go on with the sum of losses; the library starts it anew, so that the first record was the mean of fewer steps."""
        paths = sorted(checkpoint.glob("loss_window_*.json"))
        windows = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        losses = [float(window["loss"]) for window in windows]
        own = self.args.process_index
        # a record is the mean over all processes: where these were more or fewer, each gets that mean
        loss = losses[own] if len(losses) == self.args.world_size else sum(losses) / len(losses)
        self._tr_loss = torch.tensor(loss, device=self.args.device)
        self._globalstep_last_logged = int(windows[0]["last_record"])


def last_checkpoint(folder: Path, origin: Origin | None = None) -> Path | None:
    """The newest whole checkpoint; None where there is none at all. Leftovers of killed writers are removed.

    In a distributed training all processes must call it: the first one looks and tells the others.

    Args:
        folder: of the checkpoints.
        origin: of the training that wants to go on.

    Raises:
        ModelError: there are checkpoints, and all of them are damaged.
        ConfigError: the checkpoint is of a training with other settings, other data or another base.
    """
    return in_first_process(lambda: _last_checkpoint(folder, origin))


def step_of(checkpoint: Path) -> int:
    """Optimizer steps done at a checkpoint."""
    return int(checkpoint.name.removeprefix(PREFIX))


def load_trained(model: torch.nn.Module, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into the parameters of a model that are trained.

    Raises:
        ModelError: they are not the same parameters.
    """
    weights, parameters = load_file(checkpoint / TRAINED), _trained(model)
    unlike = sorted(set(weights) ^ set(parameters)) or [
        name for name, weight in weights.items() if weight.shape != parameters[name].shape
    ]
    if unlike:
        raise ModelError(
            f"{checkpoint / TRAINED} does not fit the model, e.g. in {unlike[0]}: "
            "--resume with the base and the settings of the run"
        )
    with torch.no_grad():
        for name, weight in weights.items():
            parameters[name].copy_(weight)


def rotate(folder: Path, newest: int, best: int | None) -> None:
    """Remove old checkpoints.

    Args:
        folder: of the checkpoints.
        newest: step of the one just written; later ones are left of a run that went on from an older one, and will be replaced.
        best: step of one that is kept in any case.
    """
    steps = sorted(step for step in map(step_of, _found(folder)) if step <= newest)
    for step in steps[:-CHECKPOINTS_KEPT]:
        if step != best:
            _remove(folder / f"{PREFIX}{step}")


def _trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _has_lost_patience(callback: Any) -> bool:
    stops_early = isinstance(callback, EarlyStoppingCallback)
    return stops_early and callback.early_stopping_patience_counter >= callback.early_stopping_patience


def _last_checkpoint(folder: Path, origin: Origin | None) -> Path | None:
    for leftover in folder.glob(f".{PREFIX}*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    reasons = []
    for checkpoint in _found(folder):
        try:
            record = read_record(checkpoint)
        except DamagedError as damage:
            reasons.append(f"{checkpoint} is damaged: {damage}")
            continue
        _accept(checkpoint, record, reasons, origin)
        return checkpoint
    if reasons:
        raise ModelError(f"no checkpoint can be gone on from, {'; '.join(reasons)}: delete {folder} to start anew")
    return None


def _accept(checkpoint: Path, record: Record, reasons: list[str], origin: Origin | None) -> None:
    for reason in reasons:
        logger.warning("%s; going on from %s", reason, checkpoint.name)
    if origin is not None:
        check_origin(checkpoint, record, origin)


def _found(folder: Path) -> list[Path]:
    """All that look like checkpoints, newest first."""
    named = [path for path in folder.glob(f"{PREFIX}*") if path.is_dir() and path.name.removeprefix(PREFIX).isdecimal()]
    return sorted(named, key=step_of, reverse=True)


def _put_in_place(written: Path, final: Path) -> None:
    if final.exists():  # damaged, or of a run that went on from an older one
        _remove(final)
    written.rename(final)
    _sync_folder(final.parent)


def _remove(checkpoint: Path) -> None:
    """Under its name a checkpoint is whole, also when removal is cut short."""
    hidden = checkpoint.with_name(f".{checkpoint.name}.old.tmp")
    checkpoint.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Wait until a folder and all in it are on the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            _sync_folder(path)
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot do this with folders
            raise
    finally:
        os.close(number)


@contextmanager
def _disk_errors_told(folder: Path) -> Iterator[None]:
    """Turn failures to write into one sentence; torch and safetensors hide the system's error in errors of their own."""
    try:
        yield
    except OSError as error:
        raise _not_written(folder, error.strerror or str(error)) from error
    except SafetensorError as error:
        raise _not_written(folder, str(error)) from error
    except CheckpointException as error:
        raise _not_written(folder, "; ".join(str(failure[0]) for failure in error.failures.values())) from error
    except RuntimeError as error:
        if not any(word in str(error) for word in TORCH_WRITERS):
            raise
        raise _not_written(folder, str(error)) from error


def _not_written(folder: Path, reason: str) -> ModelError:
    free_mb = shutil.disk_usage(folder).free / 1e6 if folder.exists() else 0.0
    short = " ".join(reason.split())[:200]
    return ModelError(
        f"a checkpoint cannot be written in {folder}, where {free_mb:.0f} MB are free ({short}): "
        "make room or give the run a place to write, then --resume"
    )


@contextmanager
def _told_as_unreadable(checkpoint: str | None) -> Iterator[None]:
    try:
        yield
    except (DriveVqaError, torch.OutOfMemoryError):
        raise
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"checkpoint {checkpoint} cannot be loaded ({reason}): delete it and --resume again"
        ) from error
