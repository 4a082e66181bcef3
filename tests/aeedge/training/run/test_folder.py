import pytest
from PIL import Image

from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge.training.reporting.pictures import save_curves
from aeedge.training.run.folder import load_run
from aeedge.training.run.logbook import read_metrics
from aeedge_runtime.errors import AeedgeError, ArgumentError, InputError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


def test_a_run_folder_is_complete(tmp_path, config):
    train(config(), tmp_path / "run", hardware=CPU)
    save_curves(tmp_path / "run" / "curves.png", read_metrics(tmp_path / "run" / "metrics.csv"))
    Image.open(tmp_path / "run" / "curves.png").verify()
    assert len(list((tmp_path / "run" / "reconstructions").glob("*.png"))) == 3
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    Image.open(tmp_path / "run" / "reconstructions" / "step-0000009.png").verify()
    loaded = load_run(tmp_path / "run")
    assert not loaded.model.training
    assert loaded.summary["steps"] in (3, 6, 9)
    assert loaded.config.training.max_steps == 9
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize("text", ["[]", "null", "3"])
def test_a_run_config_that_is_no_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="expected an object with keys"):
        load_run(tmp_path)


def test_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match="expected a folder that aeedge train wrote"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config"):
        load_run(tmp_path)


def test_folder_in_use(tmp_path, config):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    with pytest.raises(AeedgeError, match="--resume or replace it with --force"):
        train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    (tmp_path / "run" / "mine.txt").write_text("kept")
    train(config(max_steps=2), tmp_path / "run", hardware=CPU, force=True)
    assert (tmp_path / "run" / "mine.txt").read_text() == "kept"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    with pytest.raises(ArgumentError, match="contains other files"):
        train(config(), tmp_path / "other", hardware=CPU, force=True)


def test_a_file_where_the_run_should_be(tmp_path, config):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ArgumentError, match="is a file, expected a folder"):
        train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    assert (tmp_path / "run").read_text() == "mine"


def test_unusable_config_leaves_no_folder_and_no_loss(tmp_path, config):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    missing = config(data={"source": str(tmp_path / "nowhere")})
    with pytest.raises(ArgumentError):
        train(missing, tmp_path / "new", hardware=CPU)
    with pytest.raises(ArgumentError):
        train(missing, tmp_path / "run", hardware=CPU, force=True)
    assert not (tmp_path / "new").exists()
    load_run(tmp_path / "run")
