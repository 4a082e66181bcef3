"""The training loop: counts steps, and is the same whether it runs at once, in pieces or on several devices.

Devices, precision, gradient clipping and the exchange of gradients are Lightning Fabric's.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aeedge.models import build_model, count_parameters
from aeedge.training import randomness
from aeedge.training.average import Average
from aeedge.training.batches import Batch, BatchSource, StepInfo, sample_size
from aeedge.training.checkpoint import (
    Counters,
    load_optimizer,
    load_weights,
    optimizer_tensors,
    read_checkpoint,
    under,
    write_checkpoint,
)
from aeedge.training.config import RunConfig
from aeedge.training.corruption import Corruption
from aeedge.training.data import open_dataset
from aeedge.training.hardware import Hardware
from aeedge.training.logbook import Logbook
from aeedge.training.objectives import build_objective
from aeedge.training.optimizers import build_optimizer, learning_rate
from aeedge.training.pictures import save_curves
from aeedge.training.reporter import Reporter, Silent
from aeedge.training.run import checkpoint_path, prepare_folder, write_config
from aeedge.training.stop import StopRequest
from aeedge.training.validation import Validator
from aeedge_runtime.errors import AeedgeError, ArgumentError

CHECKPOINT_SECONDS = 300.0
"""A checkpoint is also written when the last one is older than this."""


class TrainingModule(nn.Module):
    """Model and objective as one module, so that Fabric sees every weight and every forward pass."""

    def __init__(self, model: Any, objective: nn.Module, seed: int, max_steps: int) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.seed, self.max_steps = seed, max_steps

    def forward(self, target: Tensor, source: Tensor, step: int, first: int) -> dict[str, Tensor]:
        """Return the objective's parts for samples `first` ... of the batch of a step, [N, C, H, W] each."""
        info = StepInfo(step, self.max_steps, self.seed, first)
        parts: dict[str, Tensor] = self.objective(self.model, Batch(target, source), info)
        return parts


