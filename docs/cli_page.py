"""Write the help texts of all commands into docs/cli.md: `python docs/cli_page.py`."""

import contextlib
import io
import os
from pathlib import Path

from aeedge.cli.main import SECTIONS, main

PAGE = Path(__file__).with_name("cli.md")
MARK = "<!-- The rest is written by `python docs/cli_page.py`. -->\n"


def help_text(command: str) -> str:
    """Return what `aeedge COMMAND --help` prints on a terminal of 80 columns."""
    os.environ["COLUMNS"] = "80"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main([command, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())


def page() -> str:
    """Return the whole page: its own text, then a section for each command."""
    own, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    commands = [command for section in SECTIONS.values() for command in section]
    return own + MARK + "".join(f"\n## aeedge {name}\n\n```text\n{help_text(name)}\n```\n" for name in commands)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
