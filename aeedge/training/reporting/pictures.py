"""Pictures of a run: reconstruction grids and curves."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeedge.training.run.logbook import METRICS, read_metrics

GAP = 2
"""Pixels between the pictures of a grid."""


def grid(rows: Sequence[NDArray[np.float32]], enlarge: int = 1) -> Image.Image:
    """Arrange pictures as an image.

    Args:
        rows: for each row pictures [N, C, H, W] in 0..1 (clamped here), the same shape in every row.
        enlarge: whole factor by which small pictures are enlarged.
    """
    count, channels, height, width = rows[0].shape
    canvas = np.full((len(rows) * (height + GAP) - GAP, count * (width + GAP) - GAP, channels), 255, np.uint8)
    for r, row in enumerate(rows):
        pixels = np.rint(np.clip(row, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        for column, picture in enumerate(pixels):
            top, left = r * (height + GAP), column * (width + GAP)
            canvas[top : top + height, left : left + width] = picture
    image = Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)
    return image.resize((image.width * enlarge, image.height * enlarge), Image.Resampling.NEAREST)


def save_grid(path: Path, rows: Sequence[NDArray[np.float32]]) -> None:
    """Write a grid as PNG; pictures below 64 pixels are enlarged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    smallest = min(rows[0].shape[2:])
    _save(path, grid(rows, max(1, 64 // smallest)))


def save_curves(run: Path) -> None:
    """Draw losses and PSNR of a run's metrics.csv as curves.png; nothing before the second validation."""
    rows = read_metrics(run / METRICS)
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
    buffer.seek(0)
    _save(run / "curves.png", Image.open(buffer))


def _save(path: Path, image: Image.Image) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    image.save(temporary, format="PNG", compress_level=3)
    temporary.replace(path)
