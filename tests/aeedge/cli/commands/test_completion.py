import os
import shutil
import subprocess
import sys

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_aeedge_for_completions(aeedge, shell):
    done = aeedge("completion", shell)
    assert done.code == 0
    assert f"_AEEDGE_COMPLETE={shell}_complete" in done.text


def test_another_shell_is_refused(aeedge):
    assert aeedge("completion", "csh").code == 2


@pytest.mark.parametrize(("words", "found"), [("aeedge compl", "completion"), ("aeedge compress --qual", "--quality")])
def test_commands_and_options_are_completed(words, found):
    variables = {"_AEEDGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "aeedge"], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert found in done.stdout.split("\n")[0]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_accepts_the_script(aeedge, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=aeedge("completion", shell).text, text=True, check=True)
