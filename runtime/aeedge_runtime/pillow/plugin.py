"""Registers `.aee` with Pillow: an image file that is decoded when its pixels are needed, and a writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import IO, Any, BinaryIO, cast

from PIL import Image, ImageFile

from ..codec import Codec
from ..codec_cache import CodecCache
from ..coding.preview import SCALE
from ..errors import InputError, LimitError, StreamError
from ..images.load import load_picture
from ..images.picture import Picture
from ..images.save import finished, pillow_image
from ..images.tiff import EXIF_PREFIX
from ..stream.container import ALPHA, BOUND, EXIF, ICC, SIGNATURE, TILES, read_header
from ..stream.front import StreamFront
from ..stream.tile_grid import TileGrid
from ..stream.tile_sections import PEEK_BYTES, peek_tiles

FORMAT = "AEE"
SUFFIX = ".aee"
MIME_TYPE = "image/x-aeedge"

RATES = ("quality", "max_bytes", "target_bpp", "target_psnr", "max_error")
"""Arguments of `Image.save` that `Codec.compress` takes under the same names."""

_codecs = CodecCache()


def register(*, device: str = "cpu", threads: int | None = None) -> None:
    """Let `Image.open` read `.aee` streams and `Image.save` write them; call it again to change the options.

    A stream's bundle is found by its stream id. `save` takes `bundle`, one of `quality`, `max_bytes`, `target_bpp`,
    `target_psnr` and `max_error`, `stored_tiles`, `exif` and `icc_profile`; with `save_all=True`, also further images
    of the same size in `append_images`.

    Args:
        device: as in `Codec.load`.
        threads: as in `Codec.load`; 1 suits the workers of a data loader.
    """
    global _codecs
    _codecs = CodecCache(device, threads)
    Image.register_open(FORMAT, AeeImageFile, lambda prefix: prefix[: len(SIGNATURE)] == SIGNATURE)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME_TYPE)


class AeeImageFile(ImageFile.ImageFile):
    """A stream as an image; the images of a packed stream are its frames."""

    format = FORMAT
    format_description = "aeedge stream"

    def _open(self) -> None:
        try:
            front = StreamFront(self._file())
            header = front.header
            self._read_sections(front)
        except StreamError as error:
            raise SyntaxError(str(error)) from error  # how a plugin tells Pillow that it cannot read a file
        self._size = header.width, header.height
        self.n_frames = header.count
        self.is_animated = header.count > 1
        self.info["quality"] = header.quality
        self.info["stream_id"] = header.stream_id.hex()
        self._frame, self._loaded = 0, -1
        self._pictures: list[Picture] = []
        self._whole = self._size

    def _file(self) -> BinaryIO:
        if self.fp is None:
            raise ValueError("the file of this image is closed")
        return cast(BinaryIO, self.fp)

    def _read_sections(self, front: StreamFront) -> None:
        """Take mode and `info` from the sections that say something of them."""
        header = front.header
        sections, alpha, exact = header.section_bytes, False, False
        if TILES in sections:
            grid = TileGrid(header.count, header.height, header.width)
            alpha, exact = peek_tiles(front.section(TILES, PEEK_BYTES), grid)
        self._mode = ("L" if header.gray else "RGB") + "A" * (ALPHA in sections or alpha)
        if ICC in sections:
            self.info["icc_profile"] = front.section(ICC)
        if EXIF in sections:
            self.info["exif"] = EXIF_PREFIX + front.section(EXIF)
        if BOUND in sections:
            self.info["max_error"] = front.section(BOUND, 1)[0]
        elif exact:
            self.info["max_error"] = 0

    def _read(self) -> bytes:
        """Return the whole stream."""
        file = self._file()
        file.seek(0)
        return file.read()

    def verify(self) -> None:
        """Check the stream's checksums without decoding it.

        Raises:
            OSError: it is damaged or cut short.
        """
        try:
            read_header(self._read())
        except StreamError as error:
            raise OSError(str(error)) from error
        super().verify()

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode at 1/8 of the size where that is at least `size`, as `Image.thumbnail` asks.

        Returns:
            The mode and the part of the new image that is the picture, or None where nothing changes.
        """
        width, height = self._whole
        small = -(-width // SCALE), -(-height // SCALE)
        if size is None or self.n_frames > 1 or self._loaded >= 0 or small[0] < size[0] or small[1] < size[1]:
            return None
        self._size = small
        return self.mode, (0, 0, width / SCALE, height / SCALE)

    def seek(self, frame: int) -> None:
        """Go to an image of a packed stream."""
        if self._seek_check(frame):
            self._frame = frame

    def tell(self) -> int:
        """Return the number of the current image."""
        return self._frame

    def load(self) -> Any:
        """Decode the stream when it is called for the first time.

        Raises:
            OSError: the stream is damaged or cut short, or no bundle with its stream id is found.
            DecompressionBombError: it has too many pixels.
        """
        if self._loaded != self._frame:
            picture = self._decode_preview() if self._size != self._whole else self._decode()[self._frame]
            image = finished(pillow_image(picture.pixels), picture.alpha, None, None)
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = BytesIO(image.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
            self._loaded = self._frame
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Stay: the pixels are in memory, and Pillow must not map the file."""

    def _decode(self) -> list[Picture]:
        if not self._pictures:
            codec, limit = self._codec()
            with _pillow_errors():
                self._pictures = codec.decompress_pictures(self._read(), max_pixels=limit)
        return self._pictures

    def _decode_preview(self) -> Picture:
        codec, limit = self._codec()
        with _pillow_errors():
            return codec.preview_picture(self._read(), max_pixels=limit)

    def _codec(self) -> tuple[Codec, int | None]:
        """Return the codec of the stream and the most pixels that it may decode."""
        codec = _codecs.for_stream(self.info["stream_id"])
        rows, columns = codec.bundle.geometry.stride
        padded = self.n_frames * (self._whole[0] + columns) * (self._whole[1] + rows)
        return codec, padded if Image.MAX_IMAGE_PIXELS is None else None


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Raise the errors that Pillow's own formats raise."""
    try:
        yield
    except LimitError as error:
        raise Image.DecompressionBombError(str(error)) from error
    except InputError as error:
        raise OSError(str(error)) from error


def _save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    options = image.encoderinfo
    codec = _codecs.for_bundle(options.get("bundle"))
    file.write(codec.compress(_source(image, options), **_rate(options)))


def _save_all(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    options = image.encoderinfo
    codec = _codecs.for_bundle(options.get("bundle"))
    images: Sequence[Image.Image] = [image, *options.get("append_images", ())]
    frames = [_source(frame, options) for each in images for frame in _frames(each)]
    file.write(codec.compress_batch(frames, **_rate(options)))


def _frames(image: Image.Image) -> list[Image.Image]:
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append(image.copy())
    return frames


def _source(image: Image.Image, options: dict[str, Any]) -> Picture:
    """Return an image with the profile and EXIF that the caller passes, or else those that it has."""
    picture = load_picture(image)
    if "icc_profile" in options:
        picture = replace(picture, icc=options["icc_profile"] or None)
    if "exif" in options:
        exif = options["exif"]
        data: bytes = exif.tobytes() if isinstance(exif, Image.Exif) else exif or b""
        picture = replace(picture, exif=data.removeprefix(EXIF_PREFIX) or None)
    return picture


def _rate(options: dict[str, Any]) -> dict[str, Any]:
    rate = {key: options[key] for key in (*RATES, "stored_tiles") if key in options}
    if options.get("lossless"):
        rate["max_error"] = 0
    return rate
