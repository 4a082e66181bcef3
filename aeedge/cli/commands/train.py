"""`aeedge train`: trains a preset, a network of one's own, a config file or an earlier run into a run folder."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import note, say
from aeedge.cli.errors import SIGNALLED
from aeedge.cli.options.networks import (
    AdaptationOptions,
    adaptation_options,
    is_network_file,
    network_file,
    network_of_run,
)
from aeedge.cli.options.parameters import PATH, Number, Whole
from aeedge.training.openmp import wait_briefly

if TYPE_CHECKING:
    from torch import Tensor

    from aeedge.training.config import RunConfig
    from aeedge.training.hardware import Hardware
    from aeedge_export.networks.trainable import TrainableNetwork

UNFINISHED = ("interrupted", "time is up")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(AdaptationOptions):
    """Options of `aeedge train`; exactly one of preset, config, train_decoder and resume says what to train.

    A run of an own network needs the network again, next to train_decoder or resume.

    Attributes:
        preset: name of a preset, or FILE.py:NAME.
        config: config file.
        train_decoder: run whose decoder is trained again; its encoder and tables stay.
        resume: continue the run in `output`.
        output: folder of the run.
        settings: KEY=VALUE changes of the config.
        data: names of data sets or folders of images, each after the first with its share of the samples.
        data_dir: folder of the data set's files.
        epochs: passes over the images.
        max_steps: optimizer steps, instead of epochs.
        max_minutes: time limit.
        batch_size: images per step, over all devices.
        learning_rate: peak learning rate.
        seed: random seed.
        corrupt: damage that the network learns to undo, as KIND:STRENGTH.
        init_from: run or checkpoint whose weights to start from.
        from_pretrained: start from the weights that ship with the preset.
        tables_from: bundle whose streams the decoder must decode.
        force: replace the run in `output`.
        accelerator: auto, cpu, cuda or mps.
        devices: number per machine, or auto.
        nodes: machines.
        strategy: how devices work together.
        threads: CPU threads of PyTorch.
        compile: use torch.compile.
    """

    preset: str | None
    config: Path | None
    train_decoder: Path | None
    resume: bool
    output: Path
    settings: tuple[str, ...]
    data: tuple[str, ...]
    data_dir: str | None
    epochs: int | None
    max_steps: int | None
    max_minutes: float | None
    batch_size: int | None
    learning_rate: float | None
    seed: int | None
    corrupt: str | None
    init_from: Path | None
    from_pretrained: bool
    tables_from: str | None
    force: bool
    accelerator: str
    devices: str
    nodes: int
    strategy: str
    threads: int | None
    compile: bool

    def __post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            click.UsageError: they do.
        """
        again = self.network_file and (self.resume or self.train_decoder)
        starts = {
            "PRESET": None if again else self.preset,
            "--config": self.config,
            "--resume": self.resume,
            "--train-decoder": self.train_decoder,
        }
        given = [name for name, value in starts.items() if value]
        if not given:
            raise click.UsageError(
                f"nothing to train; {_proposal(self.data)}, or use FILE.py:NAME, --config, --resume or --train-decoder"
            )
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} cannot be combined; use one of them")
        if self.resume and self.force:
            raise click.UsageError("--resume cannot be combined with --force, which replaces the run")
        if self.tables_from and not self.train_decoder:
            raise click.UsageError("--tables-from needs --train-decoder")
        self._check_network()
        weights = {
            "--weights": self.weights,
            "--init-from": self.init_from,
            "--from-pretrained": self.from_pretrained,
            "--train-decoder": self.train_decoder if not self.init_from else None,
            "--resume": self.resume,
        }
        given = [name for name, value in weights.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} cannot be combined: each says which weights to start from")

    @property
    def network_file(self) -> str | None:
        """FILE.py:NAME, if that is what is trained."""
        return self.preset if self.preset and is_network_file(self.preset) else None

    def _check_network(self) -> None:
        flags = [flag for flag, value in self.of_networks.items() if value is not None]
        if flags and not self.network_file:
            raise click.UsageError(f"{flags[0]} needs a network of your own, FILE.py:NAME")
        if not self.network_file:
            return
        if flags and (self.resume or self.train_decoder):
            raise click.UsageError(f"{flags[0]} is kept by the run and cannot be given again")
        if self.from_pretrained:
            raise click.UsageError("--from-pretrained needs a PRESET; name weights of your own with --weights")
        if not self.data and not (self.resume or self.train_decoder):
            raise click.UsageError("a network has no images; name a data set or a folder with --data")


