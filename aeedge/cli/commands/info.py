"""`aeedge info`: shows what is in a bundle or a stream, without running it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from aeedge.cli.console import print_json, say
from aeedge.cli.options.shared import json_option
from aeedge.figures import count, exactness, printable, size
from aeedge.sources import STDIN, STREAM_SUFFIX, Source
from aeedge_runtime.errors import InputError
from aeedge_runtime.hub import is_hub_bundle
from aeedge_runtime.remote import location

SIGNATURE = b"\xaeED"
"""First bytes of a stream."""

ZIP_SIGNATURE = b"PK"
"""First bytes of a bundle in one file."""


@click.command()
@click.argument("thing", metavar="BUNDLE|FILE")
@json_option
def info(thing: str, as_json: bool) -> None:
    """Show what is in a bundle or a stream.

    A bundle is a folder, an .aeb file or a shipped name; a stream is an .aee file, or - for standard input. Both may
    be at a URL.
    """
    stream = _read_stream(thing)
    facts = _bundle_facts(thing) if stream is None else _stream_facts(thing, stream)
    if as_json:
        print_json({"command": "info", **facts})
    elif stream is None:
        _show_bundle(facts["bundle"])
    else:
        _show_stream(facts["stream"])


def _read_stream(thing: str) -> bytes | None:
    """Return the bytes of a stream, or None where the argument must be a bundle."""
    if is_hub_bundle(thing):
        return None
    path = location(thing)
    source = Source(None if thing == STDIN else path, Path(path.name))
    if source.path is not None and not path.is_file() and (path.is_dir() or path.suffix != STREAM_SUFFIX):
        return None
    data = source.read()
    if data.startswith(ZIP_SIGNATURE):
        return None
    if source.path is None or data.startswith(SIGNATURE) or path.suffix == STREAM_SUFFIX:
        return data
    raise InputError(f"{source.name}: not a known kind of file, expected a stream (.aee) or a bundle (.aeb)")


def _stream_facts(thing: str, data: bytes) -> dict[str, Any]:
    from dataclasses import asdict

    from aeedge.figures import with_name
    from aeedge_runtime import stream_info

    try:
        return {"stream": asdict(stream_info(data))}
    except InputError as error:  # its class and exit code stay
        raise type(error)(with_name("stdin" if thing == STDIN else printable(thing), str(error))) from error


def _bundle_facts(place: str) -> dict[str, Any]:
    from dataclasses import asdict

    from aeedge_runtime import Bundle

    bundle = Bundle.load(place)
    return {"bundle": {"place": str(bundle.source), **asdict(bundle.manifest)}}


def _show_stream(facts: Mapping[str, Any]) -> None:
    overhead = facts["total_bytes"] - facts["payload_bytes"] - sum(facts["section_bytes"].values())
    say("kind       stream, format version 1")
    say(f"images     {facts['count']:,} of {facts['width']}x{facts['height']}{', gray' if facts['gray'] else ''}")
    say(f"quality    {facts['quality']}")
    say(f"stream id  {facts['stream_id']}")
    say(f"size       {facts['total_bytes']:,} bytes, {facts['bits_per_pixel']:.3g} bits per pixel")
    say(
        f"           {facts['payload_bytes']:,} payload in {count(facts['chunks'], 'chunk')}, {overhead} header, checks"
    )
    if parts := exactness(facts["stored_tiles"], facts["tiles"], facts["max_error"]):
        say(f"exactness  {', '.join(parts)}")
    for name, octets in facts["section_bytes"].items():
        say(f"           {octets:,} bytes of {name}")


def _show_bundle(facts: Mapping[str, Any]) -> None:
    image, prior = facts["image"], facts["prior"]
    rows, columns = image["stride"]
    color = "gray" if image["channels"] == 1 else "RGB"
    grid = f"patches of {columns}x{rows}" if image["patched"] else f"a latent position per {columns}x{rows} pixels"
    passes = prior["passes"] + len(prior["groups"][1:])
    context = f", {count(passes, 'pass')}" if prior["kind"] == "hyperprior" else ""
    say(f"kind       bundle {facts['name']!r}, family {facts['family']}, preset {facts['preset']}")
    say(f"place      {printable(facts['place'])}")
    say(f"stream id  {facts['stream_id']}")
    say(f"halves     {', '.join(facts['halves'])}")
    say(f"images     {color}, any size, {grid}")
    say(f"latent     {count(facts['latent_channels'], 'channel')}, {prior['kind']} prior{context}")
    say(f"precision  {', '.join(half + ' ' + facts['precision'][half] for half in facts['halves'])}")
    say(f"made by    {facts['created_by']}")
    for key, value in facts["training"].items():
        if isinstance(value, (str, int, float)) and value != "":
            say(f"training   {key} {printable(str(value))}")
    total = sum(file["bytes"] for file in facts["files"].values())
    say(f"files      {len(facts['files'])}, {size(total)}, every hash matches")
    for name, file in facts["files"].items():
        if not name.startswith("golden/"):
            say(f"           {name:20}{file['bytes']:>12,} bytes")
