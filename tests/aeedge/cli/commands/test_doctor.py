import importlib.util

from aeedge.cli.commands import doctor as doctor_module


def test_doctor(aeedge):
    done = aeedge("doctor")
    assert done.code == 0
    assert "cpu works" in done.text
    assert aeedge("doctor", "--json").json["diagnosis"]["healthy"]


def test_doctor_names_the_pip_command_for_training(aeedge, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        doctor_module.importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest)
    )
    assert 'pip install "aeedge[train]"' in aeedge("doctor").text
