"""The whole pipeline on small digits: train, export, compress, decompress, and compare with classic codecs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeedge.cli.comparison import Measured, measure_classics, save_comparison
from aeedge.presets import find_preset
from aeedge.training.config import DataConfig, RunConfig
from aeedge.training.data.datasets import open_dataset
from aeedge.training.loop import train
from aeedge.training.reporting.display import Display
from aeedge_export import export_run
from aeedge_runtime import Codec
from aeedge_runtime.errors import AeedgeError, ArgumentError
from aeedge_runtime.files import atomic_write
from aeedge_runtime.images.psnr import psnr_db

PRESET = "dense-mnist"
TRAINING_IMAGES = 12_000
TEST_IMAGES = 1_000

SINGLE_IMAGES = 200
"""Images compressed to a stream each, to show what one header per image costs."""

EPOCHS = 20
MNIST_FILE = Path("MNIST/raw/train-images-idx3-ubyte")


@dataclass(frozen=True)
class Places:
    """What a demonstration leaves in its folder."""

    run: Path
    bundle: Path
    stream: Path
    picture: Path

    @classmethod
    def below(cls, folder: Path) -> "Places":
        """Return the places below a folder."""
        return cls(folder / "run", folder / "bundle", folder / "digits.aee", folder / "side-by-side.png")


@dataclass(frozen=True)
class Demonstration:
    """What was measured; `rows` starts with aeedge itself."""

    data: str
    places: Places
    stream_bytes: int
    rows: tuple[Measured, ...]
    seconds: float


def demonstrate(folder: Path, data_dir: Path | None, quality: int, tell: Callable[[str], None]) -> Demonstration:
    """Run the demonstration.

    Args:
        folder: where everything is written; existing results there are replaced.
        data_dir: folder with MNIST; None for synthetic digits.
        quality: 1..100.
        tell: called with each line of progress.

    Raises:
        ArgumentError: there is no MNIST in `data_dir`.
        AeedgeError: the parity gate failed, or what was restored is not what was compressed.
    """
    start = time.monotonic()
    places = Places.below(folder)
    config = demonstration_config(data_dir)
    tell(f"1/4  training {PRESET} on {config.data.source} digits")
    train(config, places.run, force=True, reporter=Display())
    tell("2/4  exporting to ONNX, checking against PyTorch")
    export_run(places.run, places.bundle, force=True, progress=tell)
    images = held_out_images(config)
    tell(f"3/4  compressing {len(images):,} images it has not seen, decompressing them from the file")
    codec = Codec.load(places.bundle)
    ours = _measure_stream(codec, images, quality, places.stream)
    single = _measure_single(codec, images[:SINGLE_IMAGES], quality)
    tell("4/4  the same images as PNG, JPEG and WebP")
    rows = (ours, single, *measure_classics(images, ours.psnr_db))
    shown = [row for row in rows if row is not single and np.isfinite(row.psnr_db)]
    labelled = [(f"{row.name.partition(',')[0]}, {row.image_bytes:.0f} bytes", row.decoded) for row in shown]
    save_comparison([("original", images), *labelled], places.picture)
    size = places.stream.stat().st_size
    return Demonstration(config.data.source, places, size, rows, time.monotonic() - start)


def demonstration_config(data_dir: Path | None) -> RunConfig:
    """Return the preset's config with the demonstration's data and length.

    Raises:
        ArgumentError: there is no MNIST in `data_dir`.
    """
    config = find_preset(PRESET).config()
    data = DataConfig(source="synthetic", count=TRAINING_IMAGES, held_out=TEST_IMAGES / TRAINING_IMAGES)
    if data_dir is not None:
        if not any((data_dir / f"{MNIST_FILE}{suffix}").exists() for suffix in ("", ".gz")):
            raise ArgumentError(
                f"{data_dir}: {MNIST_FILE} is missing, expected MNIST; leave out --data-dir to use synthetic digits"
            )
        data = DataConfig(source="mnist", data_dir=str(data_dir), count=TRAINING_IMAGES)
    return replace(config, data=data, training=replace(config.training, epochs=EPOCHS))


def held_out_images(config: RunConfig) -> NDArray[np.uint8]:
    """Return test images of a run's data, uint8 [N, 28, 28]."""
    images = open_dataset(config.data, 1, "test", seed=config.training.seed)
    return np.stack([images.image(index)[..., 0] for index in range(min(len(images), TEST_IMAGES))])


def _measure_stream(codec: Codec, images: NDArray[np.uint8], quality: int, path: Path) -> Measured:
    """Compress all images to one stream at `path`, and decompress them from that file."""
    codec.decompress_batch(codec.compress_batch(images[:2], quality))  # opens the sessions
    start = time.perf_counter()
    stream = codec.compress_batch(images, quality)
    encode_ms = (time.perf_counter() - start) * 1000 / len(images)
    atomic_write(path, stream, overwrite=True)
    start = time.perf_counter()
    restored = codec.decompress_batch(path)[..., 0]
    decode_ms = (time.perf_counter() - start) * 1000 / len(images)
    if restored.shape != images.shape:
        raise AeedgeError(
            f"decompressed {restored.shape}, expected {images.shape}; the stream is not what was compressed"
        )
    size = path.stat().st_size / len(images)
    return Measured("aeedge, one stream", size, psnr_db(images, restored), encode_ms, decode_ms, restored)


def _measure_single(codec: Codec, images: NDArray[np.uint8], quality: int) -> Measured:
    start = time.perf_counter()
    streams = [codec.compress(image, quality) for image in images]
    middle = time.perf_counter()
    restored = np.stack([codec.decompress(stream)[..., 0] for stream in streams])
    end = time.perf_counter()
    times_ms = ((middle - start) * 1000 / len(images), (end - middle) * 1000 / len(images))
    size = sum(map(len, streams)) / len(images)
    return Measured("aeedge, a stream each", size, psnr_db(images, restored), *times_ms, restored)
