"""What `aeedge export` refuses before PyTorch is loaded; tests/export has the exports themselves."""

import subprocess
import sys

import pytest

RUN = ("run",)
NETWORK = ("net.py:Net", "--data", "photos")
PAIR = ("--encoder", "e.onnx", "--decoder", "d.onnx", "--data", "photos")
BUNDLE = ("BUNDLE", "--precision", "fp16", "--calibrate", "photos")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name either RUN, BUNDLE or FILE.py:NAME"),
        ((*RUN, *PAIR), "name either RUN, BUNDLE or FILE.py:NAME"),
        ((*RUN, "--calibrate", "photos"), "--calibrate does not apply to a run"),
        ((*RUN, "--pixels", "signed"), "--pixels does not apply to a run"),
        (("BUNDLE",), "already in float32"),
        (("BUNDLE", "--precision", "int8"), "with --calibrate"),
        ((*BUNDLE, "--checkpoint", "last"), "--checkpoint does not apply to a bundle"),
        ((*BUNDLE, "--store-float16"), "--store-float16 does not apply to a bundle"),
        ((*BUNDLE, "--data", "photos"), "--data does not apply to a bundle"),
        ((*BUNDLE, "--tile", "8x8"), "--tile does not apply to a bundle"),
        (("net.py:Net",), "with --data"),
        ((*NETWORK, "--tables-from", "b"), "--tables-from does not apply to a network"),
        ((*NETWORK, "--size", "8"), "expected ROWSxCOLUMNS"),
        ((*NETWORK, "--encoder", "e.onnx"), "--encoder and --decoder need each other"),
        ((*PAIR, "--weights", "w"), "--weights needs FILE.py:NAME"),
    ],
)
def test_options_that_do_not_apply_are_refused(aeedge, conv, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    done = aeedge("export", *(conv if word == "BUNDLE" else word for word in words), "-o", "out")
    assert (done.code, len(done.errors)) == (2, 1)
    assert message in done.errors[0]
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_refused_and_its_run_asked_for(aeedge, tmp_path):
    (tmp_path / "best.safetensors").touch()
    done = aeedge("export", tmp_path / "best.safetensors", "-o", tmp_path / "out")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "pass its run folder" in done.errors[0]


def test_help_and_refusals_load_neither_torch_nor_onnx():
    words = "from aeedge.cli.main import main; import sys; main(['export', 'photo', '-o', 'x']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert {"torch", "onnx", "onnxruntime"}.isdisjoint(done.stdout.split())
