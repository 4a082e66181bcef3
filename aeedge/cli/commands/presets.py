"""`aeedge presets`: lists the named networks, or prints the config of one."""

import json

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options.shared import json_option


@click.command()
@click.argument("name", required=False)
@json_option
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or print the config of NAME.

    To train a config of your own, save one with `aeedge presets NAME > my.json`, edit it, and run `aeedge train
    --config my.json -o RUN`.
    """
    from aeedge.presets import PRESETS, find_preset

    if name is not None:
        config = find_preset(name).config().to_dict()
        if as_json:
            print_json({"command": "presets", "config": config})
        else:
            say(json.dumps(config, indent=2))
        return
    if as_json:
        print_json({"command": "presets", "presets": [_entry(preset) for preset in PRESETS.values()]})
        return
    say(f"{'preset':18}{'parameters':>12}  {'MACs per pixel':>16}  {'input':18}{'latent':14}")
    for preset in PRESETS.values():
        encoder, decoder = preset.macs_per_pixel
        macs = f"{encoder:,} + {decoder:,}"
        line = f"{preset.name:18}{preset.parameters:>12,}  {macs:>16}  {preset.input_size:18}{preset.latent_size:14}"
        say(f"{line.rstrip()}\n    {preset.purpose}")
    say("MACs: multiply-accumulates of encoder + decoder. Print the config of one with: aeedge presets NAME")


def _entry(preset: object) -> dict[str, object]:
    from aeedge.configuration import plain

    entry: dict[str, object] = plain(preset)
    return entry
