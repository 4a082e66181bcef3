"""The two ways to score images: by the error of the whole image, and by comparison with good ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from aeedge.cli.console import note, warn
from aeedge.figures import count, printable
from aeedge.sources import find_sources
from aeedge_runtime.errors import InputError
from aeedge_runtime.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aeedge.applications.images import NamedImage
    from aeedge.applications.reference import Reference
    from aeedge.cli.options.score import ScoreOptions
    from aeedge.cli.options.selection import Selection
    from aeedge.cli.outlet import Outlet
    from aeedge_runtime import Codec
    from aeedge_runtime.bundle.manifest import AnomalyFacts


class Scoring(ABC):
    """Scores images and writes their heat maps.

    Attributes:
        threshold: scores above it are anomalous; None where there is none.
        facts: calibration of the threshold; None where the user gives it, or where there is none.
    """

    threshold: float | None
    facts: AnomalyFacts | Reference | None

    def __init__(self, codec: Codec, options: ScoreOptions, outlet: Outlet) -> None:
        self.codec, self.options, self.outlet = codec, options, outlet

    @staticmethod
    def of(codec: Codec, options: ScoreOptions, outlet: Outlet) -> Scoring:
        """Return the way that the options ask for."""
        return (ByReference if options.reference else ByError)(codec, options, outlet)

    @abstractmethod
    def run(self, selection: Selection) -> Iterator[tuple[NamedImage, float]]:
        """Yield each image with its score."""

    def pixels(self) -> dict[str, Any]:
        """Return how well maps match masks, where there are any."""
        return {}

    def write_map(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Write the heat map of an image if maps are asked for."""
        from aeedge_runtime import Picture
        from aeedge_runtime.images.save import picture_bytes

        if self.options.heat_maps:
            data, _ = picture_bytes(Picture(pixels), ".png")
            self.outlet.write(map_path(self.options.heat_maps, PurePosixPath(name)), data)


class ByError(Scoring):
    """Scores by the mean squared error of the reconstruction."""

    def __init__(self, codec: Codec, options: ScoreOptions, outlet: Outlet) -> None:
        super().__init__(codec, options, outlet)
        self.facts = codec.bundle.manifest.anomaly if options.threshold is None else None
        self.threshold = self.facts.threshold if self.facts else options.threshold

    def run(self, selection: Selection) -> Iterator[tuple[NamedImage, float]]:
        """Yield each image with its score."""
        from aeedge.applications.anomaly import heat_map, score_images

        for scored in score_images(self.codec, selection.images(self.codec.bundle.manifest.image.channels)):
            self.write_map(scored.image.name, heat_map(scored.image.pixels, scored.restored))
            yield scored.image, scored.score


class ByReference(Scoring):
    """Scores by the most unusual place among good images."""

    def __init__(self, codec: Codec, options: ScoreOptions, outlet: Outlet) -> None:
        from aeedge.applications.detection import PixelDetection
        from aeedge.applications.reference import Reference

        super().__init__(codec, options, outlet)
        rate = options.false_positive_rate
        self.reference = Reference.fit(codec, self._good_images, 0.01 if rate is None else rate)
        self.facts = self.reference if options.threshold is None else None
        self.threshold = self.reference.threshold if options.threshold is None else options.threshold
        self._detection = PixelDetection()
        self._without_mask = 0
        where = "aligned, so each position has its own" if self.reference.aligned else "not aligned, so all share their"
        note(f"good images: {count(2 * self.reference.images, 'image')}, {where} statistics")

    def run(self, selection: Selection) -> Iterator[tuple[NamedImage, float]]:
        """Yield each image with its score."""
        from aeedge.applications.heat_maps import overlay
        from aeedge.applications.reference import feature_maps

        images = selection.images(self.codec.bundle.manifest.image.channels)
        for image, maps in feature_maps(self.codec, images):
            unusual = self.reference.unusual(maps)
            self.write_map(image.name, overlay(image.pixels, unusual, self.threshold or 0.0))
            if self.options.masks:
                self._detection.add(unusual, self._mask(image, unusual.shape))
            yield image, float(unusual.max())

    def pixels(self) -> dict[str, Any]:
        """Return pixel AUROC and best F1 against the masks."""
        if not self.options.masks:
            return {}
        if not self._detection.masks:
            raise click.UsageError(f"--masks {printable(self.options.masks)}: found no mask of these images")
        if self._without_mask:
            warn(f"{count(self._without_mask, 'image')} without a mask: counted as free of defects")
        return {"masks": self._detection.masks, **self._detection.summary()}

    def _good_images(self) -> Iterator[NamedImage]:
        from aeedge.applications.images import file_images

        sources = find_sources(self.options.reference, IMAGE_SUFFIXES)
        channels = self.codec.bundle.manifest.image.channels
        return file_images(sources, channels, lambda source, error: warn(f"{source.name}: left out ({error})"))

    def _mask(self, image: NamedImage, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the mask of an image, [H, W]; nothing is marked where it has none, as images of good parts do."""
        import numpy as np

        from aeedge.reading import read_pixels

        name = PurePosixPath(image.name)
        for stem in (name.stem, f"{name.stem}_mask"):  # the second as in MVTec's data set
            path = (self.options.masks or Path()) / name.with_name(f"{stem}.png")
            if path.is_file():
                mask = read_pixels(path, 1)[0][..., 0] > 127
                if mask.shape != shape:
                    raise InputError(
                        f"{path}: a mask of {mask.shape[1]}x{mask.shape[0]}, expected {shape[1]}x{shape[0]}"
                    )
                return mask
        self._without_mask += image.label is None or image.label != self.options.normal
        return np.zeros(shape, np.bool_)


def map_path(folder: Path, name: PurePath) -> Path:
    """Return the path of the heat map of an image."""
    return folder / name.with_suffix(".png")
