"""`aeedge verify`: checks that a bundle works here as it did where it was exported."""

from typing import TYPE_CHECKING

import click

from aeedge.cli.console import complain, print_json, say
from aeedge.cli.options.shared import device_option, json_option, threads_option
from aeedge.figures import count

if TYPE_CHECKING:
    from aeedge_runtime import Verification


@click.command()
@click.argument("bundle")
@device_option
@threads_option
@json_option
def verify(bundle: str, device: str, threads: int | None, as_json: bool) -> int:
    """Check the files of BUNDLE, and reproduce its golden streams on this machine.

    Symbols must be identical and pixels may differ by at most 1. BUNDLE is a folder, an .aeb file or a shipped name.
    """
    from aeedge_runtime import verify_bundle

    verification = verify_bundle(bundle, device, threads=threads)
    if as_json:
        print_json({"command": "verify", "verification": verification.as_dict()})
    else:
        _show(verification)
    for fault in verification.faults:
        complain(f"{verification.bundle}: {fault}")
    return 0 if verification.passed else 1


def _show(verification: "Verification") -> None:
    say(f"bundle     {verification.bundle}, stream id {verification.stream_id}")
    say(f"files      {verification.files} match their hashes")
    say(f"providers  {', '.join(f'{role}: {name}' for role, name in verification.providers.items())}")
    say(f"{'golden':16}{'quality':>8}{'symbols':>10}{'same':>6}{'pixels':>8}{'compress':>11}{'decompress':>12}")
    for result in verification.golden:
        same = "yes" if result.symbols_equal else "NO"
        pixels = "-" if result.pixel_difference is None else f"+-{result.pixel_difference}"
        times = f"{_milliseconds(result.compress_ms):>11}{_milliseconds(result.decompress_ms):>12}"
        say(f"{result.name:16}{result.quality:>8}{result.symbols:>10,}{same:>6}{pixels:>8}{times}")
    passed = sum(not result.fault for result in verification.golden)
    say(f"{passed} of {count(len(verification.golden), 'golden stream')} passed on {verification.device}")


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
