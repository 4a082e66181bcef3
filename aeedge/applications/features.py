"""Latents as features of images, for search, clustering and small classifiers, and a plot of them."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aeedge.applications.images import NamedImage, batches, stack
from aeedge.extras import require_extra
from aeedge.figures import printable
from aeedge_runtime import ArgumentError, Codec

Floats = NDArray[np.float32]
Pool = Literal["none", "mean"]

SHOWN_CLASSES = 19
"""Classes that get a color of their own and a line in the legend; the others share one."""


@dataclass(frozen=True, eq=False)
class Features:
    """The latents of some images, as `aeedge encode` writes them.

    Attributes:
        latents: float32 [N, c, h, w], or [N, c] where positions were averaged.
        names: of the images, [N].
        labels: their classes, [N], "" where unknown.
    """

    latents: Floats
    names: NDArray[np.str_]
    labels: NDArray[np.str_]

    def to_bytes(self) -> bytes:
        """Return the content of an .npz file; it can be read with `allow_pickle=False`."""
        buffer = io.BytesIO()
        np.savez(buffer, latents=self.latents, names=self.names, labels=self.labels)
        return buffer.getvalue()


def encode_images(codec: Codec, images: Iterable[NamedImage], pool: Pool = "none") -> Features:
    """Return the latents of images.

    Args:
        codec: the model.
        images: of one size, unless they are pooled.
        pool: "mean" averages over the positions of the latent, so that images of all sizes compare.

    Raises:
        MissingHalfError: the bundle has no encoder.
        ArgumentError: no images, or several sizes of latent without pooling.
    """
    parts: list[Floats] = []
    names: list[str] = []
    labels: list[str] = []
    for batch in batches(images):
        latents = codec.encode_batch(stack(batch))
        parts.append(latents.mean(axis=(2, 3)) if pool == "mean" else latents)
        if parts[-1].shape[1:] != parts[0].shape[1:]:
            found = " and ".join("x".join(map(str, part.shape[2:])) for part in (parts[0], parts[-1]))
            raise ArgumentError(f"{batch[0].name}: found latents of {found}, expected one size; use --pool mean")
        names += [image.name for image in batch]
        labels += [image.label for image in batch]
    if not parts:
        raise ArgumentError("no images, expected at least one")
    return Features(np.concatenate(parts), np.array(names), np.array(labels))


def principal_components(values: Floats, count: int = 2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the leading principal components of rows [N, D]: coordinates [N, count], explained shares [count].

    Raises:
        ArgumentError: fewer rows or columns than components.
    """
    if min(values.shape) < count:
        raise ArgumentError(
            f"found {values.shape[0]} images of {values.shape[1]} latent values, expected at least {count} of each"
        )
    centered = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    _, strengths, directions = np.linalg.svd(centered, full_matrices=False)
    chosen = directions[:count].T
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(count)])  # svd leaves the sign open
    return centered @ chosen, np.square(strengths[:count]) / max(float(np.square(strengths).sum()), 1e-30)


def draw_features(features: Features, title: str) -> bytes:
    """Return a PNG of the first two principal components of the latents, colored by class.

    Raises:
        AeedgeError: matplotlib is not installed.
        ArgumentError: fewer than two images, or than two latent values of each.
    """
    require_extra("report", ["matplotlib"], "the plot needs")
    from matplotlib import colormaps
    from matplotlib.figure import Figure  # not pyplot, which keeps global state

    places, shares = principal_components(features.latents.reshape(len(features.latents), -1))
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    groups = _classes(features.labels)
    colors = colormaps["tab10" if len(groups) <= 10 else "tab20"]
    for number, (label, members) in enumerate(groups):
        x, y = places[members].T
        axes.scatter(
            x, y, s=10, alpha=0.8, linewidths=0, color=colors(number), label=printable(label) if label else None
        )
    axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second component ({shares[1]:.0%})")
    axes.set_title(title)
    if any(features.labels):
        axes.legend(markerscale=2.5, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _classes(labels: NDArray[np.str_]) -> Sequence[tuple[str, NDArray[np.bool_]]]:
    names = sorted(set(labels.tolist()))
    groups = [(name, labels == name) for name in names[:SHOWN_CLASSES]]
    if len(names) > SHOWN_CLASSES:
        groups.append(("others", ~np.isin(labels, names[:SHOWN_CLASSES])))
    return groups