@click.command()
@click.argument("preset", metavar="[PRESET|FILE.py:NAME]", required=False)
@click.option("-o", "--output", metavar="RUN", type=PATH, required=True, help="Folder for the run.")
@click.option(
    "--data",
    multiple=True,
    metavar="SOURCE[=SHARE]",
    help="Data set (mnist, cifar10, synthetic ...) or folder of images. Repeat it to mix sources; each after the first "
    "needs its share of the samples.",
)
@click.option("--data-dir", metavar="DIR", help="Folder of the data set's files; missing ones are downloaded to it.")
@click.option(
    "--config", metavar="FILE", type=PATH, help="Config file to train, in the form that `aeedge presets NAME` prints."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the config; repeatable.")
@click.option("--epochs", metavar="N", type=Whole(), help="Passes over the images.")
@click.option("--max-steps", metavar="N", type=Whole(), help="Optimizer steps, instead of epochs.")
@click.option(
    "--max-minutes",
    metavar="M",
    type=Number(),
    help="Stop after M minutes; --resume continues the run.",
)
@click.option("--batch-size", metavar="N", type=Whole(), help="Images per step, over all devices.")
@click.option("--learning-rate", metavar="X", type=Number(), help="Peak learning rate.")
@click.option(
    "--seed", metavar="N", type=int, help="Random seed for the data split, initial weights, batches and noise."
)
@click.option(
    "--corrupt",
    metavar="KIND:STRENGTH",
    help="Damage that the network learns to undo: gaussian:0.3, salt-pepper:0.1 or mask:0.5.",
)
@click.option(
    "--init-from",
    metavar="RUN|FILE",
    type=PATH,
    help="Start from the weights of a run or checkpoint; with --train-decoder, from its decoder.",
)
@click.option("--from-pretrained", is_flag=True, help="Start from the weights that ship with the preset.")
@click.option(
    "--train-decoder",
    metavar="RUN",
    type=PATH,
    help="Train only the decoder of RUN; streams made with its encoder stay valid.",
)
@click.option(
    "--tables-from",
    metavar="BUNDLE",
    help="With --train-decoder: the bundle that wrote those streams.  [default: an export of RUN]",
)
@click.option("--resume", is_flag=True, help="Continue the run in the output folder.")
@click.option("--force", is_flag=True, help="Replace the run in the output folder.")
@click.option("--accelerator", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--devices", metavar="N", default="1", show_default=True, help="Devices per machine, or auto.")
@click.option("--nodes", metavar="N", default=1, show_default=True, type=Whole(), help="Machines.")
@click.option("--strategy", metavar="NAME", default="auto", show_default=True, help="auto, ddp or ddp_spawn.")
@click.option("--threads", metavar="N", type=Whole(1, 1024), help="CPU threads of PyTorch.")
@adaptation_options
@click.option("--compile", is_flag=True, help="Use torch.compile: a slower start, faster steps.")
def train(**values: Any) -> None:
    """Train PRESET, or a network of your own, on images and write a run folder.

    NAME is a class, function or object in FILE.py, which this command runs. A run never runs code: name the network
    again with --resume, --train-decoder and `aeedge export RUN --model FILE.py:NAME`.

    On one machine, the same config and seed give the same weights, whether or not training is interrupted and resumed.
    """
    options = TrainOptions(**values)
    wait_briefly()
    import torch
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from aeedge.training.loop import train as run_training
    from aeedge.training.reporting.display import Display
    from aeedge.training.stop_request import StopRequest

    if options.threads:
        torch.set_num_threads(options.threads)
    network = _network(options)
    config = _config(options, network)
    weights, tables = _start(options, config.preset, network)
    stop = StopRequest(options.max_minutes or 0.0)
    reason = run_training(
        config,
        options.output,
        hardware=_hardware(options),
        resume=options.resume,
        force=options.force,
        weights=weights,
        tables=tables,
        network=network,
        stop=stop,
        reporter=Display(),
    )
    if getattr(rank_zero_only, "rank", 0) == 0:
        named = f" --model {options.network_file}" if options.network_file else ""
        say(f"{options.output}\nnext: aeedge export {options.output}{named} -o BUNDLE")
        if reason in UNFINISHED:
            again = f" {options.network_file}" if options.network_file else ""
            say(f"to continue: aeedge train{again} --resume -o {options.output}")
    if reason == "interrupted":  # the last checkpoint is complete; the signal may have reached another process
        click.get_current_context().exit(SIGNALLED + (stop.signal or signal.SIGINT))


def _proposal(data: Sequence[str]) -> str:
    """Return which preset suits the images, with the reason, for a usage error."""
    folder = Path(data[0]) if data else None
    if folder is None or not folder.is_dir():
        return "name a PRESET"
    from aeedge.training.data.proposal import propose

    return propose(folder)


def _hardware(options: TrainOptions) -> Hardware:
    from aeedge.training.hardware import Hardware

    devices = options.devices
    return Hardware(
        accelerator=options.accelerator,
        devices=int(devices) if devices.isdecimal() and len(devices) < 5 else devices,
        nodes=options.nodes,
        strategy=options.strategy,
        compile=options.compile,
    )


def _network(options: TrainOptions) -> TrainableNetwork | None:
    """Return the own network that the command names, not loaded yet."""
    if options.network_file is None:
        return None
    if options.resume:
        from aeedge.training.run.folder import recover

        recover(options.output)
        return network_of_run(options.network_file, options.output)
    if options.train_decoder:
        return network_of_run(options.network_file, options.train_decoder)
    from aeedge_export.networks.trainable import TrainableNetwork

    return TrainableNetwork(network_file(options.network_file), options.adaptation, options.weights)


def _config(options: TrainOptions, network: TrainableNetwork | None) -> RunConfig:
    from aeedge.presets import find_preset
    from aeedge.training.config import DataConfig
    from aeedge.training.initial import change, read_config_file
    from aeedge.training.run.folder import read_config, recover

    if options.resume:
        recover(options.output)
        values = read_config(options.output).to_dict()
    elif options.config:
        values = read_config_file(options.config)
    elif options.train_decoder:
        values = read_config(options.train_decoder).to_dict()
        values["training"]["trainable"] = "decoder"
    elif network:
        given = {**_mixed(options.data), "data_dir": options.data_dir}
        data = DataConfig.from_dict({key: value for key, value in given.items() if value is not None})
        values = network.config(data).to_dict()
    else:
        values = find_preset(options.preset or "").config().to_dict()
    config = change(_with_options(values, options), options.settings)
    if options.train_decoder and config.training.trainable != "decoder":
        raise click.UsageError(
            f'--train-decoder: found training.trainable="{config.training.trainable}", expected "decoder"'
        )
    return config


def _with_options(values: dict[str, Any], options: TrainOptions) -> dict[str, Any]:
    """Put the options that have a name of their own into the plain values of a config."""
    data = {**_mixed(options.data), "data_dir": options.data_dir}
    training = {
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "batch_size": options.batch_size,
        "seed": options.seed,
        "corrupt": options.corrupt,
    }
    for section, given in (("data", data), ("training", training)):
        values[section] |= {key: value for key, value in given.items() if value is not None}
    if options.learning_rate is not None:
        values["training"]["optimizer"]["learning_rate"] = options.learning_rate
    if options.epochs is not None and options.max_steps is None:
        values["training"]["max_steps"] = None
    return values


def _mixed(sources: Sequence[str]) -> dict[str, Any]:
    """Return the values of a data config for `--data SOURCE --data SOURCE=SHARE ...`."""
    if not sources:
        return {}
    first, *further = sources
    parts = [text.rpartition("=") for text in further]
    try:
        shares = [float(share) for _, _, share in parts]
    except ValueError as error:
        raise click.UsageError(
            "--data: a source after the first has no share, expected SOURCE=SHARE such as my-photos=0.3"
        ) from error
    return {"source": first, "others": [name for name, _, _ in parts], "shares": shares}


def _start(
    options: TrainOptions, preset: str, network: TrainableNetwork | None
) -> tuple[Mapping[str, Tensor] | None, bytes | None]:
    """Return the initial weights that the options ask for, and the tables where only a decoder is trained."""
    from aeedge.training.build import DECODER
    from aeedge.training.initial import initial_weights, pretrained_weights

    if options.train_decoder:
        from aeedge_export import decoder_start

        start = decoder_start(options.train_decoder, options.tables_from, note, network)
        given = initial_weights(options.init_from) if options.init_from else {}
        decoder = {name: tensor for name, tensor in given.items() if name.startswith(DECODER)}
        kept = {name: tensor for name, tensor in start.weights.items() if not (decoder and name.startswith(DECODER))}
        return {**kept, **decoder}, start.tables
    if options.from_pretrained:
        return pretrained_weights(preset), None
    return initial_weights(options.init_from) if options.init_from else None, None
