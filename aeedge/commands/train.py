"""`aeedge train`: trains a preset, a config file or a continued run into a run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from aeedge.console import note, say
from aeedge.failures import INTERRUPTED
from aeedge.options import Number
from aeedge.training.threads import wait_briefly

PATH = click.Path(path_type=Path)

UNFINISHED = ("interrupted", "time is up")


@click.command()
@click.argument("preset", required=False)
@click.option(
    "--data",
    multiple=True,
    metavar="SOURCE[=SHARE]",
    help="mnist, fashion-mnist, cifar10, stl10, synthetic, synthetic-photos, synthetic-graphics or an image folder; "
    "repeat it with the SHARE of the samples that each further source gives.",
)
@click.option("--data-dir", help="Where torchvision's data sets lie, or are downloaded to.")
@click.option("--out", "-o", type=PATH, help="Folder of the run.")
@click.option("--config", "config_file", type=PATH, help="A config as `aeedge presets NAME` prints it.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one key; may be repeated.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.")
@click.option("--max-steps", type=click.IntRange(1), help="Optimiser steps in all, instead of epochs.")
@click.option("--max-minutes", type=Number(0, min_open=True), help="Stop after this time; --resume goes on.")
@click.option("--batch-size", type=click.IntRange(1), help="Images per step, over all devices.")
@click.option("--learning-rate", type=Number(0, min_open=True), help="Peak learning rate.")
@click.option("--seed", type=int, help="Of the split, the weights, the batches and the noise.")
@click.option("--corrupt", metavar="KIND:STRENGTH", help="Train to undo gaussian:0.3, salt-pepper:0.1 or mask:0.5.")
@click.option("--init-from", type=PATH, help="Start from the weights of a run or checkpoint.")
@click.option("--from-pretrained", is_flag=True, help="Start from the weights that ship for the preset.")
@click.option("--decoder-only", is_flag=True, help="With --from: train the decoder, keep everything else.")
@click.option("--from", "from_run", type=PATH, help="The run whose encoder stays as it is.")
@click.option(
    "--tables-from", metavar="BUNDLE", help="With --from: what wrote the old streams.  [default: an export of RUN]"
)
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@click.option("--force", is_flag=True, help="Replace the run in --out.")
@click.option("--accelerator", default="auto", help="auto, cpu, cuda or mps.")
@click.option("--devices", default="1", help="Devices per machine, or auto.")
@click.option("--nodes", default=1, type=click.IntRange(1), help="Machines.")
@click.option("--strategy", default="auto", help="How devices work together: auto, ddp or ddp_spawn.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads of PyTorch.")
@click.option("--compile", is_flag=True, help="Fuse the objective with torch.compile: a slow start, faster steps.")
def train(**options: Any) -> None:
    """Train PRESET on images into a run folder.

    The same config and seed give the same weights on the same machine, in one go or resumed.
    """
    wait_briefly()
    import torch
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from aeedge.training.display import Display
    from aeedge.training.hardware import Hardware
    from aeedge.training.loop import train as run_training

    if options["out"] is None:
        raise click.UsageError("found no --out, expected a folder for the run")
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    devices = options["devices"]
    hardware = Hardware(
        accelerator=options["accelerator"],
        devices=int(devices) if devices.isdecimal() and len(devices) < 5 else devices,
        nodes=options["nodes"],
        strategy=options["strategy"],
        compile=options["compile"],
    )
    config = _config(options)
    weights, tables = _start(options, config.preset)
    reason = run_training(
        config,
        options["out"],
        hardware=hardware,
        resume=options["resume"],
        force=options["force"],
        weights=weights,
        tables=tables,
        max_minutes=options["max_minutes"] or 0.0,
        reporter=Display(),
    )
    if getattr(rank_zero_only, "rank", 0) == 0:
        say(f"{options['out']}\nnext: aeedge export {options['out']} -o BUNDLE")
        if reason in UNFINISHED:
            say(f"to go on: aeedge train --resume --out {options['out']}")
    if reason == "interrupted":  # by Ctrl-C or SIGTERM alike: its last checkpoint is complete
        click.get_current_context().exit(INTERRUPTED)


def _config(options: dict[str, Any]) -> Any:
    from aeedge.presets import find_preset
    from aeedge.training.run import read_config, recover
    from aeedge.training.start import change, read_config_file

    sources = {
        "PRESET": options["preset"],
        "--config": options["config_file"],
        "--resume": options["resume"],
        "--from": options["from_run"],
    }
    given = [name for name, value in sources.items() if value]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise click.UsageError(
            f"found {found}, expected one of PRESET, --config FILE, --resume, --decoder-only --from RUN"
        )
    if bool(options["from_run"]) != options["decoder_only"]:
        raise click.UsageError(
            "--decoder-only and --from RUN belong together; --init-from RUN starts from all its weights"
        )
    if options["resume"] and options["force"]:
        raise click.UsageError(
            "found --resume and --force, expected one of them: to go on with the run, or to replace it"
        )
    if options["resume"]:
        recover(options["out"])
        values = read_config(options["out"]).to_dict()
    elif options["config_file"]:
        values = read_config_file(options["config_file"])
    elif options["from_run"]:
        values = read_config(options["from_run"]).to_dict()
        values["training"]["trainable"] = "decoder"
    else:
        values = find_preset(options["preset"]).config().to_dict()
    config = change(_with_options(values, options), options["settings"])
    if options["from_run"] and config.training.trainable != "decoder":
        raise click.UsageError(
            f'--decoder-only: found training.trainable="{config.training.trainable}", expected "decoder"'
        )
    return config


def _with_options(values: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Put the options that have a name of their own into the plain values of a config."""
    places = {
        "data_dir": ("data", "data_dir"),
        "epochs": ("training", "epochs"),
        "max_steps": ("training", "max_steps"),
        "batch_size": ("training", "batch_size"),
        "seed": ("training", "seed"),
        "corrupt": ("training", "corrupt"),
    }
    for name, (section, key) in places.items():
        if options[name] is not None:
            values[section][key] = options[name]
    if options["data"]:
        values["data"] |= _mixed(options["data"])
    if options["learning_rate"] is not None:
        values["training"]["optimizer"]["learning_rate"] = options["learning_rate"]
    if options["epochs"] is not None and options["max_steps"] is None:
        values["training"]["max_steps"] = None
    return values


