"""`aeedge push`: publishes a bundle on the Hugging Face Hub."""

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options.shared import json_option
from aeedge.extras import HUB_MODULES, require_extra


@click.command()
@click.argument("bundle")
@click.argument("url", metavar="hf://OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private if it is new.")
@click.option("--license", "license_name", metavar="NAME", help="License for the model card, such as apache-2.0.")
@json_option
def push(bundle: str, url: str, private: bool, license_name: str | None, as_json: bool) -> None:
    """Publish BUNDLE on the Hugging Face Hub, with a model card.

    Prints the URL of this very bundle, with its commit and the hash of its manifest, which every command takes as a
    bundle. The token is that of HF_TOKEN or of `hf auth login`.
    """
    require_extra("hub", HUB_MODULES, "publishing on the Hub needs")

    from aeedge.hub import push_bundle
    from aeedge_runtime import Bundle

    loaded = Bundle.load(bundle)
    pushed = push_bundle(loaded, url, private=private, license_name=license_name)
    if as_json:
        print_json({"command": "push", "url": pushed, "stream_id": loaded.manifest.stream_id, "hash": loaded.hash})
    else:
        say(f"{loaded.manifest.name} -> {pushed}")
