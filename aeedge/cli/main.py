"""The `aeedge` command: finds the subcommand, turns every error into one line and an exit code.

Exit codes: 0 ok; 1 error, or a batch in which some files failed; 2 usage; 3 an input that is not what it claims to be;
4 a stream that needs another model, or a model not found; 5 device unavailable; 130 after Ctrl-C, 143 after SIGTERM.

A command's module is imported only when that command runs, so `aeedge --help` loads neither numpy nor any backend.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

import click

from aeedge import __version__
from aeedge.cli.batch.stop import Stop
from aeedge.cli.console import aeedge_warnings, complain, drop_stdout, open_closed_streams, print_json
from aeedge.cli.errors import SIGNALLED, TRACEBACK_VARIABLE, explain
from aeedge.figures import printable

SECTIONS: dict[str, dict[str, str]] = {
    "Codec": {
        "compress": "Compress images to .aee streams.",
        "decompress": "Decompress .aee streams to images.",
        "info": "Show what is in a bundle or a stream.",
        "view": "Show a stream in a browser.",
        "serve": "Run the codec as an HTTP service.",
    },
    "Models": {
        "presets": "List the presets, or print the config of one.",
        "train": "Train a network on images.",
        "export": "Export a run, or a network of your own, as a bundle.",
        "check": "Check whether a network of your own can be exported.",
        "fit-prior": "Make the streams of a bundle smaller.",
        "verify": "Check that a bundle works on this machine.",
        "push": "Publish a bundle on the Hugging Face Hub.",
        "eval": "Compare a bundle with JPEG, WebP and AVIF on your images.",
        "bench": "Measure the speed and memory use of a bundle.",
    },
    "Applications": {
        "reconstruct": "Run images through a model, to clean or inspect them.",
        "score": "Score images by how unusual they are.",
        "sample": "Draw new images from a variational model.",
        "encode": "Write latents of images, as features.",
    },
    "Start here": {
        "demo": "Train, export, compress and compare, in a minute.",
        "doctor": "Show versions, devices and what is missing.",
        "completion": "Print the completion script of a shell.",
    },
}
"""Every command with its one-line help, as `aeedge --help` groups them."""


class LazyGroup(click.Group):
    """A group whose commands live in `aeedge.cli.commands.NAME` and are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"aeedge.cli.commands.{name}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of an argument list; name the nearest one when there is none."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            remedy = f"did you mean {near[0]}?" if near else "see aeedge --help"
            raise click.UsageError(f"unknown command {printable(name)}; {remedy}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the help without importing a command."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()), col_max=12)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", prog_name="aeedge", message="%(prog)s %(version)s")
@click.pass_context
def aeedge(ctx: click.Context) -> None:
    """Compress images with learned codecs: train, export to ONNX, run without PyTorch."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after `aeedge`; those of this process when None.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    stop = Stop()
    try:
        with stop.on_signals(), aeedge_warnings():
            code = _invoke(words, stop)
            sys.stdout.flush()
    except BaseException as error:  # whatever it is, the user gets one line; AEEDGE_TRACEBACK=1 shows the rest
        code = _report(error, words, stop.signal)
    return code


def _invoke(words: list[str], stop: Stop) -> int:
    if any(_is_empty(word) for word in words):
        raise click.UsageError("an argument is empty, expected a name or value; check for an unset shell variable")
    try:
        result = aeedge.main(words, prog_name="aeedge", standalone_mode=False, obj=stop)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    return result if isinstance(result, int) else 0


def _is_empty(word: str) -> bool:
    """Whether a word is, or gives an option, the empty text; as a path it would mean the current folder."""
    return not word or (word.startswith("--") and word.find("=") == len(word) - 1)


def _report(error: BaseException, words: Sequence[str], signalled: int) -> int:
    """Print what ended a command and return its exit code; a signal counts, whatever error it caused on its way."""
    if os.environ.get(TRACEBACK_VARIABLE):
        raise error
    if not signalled and isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if not signalled and isinstance(error, BrokenPipeError):
        drop_stdout()
        return 1
    message, code = ("interrupted", SIGNALLED + signalled) if signalled else explain(error)
    try:
        complain(message)
        options = words[: words.index("--")] if "--" in words else words
        if "--json" in options and code < SIGNALLED:
            print_json({"error": message, "exit_code": code})
        sys.stdout.flush()
    except OSError:
        drop_stdout()
    return code
