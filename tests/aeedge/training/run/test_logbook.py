import pytest

from aeedge.training.hardware import Hardware
from aeedge.training.loop import train
from aeedge_runtime.errors import InputError

pytestmark = pytest.mark.torch

CPU = Hardware(accelerator="cpu")


@pytest.mark.parametrize(
    "data",
    [
        b"step,val_loss\n1,abc\n",
        b"step,val_loss\n1,2,3\n",
        b"step,val_loss\n1,\xff\n",
        b"val_loss\n1\n",
        b"step,val_loss\n1," + b'"' + b"1" * 200_000,
    ],
)
def test_damaged_metrics_are_refused(tmp_path, data, config):
    train(config(max_steps=1), tmp_path / "run", hardware=CPU)
    (tmp_path / "run" / "metrics.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"metrics\.csv: found .* repair or remove the file"):
        train(config(max_steps=2), tmp_path / "run", hardware=CPU, resume=True)
