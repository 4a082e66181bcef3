"""The codec: images to checked bytes and back, with one bundle on one device."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from .arrays import all_finite, whole
from .bundle.bundle import Bundle, BundleSource
from .coding.blocks import ArrayCanvas, BlockLatents, ImageCanvas, decode_blocks, finite, plan_blocks
from .coding.chunk_io import ChunkReader, write_chunks
from .coding.networks import Floats, Networks, Pixels
from .errors import ArgumentError, BundleError, LimitError, WrongModelError
from .images.batch import Stack, stack_images
from .images.load import Picture, Source, to_gray
from .images.save import finished
from .inference.session import SessionOptions
from .limits import MAX_SECTION_BYTES
from .notices import notice
from .profiling import staged
from .rate_search import HIGHEST, LOWEST, Rate, psnr_db, reach
from .stream.container import ALPHA, EXIF, ICC, NAMES, Stream, StreamHeader, read_stream, write_stream
from .stream.info import Data, stream_bytes
from .stream.layout import Geometry, check_size
from .stream.sections import pack_alpha, pack_names, unpack_alpha, unpack_names

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_QUALITY = 50

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)

MOST_SHAPES = 256
"""Shapes of arrays that a codec remembers to have checked. Checks take longer than a small network, as they run right
after one, with no code in the caches."""


class Codec:
    """One bundle on one device. Safe to share by threads; pickles as its bundle's path, hash and options.

    Attributes:
        bundle: the model.
        options: device and threads, as asked for.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        """Takes a loaded bundle; `load` is the usual way."""
        self.bundle = bundle
        self.options = options
        self._networks = Networks(bundle, options)
        self._encodable: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._decodable: set[tuple[int, ...]] = set()
        if options.device != "cpu":
            self._networks.session(bundle.manifest.halves[0])

    @classmethod
    def load(
        cls,
        bundle: BundleSource | Bundle | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        tf32: bool = False,
        provider_options: Mapping[str, str] | None = None,
    ) -> Self:
        """Loads a bundle for a device. Graphs are opened at first use; on another device than the CPU, one at once.

        Args:
            bundle: folder, `.aeb` file, bytes of one, name of a shipped bundle, or a loaded bundle; None for `photo`.
            device: "cpu", "cuda", "cuda:N", "auto" (CUDA if it works, else CPU with a warning) or "provider:NAME".
            threads: threads inside one operator on the CPU, or over the chunks of a large image; None for the physical
                cores available.
            tf32: let CUDA use TF32: faster, and pixels may differ by more than 1.
            provider_options: further options of the execution provider; the CPU takes none.

        Raises:
            ModelNotFoundError: no bundle there.
            BundleError: a file of it is damaged or forged.
            DeviceError: the device cannot be used; the message says what is missing.
            ArgumentError: a value out of range.
        """
        options = SessionOptions(device, threads, tf32, {} if provider_options is None else provider_options)
        return cls(bundle if isinstance(bundle, Bundle) else Bundle.load(bundle), options)

    def compress(
        self,
        image: Source,
        quality: int | None = None,
        *,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        metadata: bool = True,
        max_pixels: int | None = None,
    ) -> bytes:
        """Compresses one image to a stream, at a quality or to a target (at most one of the four).

        Args:
            image: path, bytes of a file, PIL image, Picture, or uint8 array [H, W], [H, W, 1 | 2 | 3 | 4]; the last of
                2 or 4 channels is alpha, kept losslessly.
            quality: 1 (smallest) .. 100 (best); 50 where nothing is asked for.
            max_bytes: the best quality of which the whole stream has at most so many bytes.
            target_bpp: the same, as bits per pixel of the image.
            target_psnr: the lowest quality that reaches this PSNR in dB, alpha left out; needs the decoder.
            metadata: keep ICC profile and EXIF.
            max_pixels: most pixels, padding included; None for the bundle's limit.

        Raises:
            ImageError: not an image, or a damaged one.
            LimitError: too many pixels.
            ArgumentError: another type, dtype or shape; quality out of range; several targets.
            TargetNotReachedError: no quality meets the target; the message says how near one can come.
            MissingHalfError: the bundle has no encoder.
            BundleError: a file of the bundle has changed since it was loaded, or a network gives NaN or infinity.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        stack = stack_images([image], self._channels, limit)
        rate = Rate(quality, max_bytes, target_bpp, target_psnr)
        return self._compress(stack, rate, metadata, None, limit)

    def compress_batch(
        self,
        images: Iterable[Source] | NDArray[np.uint8],
        quality: int | None = None,
        *,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        names: Sequence[str | bytes] | None = None,
        metadata: bool = True,
        max_pixels: int | None = None,
    ) -> bytes:
        """Compresses images of one size to one stream, to a quality or a target; they share its header and its coder.

        Args:
            images: images as `compress` takes them, or one uint8 array [N, H, W] or [N, H, W, C] (the fastest way).
            quality: 1 (smallest) .. 100 (best); 50 where nothing is asked for.
            max_bytes: as in `compress`, of all images together; so are the next two.
            target_bpp: bits per pixel.
            target_psnr: PSNR in dB.
            names: one per image, relative paths, kept in the stream.
            metadata: keep an ICC profile or EXIF that all images share.
            max_pixels: most pixels of all images together, padding included; None for the bundle's limit.

        Raises:
            The errors of `compress`; ArgumentError also for images of several sizes or names that do not fit.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        stack = stack_images(images, self._channels, limit)
        rate = Rate(quality, max_bytes, target_bpp, target_psnr)
        return self._compress(stack, rate, metadata, names, limit)

    def decompress(self, data: Data, *, max_pixels: int | None = None) -> Pixels:
        """Restores the image of a stream, uint8 [H, W, C]: C is 1 or 3, and one more where there is alpha.

        Args:
            data: bytes of a stream, or the path of a file.
            max_pixels: most pixels, padding included; None for the bundle's limit.

        Raises:
            StreamError: damaged, forged or not a stream.
            WrongModelError: written with another model.
            LimitError: too many pixels.
            MissingHalfError: the bundle has no decoder.
            ArgumentError: the stream holds several images.
            BundleError: a file of the bundle has changed since it was loaded.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        pixels = self.decompress_batch(data, max_pixels=max_pixels)
        _check_single(len(pixels))
        first: Pixels = pixels[0]
        return first

    def decompress_batch(self, data: Data, *, max_pixels: int | None = None) -> Pixels:
        """Restores all images of a stream, uint8 [N, H, W, C]; see `decompress`."""
        return self._decompress(data, max_pixels, with_alpha=True)[0]

    def decompress_pictures(self, data: Data, *, max_pixels: int | None = None) -> list[Picture]:
        """Restores all images of a stream with alpha, ICC profile and EXIF, ready to be saved; see `decompress`."""
        pixels, stream = self._decompress(data, max_pixels)
        alpha = _alpha(stream) if ALPHA in stream.sections else None
        return [
            Picture(
                pixels=pixels[index],
                alpha=None if alpha is None else alpha[index],
                icc=stream.sections.get(ICC),
                exif=stream.sections.get(EXIF),
                gray=pixels.shape[3] == 1,
            )
            for index in range(stream.count)
        ]

    def decompress_image(self, data: Data, *, max_pixels: int | None = None) -> Image:
        """Restores the image of a stream as a PIL image, with alpha, and with ICC profile and EXIF in its `info`.

        Made block by block: of a large image there is no second copy as an array. Arguments and errors are those of
        `decompress`.
        """
        from PIL import Image

        stream, reader, channels = self._open_to_decode(data, max_pixels)
        _check_single(stream.count)
        image = Image.new("L" if channels == 1 else "RGB", (stream.width, stream.height))
        decode_blocks(self.bundle, self._networks, reader, ImageCanvas(image))
        alpha = _alpha(stream)[0] if ALPHA in stream.sections else None
        return finished(image, alpha, stream.sections.get(ICC), stream.sections.get(EXIF))

    def decompress_symbols(self, data: Data, *, max_pixels: int | None = None) -> NDArray[np.int16]:
        """All symbols of a stream in coding order, int16 [n]; needs no decoder half. Errors as in `decompress`."""
        return self._open(data, max_pixels)[1].read_symbols()

    def encode(self, image: Source) -> Floats:
        """Latent of an image, float32 [c, h, w]; `image` and errors as in `compress`, its alpha is ignored."""
        latent: Floats = finite(self.bundle, self._networks.encode(self._stacked([image])))[0]
        return latent

    def encode_batch(self, images: Iterable[Source] | NDArray[np.uint8]) -> Floats:
        """Latents of images of one size, float32 [N, c, h, w]; `images` and errors as in `compress_batch`."""
        return finite(self.bundle, self._networks.encode(self._stacked(images)))

    def encode_distribution(self, image: Source) -> tuple[Floats, Floats]:
        """Mean and log variance of the latent that a variational model gives an image, float32 [c, h, w] each.

        `image` and errors are as in `compress`; ArgumentError also for a model that is not variational.
        """
        if self.bundle.manifest.family != "vae":
            raise ArgumentError(
                f"{self.bundle} is of family {self.bundle.manifest.family}, expected vae: others give no distribution"
            )
        pixels = self._stacked([image])
        mean, spread = (
            finite(self.bundle, self._networks.encode(pixels, output))[0] for output in ("latent", "log_variance")
        )
        return mean, spread

    def decode(self, latent: Floats, size: tuple[int, int]) -> Pixels:
        """Image of a latent.

        Args:
            latent: float32 [c, h, w].
            size: rows and columns of the image in pixels, which the latent's h and w must cover exactly.

        Returns:
            uint8 [H, W, C].

        Raises:
            ArgumentError: another dtype or shape, or a latent that is not finite.
            LimitError: more pixels than the bundle's limit.
            MissingHalfError: the bundle has no decoder.
            BundleError: a file of the bundle has changed since it was loaded.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        image: Pixels = self.decode_batch(_array(latent)[None], size)[0]
        return image

    def decode_batch(self, latents: Floats, size: tuple[int, int]) -> Pixels:
        """Images, uint8 [N, H, W, C], of latents, float32 [N, c, h, w]; see `decode`."""
        latents, (height, width) = _array(latents), _rows_and_columns(size)
        sizes = *latents.shape, height, width
        if sizes not in self._decodable or latents.dtype != _FLOAT32:
            self._check_latents(latents, height, width)
            if len(self._decodable) < MOST_SHAPES:
                self._decodable.add(sizes)
        if not all_finite(latents):
            raise ArgumentError("decode: the latent holds NaN or infinity")
        return self._networks.decode(latents, height, width)

    def validate(self, data: Data, *, max_pixels: int | None = None) -> None:
        """Refuses a stream that is damaged, too large or of another model, before anything of its images' size is made.

        Chunks and alpha are looked at only when they are decoded. Errors are those of `decompress_batch`.
        """
        self._open(data, max_pixels)

    def provider(self, role: str, patches: int | None = None) -> str:
        """Execution provider that really runs a graph ("encoder", "decoder", "prior", ...); opens it if need be.

        Args:
            role: which graph.
            patches: how many go through it at once, where it is a network of patches: for few of them it is opened for
                one thread. None for many.

        Raises:
            MissingHalfError: the bundle has only the other half.
            BundleError: the bundle has no such graph, or its file has changed.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        if role in ("encoder", "decoder"):
            self.bundle.require(role, "its provider")
        return self._networks.session(role, patches).provider

    def __repr__(self) -> str:
        """Bundle and device."""
        return f"Codec({self.bundle}, device={self.options.device!r})"

    def __getstate__(self) -> dict[str, Any]:
        """BundleSource, hash and options: a worker loads the bundle itself."""
        return {"source": self.bundle.source, "hash": self.bundle.hash, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Loads the bundle again.

        Raises:
            BundleError: another bundle lies there now.
        """
        bundle = Bundle.load(state["source"])
        if bundle.hash != state["hash"]:
            raise BundleError(f"{bundle} is not the one that was pickled; load the codec again")
        self.__init__(bundle, state["options"])  # type: ignore[misc]

    @property
    def _channels(self) -> int:
        return self.bundle.manifest.image.channels

    def _stacked(self, images: Iterable[Source] | NDArray[np.uint8]) -> Pixels:
        """Pixels of images of one size, within the limit, ready for the encoder."""
        array = _as_array(images)
        if array is not None and array.dtype == _UINT8 and (known := self._encodable.get(array.shape)) is not None:
            return array if array.ndim == 4 else array.reshape(known)
        self.bundle.require("encoder", "encode")
        limit = self.bundle.pixel_limit()
        stack = stack_images(images, self._channels, limit)
        count, height, width, _ = stack.pixels.shape
        rows, columns = self.bundle.geometry.stride
        if height % rows or width % columns:  # else all pixels are counted by now
            check_size(self.bundle.geometry, count, height, width, limit)
        _warn(stack, 4)
        if array is not None and array.size == stack.pixels.size and len(self._encodable) < MOST_SHAPES:
            self._encodable[array.shape] = stack.pixels.shape  # as it is: no alpha to drop, no channel to add
        return stack.pixels

    def _check_latents(self, latents: NDArray[Any], height: int, width: int) -> None:
        """Refuses what the decoder does not take.

        Raises:
            The errors of `decode`.
        """
        self.bundle.require("decoder", "decode")
        check_size(self.bundle.geometry, max(len(latents), 1), height, width, self.bundle.pixel_limit())
        expected = (self.bundle.manifest.latent_channels, *self.bundle.geometry.latent_size(height, width))
        if latents.dtype != np.float32 or latents.shape[1:] != expected or not len(latents):
            wanted = f"float32 [N, {', '.join(map(str, expected))}]"
            raise ArgumentError(f"decode: latent is {latents.dtype} {latents.shape}, expected {wanted}")

    def _compress(
        self, stack: Stack, rate: Rate, metadata: bool, names: Sequence[str | bytes] | None, limit: int
    ) -> bytes:
        count, height, width, _ = stack.pixels.shape
        target = rate.target(count * height * width)
        if target is not None and target.psnr_db is not None:
            self.bundle.require("decoder", "compress to a PSNR")
        quality = whole("quality", DEFAULT_QUALITY if rate.quality is None else rate.quality, LOWEST, HIGHEST)
        check_size(self.bundle.geometry, count, height, width, limit)
        sections = _sections(stack, metadata, names)
        _warn(stack, 4)
        latents = BlockLatents(self.bundle, self._networks, stack.pixels)
        workers = self._networks.workers(latents.plan)
        prior = self._networks.prior(compress=True, workers=workers)
        gray = stack.gray or self._channels == 1

        def code(quality: int) -> bytes:
            chunks, symbol_hash = write_chunks(latents, quality, self.bundle, prior, workers)
            stream_id = self.bundle.stream_id
            return write_stream(Stream(stream_id, quality, count, width, height, gray, chunks, symbol_hash, sections))

        def psnr(data: bytes) -> float:
            original = to_gray(stack.pixels) if gray else stack.pixels
            return psnr_db(original, self._decompress(data, limit)[0])

        if target is None:
            return code(quality)
        return reach(target, code, psnr, f"{width}x{height}" if count == 1 else f"{count} images of {width}x{height}")

    def _geometry_for(self, header: StreamHeader) -> Geometry:
        if header.stream_id != self.bundle.stream_id:
            raise WrongModelError(
                f"the stream needs the model with stream id {header.stream_id.hex()}, "
                f"{self.bundle} has {self.bundle.stream_id.hex()}; pass the bundle that wrote it"
            )
        return self.bundle.geometry

    @staged("read_container")
    def _open(self, data: Data, max_pixels: int | None) -> tuple[Stream, ChunkReader]:
        """A checked stream, and what decodes its chunks."""
        limit = self.bundle.pixel_limit(max_pixels)
        stream = read_stream(stream_bytes(data), geometry_for=self._geometry_for, max_pixels=limit)
        if NAMES in stream.sections:
            unpack_names(stream.sections[NAMES], stream.count)  # a stream that breaks a rule is refused as a whole
        plan = plan_blocks(self.bundle, stream.count, stream.height, stream.width)
        workers = self._networks.workers(plan)
        prior = self._networks.prior(compress=False, workers=workers)
        return stream, ChunkReader(stream, self.bundle, plan, prior, workers)

    @staged("to_image")
    def _decompress(self, data: Data, max_pixels: int | None, *, with_alpha: bool = False) -> tuple[Pixels, Stream]:
        """Pixels, uint8 [N, H, W, C], with one channel more for alpha if there is some and it is asked for."""
        stream, reader, channels = self._open_to_decode(data, max_pixels)
        added = int(with_alpha and ALPHA in stream.sections)
        pixels = np.empty((stream.count, stream.height, stream.width, channels + added), np.uint8)
        decode_blocks(self.bundle, self._networks, reader, ArrayCanvas(pixels[..., :channels]))
        if added:
            pixels[..., channels] = _alpha(stream)
        return pixels, stream

    def _open_to_decode(self, data: Data, max_pixels: int | None) -> tuple[Stream, ChunkReader, int]:
        """A stream, what reads its symbols, and the channels of its images without alpha."""
        self.bundle.require("decoder", "decompress")
        stream, reader = self._open(data, max_pixels)
        return stream, reader, 1 if stream.gray else self._channels