class Engine:
    """One process's share of a run.

    Args:
        fabric: a launched `lightning.fabric.Fabric`.
        config: the run's config.
        out: the run folder.
        weights: initial weights of the model, or None to draw them.
        reporter: told what happens.
    """

    def __init__(
        self, fabric: Any, config: RunConfig, out: Path, weights: Mapping[str, Tensor] | None, reporter: Reporter
    ) -> None:
        training = config.training
        self.fabric, self.config, self.out, self.reporter = fabric, config, out, reporter
        model = _initial_model(config, weights)
        self.source, self.validator = _open_data(config, model, fabric)
        self.max_steps = training.max_steps or math.ceil(training.epochs * self.source.steps_per_epoch)
        with _seeded(training.seed, "objective"):
            objective = build_objective(training.loss, model)
        self.module = TrainingModule(model, objective, training.seed, self.max_steps)
        if training.channels_last:
            self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if training.trainable == "decoder":
            for name, parameter in self.module.named_parameters():
                parameter.requires_grad_(name.startswith("model.decoder."))
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(trained, training.optimizer)
        self.wrapped, self.stepper = fabric.setup(self.module, self.optimizer)
        self.average = Average(self.module.model, training.ema_decay) if training.ema_decay else None
        self.counters = Counters()
        self.places = _places(training.batch_size, training.accumulate, fabric)
        self._saved = time.monotonic()

    @property
    def shown(self) -> Any:
        """The model that is validated and kept: the average of the weights where there is one."""
        return self.average.model if self.average else self.module.model

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint of the same config.

        Raises:
            InputError: it is missing, damaged, of another version or of another model.
        """
        tensors, self.counters = read_checkpoint(path)
        load_weights(self.module.model, under(tensors, "model"), path)
        load_weights(self.module.objective, under(tensors, "objective"), path)
        if self.average:
            load_weights(self.average.model, under(tensors, "ema"), path)
        load_optimizer(self.optimizer, under(tensors, "optimizer"))

    def save(self) -> None:
        """Write the last checkpoint, in the first process."""
        self._saved = time.monotonic()
        if not self.fabric.is_global_zero:
            return
        tensors = {f"model.{name}": value for name, value in self.module.model.state_dict().items()}
        tensors |= {f"objective.{name}": value for name, value in self.module.objective.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        if self.average:
            tensors |= {f"ema.{name}": value for name, value in self.average.model.state_dict().items()}
        write_checkpoint(checkpoint_path(self.out, "last"), tensors, self.counters)

    def fit(self, stop: StopRequest) -> str:
        """Train to the last step or until told to stop; return why it ended."""
        start, training = self.counters.step, self.config.training
        self._open_logbook(start)
        self.reporter.start(start, self.max_steps, len(self.source.images), count_parameters(self.module.model))
        reason = "finished"
        clock = _Clock(training.batch_size)
        for step, batches in enumerate(self.source.parts(start, self.max_steps, self.places), start):
            rate = learning_rate(training.optimizer, step, self.max_steps)
            parts = self._optimise(step, batches, rate)
            asked = self._agree(bool(stop))
            self._count(step, parts)
            self.reporter.step(step + 1, parts["loss"], clock.tick())
            ended = step + 1 == self.max_steps or (asked and not stop.interrupted)
            if ended or self._validation_due(step + 1):
                self._validate(rate, clock)
                if training.patience and self.counters.stale >= training.patience:
                    reason = f"no improvement in {self.counters.stale} validations"
                    break
            elif self._checkpoint_due(step + 1):
                self.save()
            if asked:
                reason = "interrupted" if stop.interrupted else "time is up"
                break
        self.save()
        self._close_logbook()
        self.reporter.finish(reason)
        return reason

    def _optimise(self, step: int, batches: list[Batch], rate: float) -> dict[str, float]:
        """Do one optimiser step; return the mean of the objective's parts over its batches."""
        training = self.config.training
        self.wrapped.train()
        if training.trainable == "decoder":
            self.module.model.encoder.eval()  # its normalisation statistics are frozen too
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        sums: dict[str, float] = {}
        for number, ((first, _), batch) in enumerate(zip(self.places, batches, strict=True), 1):
            batch = batch.to(self.fabric.device, training.channels_last)
            with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches)):
                parts = self.wrapped(batch.target, batch.source, step, first)
                self._require_finite(parts["loss"], batch, step)
                self.fabric.backward(parts["loss"] / len(batches))
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(batches)
        if training.clip_norm:
            norm = self.fabric.clip_gradients(
                self.wrapped, self.stepper, max_norm=training.clip_norm, error_if_nonfinite=False
            )
            self._require_finite(norm, batches[-1], step)
        self.stepper.step()
        self.stepper.zero_grad()
        if self.average:
            self.average.update(self.module.model, step)
        return sums

    def _require_finite(self, value: Tensor, batch: Batch, step: int) -> None:
        if bool(torch.isfinite(value)):
            return
        place = self.out / "non-finite" / f"step-{step}-process-{self.fabric.global_rank}.safetensors"
        write_checkpoint(place, {"target": batch.target, "source": batch.source.clone()}, replace(self.counters, step=step))
        raise AeedgeError(
            f"the loss or its gradient became {float(value)} at step {step}; the batch is in {place}, the weights before it "
            "in the last checkpoint; try a lower learning rate or gradient clipping (training.clip_norm)"
        )

    def _agree(self, stop: bool) -> bool:
        """Return whether any process wants to stop."""
        if self.fabric.world_size == 1:
            return stop
        votes = self.fabric.all_reduce(torch.tensor(float(stop), device=self.fabric.device), reduce_op="sum")
        return bool(votes > 0)

    def _count(self, step: int, parts: Mapping[str, float]) -> None:
        before = self.counters.sums or {}
        sums = {name: before.get(name, 0.0) + value for name, value in parts.items()}
        epoch = (step + 1) / self.source.steps_per_epoch
        self.counters = replace(
            self.counters, step=step + 1, epoch=epoch, sums=sums, summed=self.counters.summed + 1
        )
        if self.logbook and (step + 1) % 20 == 0:
            self.logbook.add_step(step + 1, parts)

    def _validation_due(self, step: int) -> bool:
        every = self.config.training.validate_steps
        if every:
            return step % every == 0
        return int(step / self.source.steps_per_epoch) > int((step - 1) / self.source.steps_per_epoch)

    def _checkpoint_due(self, step: int) -> bool:
        every = self.config.training.checkpoint_steps
        return bool(every and step % every == 0) or time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def _validate(self, rate: float, clock: "_Clock") -> None:
        """Measure, log, keep the best weights and write both checkpoints."""
        counters = self.counters
        picture = self.out / "reconstructions" / f"step-{counters.step:07}.png"
        measured = self.validator.measure(self.shown, self.module, picture)
        loss = measured["loss"]
        better = counters.best_loss is None or loss < counters.best_loss
        row = {"step": counters.step, "epoch": round(counters.epoch, 4), "learning_rate": rate, **clock.lap()}
        row |= {f"train_{name}": value / counters.summed for name, value in (counters.sums or {}).items()}
        row |= {f"val_{name}": value for name, value in measured.items()}
        self.counters = replace(
            counters,
            loss=loss,
            best_loss=loss if better else counters.best_loss,
            best_step=counters.step if better else counters.best_step,
            stale=0 if better else counters.stale + 1,
            sums=None,
            summed=0,
        )
        if self.logbook:
            self.logbook.add(row)
            save_curves(self.out)
        if better and self.fabric.is_global_zero:
            self._save_best()
        self.save()
        self.reporter.validated(row, better)

    def _save_best(self) -> None:
        tensors = {f"model.{name}": value for name, value in self.shown.state_dict().items()}
        tensors |= {f"objective.{name}": value for name, value in self.module.objective.state_dict().items()}
        write_checkpoint(checkpoint_path(self.out, "best"), tensors, self.counters)

    def _open_logbook(self, step: int) -> None:
        self.logbook = Logbook(self.out, step) if self.fabric.is_global_zero else None
        if not self.fabric.is_global_zero:
            self.reporter = Silent()

    def _close_logbook(self) -> None:
        if self.logbook:
            self.logbook.close()
        self.fabric.barrier()