def _mixed(sources: Sequence[str]) -> dict[str, Any]:
    """Return the values of a data config for `--data SOURCE --data SOURCE=SHARE ...`."""
    first, *further = sources
    parts = [text.rpartition("=") for text in further]
    try:
        shares = [float(share) for _, _, share in parts]
    except ValueError as error:
        raise click.UsageError(
            "--data: found a further source without its share, expected SOURCE=SHARE such as my-photos=0.3"
        ) from error
    return {"source": first, "others": [name for name, _, _ in parts], "shares": shares}


def _start(options: dict[str, Any], preset: str) -> tuple[Any, bytes | None]:
    """Return the initial weights that the options ask for, and the tables where a decoder is trained alone."""
    from aeedge.training.start import initial_weights, pretrained_weights

    run, place = options["from_run"], options["init_from"]
    if options["tables_from"] and not run:
        raise click.UsageError("--tables-from belongs to --decoder-only --from RUN")
    if options["from_pretrained"] and (run or place or options["resume"]):
        raise click.UsageError("--from-pretrained starts a run; leave out --init-from, --from and --resume")
    if place and (run or options["resume"]):
        raise click.UsageError("--init-from starts a run; leave out --from and --resume")
    if run:
        from aeedge_export import decoder_start

        start = decoder_start(run, options["tables_from"], note)
        return start.weights, start.tables
    if options["from_pretrained"]:
        return pretrained_weights(preset), None
    return initial_weights(place) if place else None, None