def _warn(stack: Stack, stacklevel: int) -> None:
    for note in stack.notes:
        notice(note, stacklevel=stacklevel)


def _as_array(images: object) -> NDArray[Any] | None:
    """Images as one array, where they are one, or a list of a single one; nothing is checked or copied."""
    if isinstance(images, list) and len(images) == 1 and isinstance(images[0], np.ndarray):
        return images[0][None]
    return images if isinstance(images, np.ndarray) else None


def _array(latent: object) -> NDArray[Any]:
    try:
        values = np.asarray(latent)
        return values if values.ndim else values[None]
    except ValueError as error:
        raise ArgumentError(f"decode: the latent is no array: {error}") from None


def _rows_and_columns(size: object) -> tuple[int, int]:
    try:
        rows, columns = cast(Iterable[Any], size)
        height, width = operator.index(rows), operator.index(columns)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ArgumentError(f"decode: size is {size!r}, expected (rows, columns), integers of at least 1")
    return height, width


def _check_single(count: int) -> None:
    if count != 1:
        raise ArgumentError(f"the stream holds {count} images; use decompress_batch")


_REMEDIES = {
    ALPHA: ("alpha plane, packed,", "remove it, or use a smaller image"),
    ICC: ("ICC profile", "leave the metadata out"),
    EXIF: ("EXIF block", "leave the metadata out"),
}


