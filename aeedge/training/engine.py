"""Runs one process's share of a training: steps, validation, checkpoints.

Devices, precision, gradient clipping and the exchange of gradients are Lightning Fabric's.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from aeedge.models import OwnNetwork, count_parameters
from aeedge.training.advice import advice
from aeedge.training.build import batch_places, build_module, initial_model, open_data
from aeedge.training.config import RunConfig
from aeedge.training.data.batches import Prepared
from aeedge.training.data.datasets import are_same, traits
from aeedge.training.ema import Average
from aeedge.training.optimizers import build_optimizer, learning_rate
from aeedge.training.reporting.reporter import Reporter, Silent
from aeedge.training.reporting.throughput import Throughput
from aeedge.training.run.checkpoint import Counters, write_checkpoint
from aeedge.training.run.folder import NON_FINITE, checkpoint_path, forget_set_aside
from aeedge.training.run.logbook import Logbook
from aeedge.training.run.state import RunState
from aeedge.training.stop_request import StopRequest
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.inference.processors import default_threads

MOST_WORKERS = 12
"""Processes that prepare batches for a GPU: 32 crops of `photo` take one of them 40 ms, and an H100 half of that."""


class Engine:
    """One process's share of a run.

    Args:
        fabric: a launched `lightning.fabric.Fabric`.
        config: the run's config.
        out: the run folder.
        weights: initial weights of the model, or None to draw them.
        tables: of the streams that a decoder trained alone must decode, or None.
        reporter: called when something happens.
        compiled: whether torch.compile fuses the objective.
        network: the user's own network, for a run of one.
    """

    def __init__(
        self,
        fabric: Any,
        config: RunConfig,
        out: Path,
        weights: Mapping[str, Tensor] | None,
        tables: bytes | None,
        reporter: Reporter,
        *,
        compiled: bool = False,
        network: OwnNetwork | None = None,
    ) -> None:
        training = config.training
        self.fabric, self.config, self.out, self.reporter = fabric, config, out, reporter
        model = initial_model(config, weights, network)
        self.source, self.validator = open_data(config, model, fabric)
        self.max_steps = training.max_steps or math.ceil(training.epochs * self.source.steps_per_epoch)
        self.module = build_module(config, model, self.max_steps, tables)
        if compiled:
            captured = {"mode": "reduce-overhead"} if fabric.device.type == "cuda" else {}  # CUDA graphs
            self.module.objective.compile(dynamic=False, **captured)
        self.trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(self.trained, training.optimizer)
        self.wrapped, self.stepper = fabric.setup(self.module, self.optimizer)
        self.average = Average(self.module.model, training.ema_decay) if training.ema_decay else None
        self.state = RunState(
            out,
            model,
            self.module.objective,
            self.optimizer,
            self.average,
            writes=fabric.is_global_zero,
            witnessed=network is not None,
        )
        self.counters = Counters(images=traits(self.source.images, self.validator.images))
        self.places = batch_places(training.batch_size, training.accumulate, fabric)
        self.logbook: Logbook | None = None

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint of the same config.

        Raises:
            InputError: it is missing, damaged, of another version or of another model.
            ArgumentError: it was trained on other images.
        """
        counters = self.state.restore(path)
        if not are_same(counters.images, self.counters.images):
            raise ArgumentError(
                f"data.source {self.config.data.source}: the images differ from those of the run "
                "that is resumed; name the original images with --data, or start another run with --init-from"
            )
        self.counters = replace(counters, images=self.counters.images)

    def save(self) -> None:
        """Write the last checkpoint, in the first process."""
        self.state.save(self.counters)

    def fit(self, stop: StopRequest) -> str:
        """Train to the last step or until asked to stop; return why it ended."""
        start = self.counters.step
        if not self.fabric.is_global_zero:
            self.reporter = Silent()
        self.reporter.start(start, self.max_steps, len(self.source.images), count_parameters(self.module.model))
        if self.fabric.is_global_zero and not start:
            for text in advice(self.config, self.module.model, self.source, len(self.validator.images), self.max_steps):
                self.reporter.warn(text)
        self.logbook = Logbook(self.out, start) if self.fabric.is_global_zero else None
        reason = "failed"
        try:
            reason = self._steps(start, stop)
            self.save()
        finally:
            if self.logbook:
                self.logbook.close()
            self.reporter.finish(reason)
        self.fabric.barrier()
        return reason

    def _steps(self, start: int, stop: StopRequest) -> str:
        training = self.config.training
        throughput = Throughput(training.batch_size)
        for step, batches in enumerate(self._batches(start), start):
            rate = learning_rate(training.optimizer, step, self.max_steps)
            parts, failed = self._gradients(step, batches)
            parts, anywhere, interrupted, expired = self._agree(parts, failed is not None, stop)
            if anywhere:
                self._give_up(step, failed)
            self._update(step, rate)
            if step == 0 and self.fabric.is_global_zero:
                forget_set_aside(self.out)
            self._count(step, parts)
            self.reporter.step(step + 1, parts["loss"], throughput.tick())
            out_of_time = expired and not interrupted
            if step + 1 == self.max_steps or out_of_time or self._validation_due(step + 1):
                self._validate(rate, throughput)
                if training.patience and self.counters.stale >= training.patience:
                    return f"no improvement in {self.counters.stale} validations"
            elif self._checkpoint_due(step + 1):
                self.save()
            if interrupted or expired:
                return "interrupted" if interrupted else "time is up"
        return "finished"

    def _batches(self, start: int) -> Iterator[list[Prepared]]:
        """Yield this process's parts of every batch; a GPU is fast enough to need several processes for them."""
        on_gpu = self.fabric.device.type == "cuda"
        sharing = len(getattr(self.fabric.strategy, "parallel_devices", None) or [None])  # processes of this machine
        workers = min(MOST_WORKERS, default_threads() // sharing) if on_gpu else 0
        return self.source.parts(start, self.max_steps, self.places, workers=workers, pinned=on_gpu)

    def _gradients(self, step: int, batches: list[Prepared]) -> tuple[dict[str, float], "_Failed | None"]:
        """Compute the gradients of a step; return the mean of the objective's parts, and what was not finite."""
        training = self.config.training
        self.wrapped.train()
        if training.trainable == "decoder":
            self.module.model.encoder.eval()  # its normalization statistics are frozen too
        found: list[dict[str, Tensor]] = []
        for number, ((first, _), prepared) in enumerate(zip(self.places, batches, strict=True), 1):
            batch = prepared.on(self.fabric.device, training.channels_last)
            with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches)):
                parts = self.wrapped(batch, step, first)
                self.fabric.backward(parts["loss"] / len(batches))
            found.append({name: value.detach().clone() for name, value in parts.items()})
        found.append({"norm": self._clip()})
        *values, last = _as_numbers(found)  # the one moment at which a step waits for its device
        checked = [(part["loss"], prepared) for part, prepared in zip(values, batches, strict=True)]
        checked.append((last["norm"], batches[-1]))
        failed = next((_Failed(value, prepared) for value, prepared in checked if not math.isfinite(value)), None)
        return {name: sum(part[name] / len(batches) for part in values) for name in values[0]}, failed

    def _clip(self) -> Tensor:
        """Clip the gradients if the config says so; return their norm before."""
        largest = self.config.training.clip_norm
        if largest:
            norm: Tensor = self.fabric.clip_gradients(
                self.wrapped, self.stepper, max_norm=largest, error_if_nonfinite=False
            )
            return norm
        return torch.nn.utils.get_total_norm(
            [parameter.grad for parameter in self.trained if parameter.grad is not None]
        )

    def _agree(
        self, parts: dict[str, float], failed: bool, stop: StopRequest
    ) -> tuple[dict[str, float], bool, bool, bool]:
        """Return the mean of the parts over all processes, and whether any failed, was interrupted or has no time left.

        One process may be alone with its number that is not finite, or with its signal; all must do the same.
        """
        flags = (failed, stop.interrupted, stop.expired)
        if self.fabric.world_size == 1:
            return parts, *flags
        mine = torch.tensor([*parts.values(), *flags], device=self.fabric.device)
        *means, failures, interrupted, expired = self.fabric.all_reduce(mine, reduce_op="mean").tolist()
        return dict(zip(parts, means, strict=True)), failures > 0, interrupted > 0, expired > 0

    def _give_up(self, step: int, failed: "_Failed | None") -> NoReturn:
        """Keep the batch whose loss or gradient is not finite, and end; the weights are those before the step."""
        if failed is None:
            raise AeedgeError(f"the loss or its gradient was not finite at step {step} in another process")
        place = self.out / NON_FINITE / f"step-{step}-process-{self.fabric.global_rank}.safetensors"
        batch = failed.prepared.on(torch.device("cpu"), channels_last=False)
        write_checkpoint(
            place, {"target": batch.target, "source": batch.source.clone()}, replace(self.counters, step=step)
        )
        raise AeedgeError(
            f"the loss or its gradient became {failed.value} at step {step}; the batch is in {place}; {self._remedy()}"
        )

    def _update(self, step: int, rate: float) -> None:
        """Apply the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.stepper.step()
        self.stepper.zero_grad()
        if self.average:
            self.average.update(self.module.model, step)

    def _count(self, step: int, parts: Mapping[str, float]) -> None:
        self.counters = self.counters.after_step((step + 1) / self.source.steps_per_epoch, parts)
        if self.logbook and (step + 1) % 20 == 0:
            self.logbook.add_step(step + 1, parts)

    def _validation_due(self, step: int) -> bool:
        every = self.config.training.validate_steps
        return step % every == 0 if every else self.source.completes_epoch(step)

    def _checkpoint_due(self, step: int) -> bool:
        every = self.config.training.checkpoint_steps
        return bool(every and step % every == 0) or self.state.is_old()

    def _validate(self, rate: float, throughput: Throughput) -> None:
        """Measure, log, keep the best weights and write both checkpoints.

        Raises:
            AeedgeError: the loss is not finite; both checkpoints stay as they were.
        """
        before = self.counters
        image = self.out / "reconstructions" / f"step-{before.step:07}.png"
        measured = self.validator.measure(self.state.shown, self.module, image, before.step)
        loss = measured["loss"]
        row = {"step": before.step, "epoch": round(before.epoch, 4), "learning_rate": rate, **throughput.lap()}
        row |= {f"train_{name}": value for name, value in before.training_means().items()}
        row |= {f"val_{name}": value for name, value in measured.items()}
        self.counters = before.after_validation(loss)
        if self.logbook:
            self.logbook.add(row)
        if not math.isfinite(loss):
            raise AeedgeError(f"the loss on held-out images became {loss} at step {before.step}; {self._remedy()}")
        better = self.counters.stale == 0
        if better:
            self.state.save_best(self.counters)
        self.save()
        self.reporter.validated(row, better)

    def _remedy(self) -> str:
        if not checkpoint_path(self.out, "last").exists():
            return "start again with a lower learning rate or with training.clip_norm"
        return (
            "the checkpoints are of earlier steps: continue with --resume and a lower --learning-rate, or start again "
            "with --init-from and training.clip_norm"
        )


def _as_numbers(found: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
    """Fetch single numbers from a device together."""
    numbers = iter(torch.stack([value.float() for parts in found for value in parts.values()]).tolist())
    return [{name: next(numbers) for name in parts} for parts in found]


@dataclass(frozen=True)
class _Failed:
    """A loss or a gradient's norm that is not finite, and the batch that gave it."""

    value: float
    prepared: Prepared
