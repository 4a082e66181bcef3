"""A bounded part of each trial of benchmarks/trust; the whole of it runs by hand (SECURITY.md has its counts)."""

import os
import random
from pathlib import Path

import crash
import damage
import forgery
import fuzz
import injected
import pytest
import samples
import threads
import wrong_model

from aeedge_runtime import limits

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_damage() -> None:
    found = damage.run(
        3000,
        1,
        (
            "tiny-dense/dot",
            "tiny-conv/pack",
            "tiny-vae/disk",
            "tiny-hyper/disk-fine",
            "tiny-groups/disk-fine",
            "tiny-conv/tiles",
        ),
    )
    assert sum(trials.count for trials in found.values()) > 6000
    for trials in found.values():
        assert not trials.faults
        assert set(trials.outcomes) <= {"StreamError", "UnsupportedStreamError"}


@pytest.mark.filterwarnings("default")  # a forged size may overflow a float on the way to being refused
def test_forgery() -> None:
    trials = forgery.forged_streams(3000, 1)
    assert not trials.faults
    assert trials.outcomes["another image"]  # the forgeries reach the networks
    assert trials.outcomes["StreamError"] > 1000


def test_lying_fields(monkeypatch) -> None:
    monkeypatch.setattr(forgery, "QUICK_S", 1.0)  # the 0.1 s of the full run, on a machine as slow as it may be
    chosen = {name: data for name, data in forgery.streams().items() if name.endswith(("dot", "pack"))}
    monkeypatch.setattr(forgery, "streams", lambda: chosen)
    trials = forgery.lying_fields()
    assert trials.count > 3000
    assert not trials.faults


@pytest.mark.slow
def test_wrong_models() -> None:
    found = wrong_model.run(60, 1)
    assert found["graphs"]["trials"] == 300
    assert all(not facts["faults"] for facts in found.values()), found


def test_injected_faults() -> None:
    found = injected.run(20, 1)
    assert all(trials.outcomes == {"caught": 5} for trials in found.values()), found


@FORK
@pytest.mark.slow
def test_kills(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    tmp_path.chmod(0o755)
    plans = crash.scenarios(folder, 3)
    found = crash.random_kills(folder, plans, 8, random.Random(1)) | {
        f"{name} at calls": trials for name, trials in crash.kills_at_calls(folder, plans, 3).items()
    }
    found["no room"] = crash.no_room(folder, plans[1:2], 20)
    assert {name: trials.faults for name, trials in found.items() if trials.faults} == {}


@FORK
@pytest.mark.slow
@pytest.mark.parametrize("chunk_symbols", [limits.CHUNK_SYMBOLS, threads.SMALL_CHUNK])
def test_many_at_once(chunk_symbols: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", chunk_symbols)
    assert threads.one_result(5).outcomes == {"same": len(samples.NAMES) * 8 * 5}
    assert threads.forks(len(samples.NAMES)).outcomes == {"works": len(samples.NAMES)}


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_fuzzing(name: str) -> None:
    found = fuzz.run(name, 2.0, 1)
    assert not found["faults"], found["first_faults"]
    assert found["trials"] > found["corpus"]