@staged("write_container")
def _sections(stack: Stack, metadata: bool, names: Sequence[str | bytes] | None) -> dict[int, bytes]:
    sections: dict[int, bytes] = {}
    if stack.alpha is not None:
        sections[ALPHA] = pack_alpha(stack.alpha)
    if metadata and stack.icc:
        sections[ICC] = stack.icc
    if metadata and stack.exif:
        sections[EXIF] = stack.exif
    if names is not None:
        sections[NAMES] = pack_names(_encoded(names, len(stack.pixels)))
    for section, (what, remedy) in _REMEDIES.items():
        size = len(sections.get(section, b""))
        if size > MAX_SECTION_BYTES:
            raise LimitError(f"the {what} takes {size} bytes, a stream holds at most {MAX_SECTION_BYTES}; {remedy}")
    return sections


def _encoded(names: object, count: int) -> list[bytes]:
    if isinstance(names, np.ndarray) and names.ndim == 1:
        names = names.tolist()
    if isinstance(names, str | bytes) or not isinstance(names, Sequence):
        raise ArgumentError(f"names: found {type(names).__name__}, expected a list of {count} names")
    if len(names) != count:
        raise ArgumentError(f"names: found {len(names)}, expected one for each of {count} images")
    try:
        return [os.fsencode(name) for name in names]
    except (TypeError, UnicodeError) as error:
        raise ArgumentError(f"names: found another thing than names ({error}); expected text or bytes") from None


def _alpha(stream: Stream) -> Pixels:
    return unpack_alpha(stream.sections[ALPHA], stream.count, stream.height, stream.width)
