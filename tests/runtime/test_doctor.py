import json

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
