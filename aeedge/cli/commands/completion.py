"""`aeedge completion`: prints the script that completes commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

from aeedge.cli.console import say

VARIABLE = "_AEEDGE_COMPLETE"
"""Environment variable through which the script asks `aeedge` for completions."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  aeedge completion bash > ~/.local/share/bash-completion/completions/aeedge
    zsh   aeedge completion zsh > DIR/_aeedge, where DIR is in $fpath
    fish  aeedge completion fish > ~/.config/fish/completions/aeedge.fish
    """  # noqa: D301 - click reads the backspace
    kind = get_completion_class(shell)
    if kind is None:  # not with the shells above
        raise click.UsageError(f"no completion for {shell}")
    say(kind(ctx.find_root().command, {}, "aeedge", VARIABLE).source().rstrip("\n"))
