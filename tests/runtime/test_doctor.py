import json
from importlib import metadata

import numpy as np

from aeedge_runtime import BackendError, diagnose, doctor


def test_facts_of_this_machine() -> None:
    found = diagnose()
    assert found.healthy
    assert found.numpy == np.__version__
    assert found.onnxruntime
    assert len(found.backends) == 1
    assert found.backend_fault == ""
    assert found.threads >= 1
    trials = {trial.device: trial for trial in found.trials}
    assert trials["cpu"].works
    assert trials["cpu"].provider == "CPUExecutionProvider"
    assert set(trials) >= {"cpu", "cuda"}
    for trial in found.trials:
        assert trial.works != bool(trial.fault)
    assert set(found.libraries) == {"driver", "CUDA runtime", "cuBLAS", "cuDNN"}
    assert json.loads(json.dumps(found.as_dict()))["healthy"] is True


def test_without_a_backend_nothing_is_tried(monkeypatch) -> None:
    def refuse() -> None:
        raise BackendError("onnxruntime is not installed; run: pip install")

    monkeypatch.setattr(doctor, "load_backend", refuse)
    monkeypatch.setattr(doctor, "installed_backends", dict)
    found = diagnose()
    assert not found.healthy
    assert found.trials == ()
    assert found.onnxruntime == ""
    assert "pip install" in found.backend_fault


def test_a_distribution_below_its_floor_is_named(monkeypatch) -> None:
    versions = {"numpy": "1.9.3", "pillow": "12.1", "click": "8.1.7rc1"}

    def version(name: str) -> str:
        if name.lower() not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name.lower()]

    monkeypatch.setattr(doctor.metadata, "version", version)
    required = ["numpy>=1.26", "Pillow>=12.1", "click >= 8.1.7", "torch>=2.9; extra == 'train'", "tabulate"]
    found = doctor.find_outdated([*required, "onnxruntime-gpu[cuda,cudnn]>=1.30; extra == 'cuda'"])
    assert list(found) == ["numpy"]
    assert "1.9.3" in found["numpy"]
    assert "1.26" in found["numpy"]


def test_this_installation_is_not_below_a_floor() -> None:
    assert diagnose().outdated == {}
