"""Images of a run: reconstructions side by side, and curves."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge.mosaic import enlarged, mosaic
from aeedge_runtime.files import atomic_write

GAP = 2
"""White pixels between reconstructions."""


def save_grid(path: Path, rows: Sequence[NDArray[np.float32]]) -> None:
    """Write images as one PNG, enlarged where they are below 64 pixels.

    Args:
        path: file to write.
        rows: images [N, C, H, W] in 0..1 (clamped here) for each row, of the same shape in every row.
    """
    images = np.rint(np.clip(np.concatenate(rows), 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    canvas = mosaic(images, len(rows[0]), gap=GAP)
    canvas = enlarged(canvas, max(1, 64 // min(images.shape[1:3])))
    buffer = io.BytesIO()
    Image.fromarray(canvas[..., 0] if canvas.shape[2] == 1 else canvas).save(buffer, "PNG", compress_level=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, buffer.getvalue(), overwrite=True)


def save_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw losses and PSNR over the steps as a PNG; nothing before the second validation.

    Args:
        path: file to write.
        rows: of the run's metrics.csv.
    """
    if len(rows) < 2:
        return
    from matplotlib.figure import Figure  # not pyplot, which keeps global state

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, names in ((left, ("train_loss", "val_loss")), (right, ("val_psnr_db",))):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            axes.plot([step for step, _ in points], [value for _, value in points], marker=".", label=name)
        axes.set_xlabel("step")
        axes.legend()
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    atomic_write(path, buffer.getvalue(), overwrite=True)