class _Clock:
    """Counts images per second."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size, self._steps = batch_size, 0
        self._start = self._lap = time.monotonic()

    def tick(self) -> float:
        self._steps += 1
        return self._batch_size * self._steps / max(time.monotonic() - self._lap, 1e-9)

    def lap(self) -> dict[str, float]:
        now = time.monotonic()
        rate = self._batch_size * self._steps / max(now - self._lap, 1e-9)
        self._lap, self._steps = now, 0
        return {"images_per_second": round(rate, 2), "seconds": round(now - self._start, 2)}


def train(
    config: RunConfig,
    out: Path | str,
    *,
    hardware: Hardware | None = None,
    resume: bool = False,
    force: bool = False,
    weights: Mapping[str, Tensor] | None = None,
    max_minutes: float = 0.0,
    reporter: Reporter | None = None,
) -> str:
    """Train a run into a folder.

    Args:
        config: everything that decides the result.
        out: the run folder.
        hardware: devices; one device of the best kind by default.
        resume: continue from the last checkpoint in `out`.
        force: replace an earlier run in `out`.
        weights: initial weights of the model by name; drawn from the seed when None.
        max_minutes: stop after so many minutes, to be resumed; 0 for no limit.
        reporter: told what happens.

    Returns:
        Why it ended.

    Raises:
        ArgumentError: the config cannot be trained, or the folder is in use.
        InputError: the checkpoint to resume from is not usable.
        AeedgeError: the loss became non-finite, or a checkpoint could not be written.
    """
    hardware = hardware or Hardware()
    fabric = hardware.fabric(config.training.precision)
    options = (config, Path(out), resume, force, weights, max_minutes, reporter or Silent())
    if "spawn" in hardware.strategy or "fork" in hardware.strategy or "notebook" in hardware.strategy:
        reason: str = fabric.launch(_train, *options)
        return reason
    fabric.launch()
    return _train(fabric, *options)


def _train(
    fabric: Any,
    config: RunConfig,
    out: Path,
    resume: bool,
    force: bool,
    weights: Mapping[str, Tensor] | None,
    max_minutes: float,
    reporter: Reporter,
) -> str:
    stop = StopRequest(max_minutes)
    _agree_on_folder(fabric, out, resume, force)
    engine = Engine(fabric, config, out, weights, reporter)
    if fabric.is_global_zero:
        write_config(out, config)
    if resume and checkpoint_path(out, "last").exists():
        engine.restore(checkpoint_path(out, "last"))
    if engine.counters.step >= engine.max_steps:
        return "finished"
    with stop.listening():
        return engine.fit(stop)


def _agree_on_folder(fabric: Any, out: Path, resume: bool, force: bool) -> None:
    """Prepare the folder in the first process; all processes fail together if that fails."""
    message = ""
    if fabric.is_global_zero and not resume:
        try:
            prepare_folder(out, force=force)
        except ArgumentError as error:
            message = str(error)
    message = fabric.broadcast(message)
    if message:
        raise ArgumentError(message)


def _initial_model(config: RunConfig, weights: Mapping[str, Tensor] | None) -> Any:
    with _seeded(config.training.seed, "weights"):
        model = build_model(config.model)
    if weights is not None:
        load_weights(model, weights, Path("initial weights"))
    return model


def _seeded(seed: int, purpose: str) -> Any:
    """Return a context in which torch's global generator is seeded, and after which it is as before."""
    context = torch.random.fork_rng(devices=[])
    context.__enter__()
    torch.manual_seed(randomness.derived_seed(seed, purpose))
    return _Leaving(context)


class _Leaving:
    def __init__(self, context: Any) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, *reason: object) -> None:
        self._context.__exit__(*reason)


def _open_data(config: RunConfig, model: Any, fabric: Any) -> tuple[BatchSource, Validator]:
    training, data = config.training, config.data
    corruption = Corruption.parse(training.corrupt) if training.corrupt else None
    images = open_dataset(data, model.channels, "train", seed=training.seed)
    held_out = open_dataset(data, model.channels, "held-out", seed=training.seed)
    size = sample_size(images, data.crop, model.stride, model.patched)
    source = BatchSource(images, size, training.batch_size, training.seed, flip=data.flip, corruption=corruption)
    validator = Validator(fabric, held_out, size, training, corruption)
    return source, validator


def _places(batch_size: int, accumulate: int, fabric: Any) -> list[tuple[int, int]]:
    """Return (first, count) of this process's parts of a batch.

    Raises:
        ArgumentError: the batch cannot be divided evenly.
    """
    shares = fabric.world_size * accumulate
    if batch_size % shares:
        raise ArgumentError(
            f"training.batch_size: found {batch_size}, expected a multiple of {shares} "
            f"({fabric.world_size} processes x {accumulate} accumulated parts)"
        )
    count = batch_size // shares
    return [((fabric.global_rank * accumulate + part) * count, count) for part in range(accumulate)]
