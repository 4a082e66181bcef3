"""The codec: images to checked bytes and back, with one bundle on one device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Pixels
from .binary import BinarySource
from .bundle.bundle import Bundle, BundleSource
from .coding.blocks import ArrayCanvas, Canvas, ImageCanvas, decode_blocks, finite, plan_blocks
from .coding.chunk_io import ChunkReader
from .coding.encoder import Encoder
from .coding.networks import Networks
from .coding.small_images import CheckedInputs, as_latent
from .errors import ArgumentError, BundleError, WrongModelError
from .fidelity.bounded import code_within
from .fidelity.tile_paste import add_residual, paste_tiles
from .images.batch import Stack, stack_images
from .images.load import Source
from .images.picture import Picture
from .images.psnr import psnr_db, squared_error
from .images.save import finished
from .inference.session import SessionOptions
from .notices import give_notices
from .profiling import staged
from .rate_search import MaxBytes, MaxError, MinPsnr, Target, choose_rate, find_stream
from .stream.container import ALPHA, EXIF, ICC, NAMES, Stream, StreamHeader, read_stream
from .stream.info import stream_bytes
from .stream.layout import Geometry, check_size
from .stream.sections import pack_sections, unpack_alpha, unpack_names

if TYPE_CHECKING:
    from PIL.Image import Image


class Codec:
    """One bundle on one device. Threads may share it. It pickles as its bundle's path, hash and options.

    Attributes:
        bundle: the model.
        options: device and threads, as requested.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions) -> None:
        """Take a loaded bundle; `load` is the usual way."""
        self.bundle = bundle
        self.options = options
        self._networks = Networks(bundle, options)
        self._inputs = CheckedInputs(bundle)
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
        """Load a bundle for a device. Graphs are opened at first use; on a device other than the CPU, one at once.

        Args:
            bundle: folder, `.aeb` file, URL of either, bytes of one, open file, name of a shipped bundle, or a loaded
                bundle; None for `photo`.
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
        max_error: int | None = None,
        metadata: bool = True,
        stored_tiles: bool = True,
        max_pixels: int | None = None,
    ) -> bytes:
        """Compress one image to a stream, at a quality or to a target (at most one of the five).

        Args:
            image: path, bytes of a file, open file, PIL image, Picture, or uint8 array (also of another library)
                [H, W], [H, W, 1 | 2 | 3 | 4]; the last of 2 or 4 channels is alpha, kept losslessly.
            quality: 1 (smallest) .. 100 (best); 50 if there is no target.
            max_bytes: the best quality whose whole stream has at most this many bytes.
            target_bpp: the same, as bits per pixel of the image.
            target_psnr: the lowest quality that reaches this PSNR in dB, alpha left out; needs the decoder.
            max_error: the fewest bytes of which no sample, wherever it is decoded, is off by more than this, 0..255; 0
                keeps the image losslessly. Without the decoder, and from a decoder in float16 or int8, there is less
                to choose from: the network is left out.
            metadata: keep ICC profile and EXIF.
            stored_tiles: keep tiles, or all of the image, losslessly where that pays.
            max_pixels: most pixels, padding included; None for the bundle's limit.

        Raises:
            ImageError: not an image, or a damaged one.
            LimitError: too many pixels.
            ArgumentError: another type, dtype or shape; quality out of range; several targets.
            TargetNotReachedError: no quality meets the target; the message says how close one can come.
            MissingHalfError: the bundle has no encoder.
            BundleError: a file of the bundle has changed since it was loaded, or a network gives NaN or infinity.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        stack = stack_images([image], self._channels, limit)
        rate = choose_rate(stack.pixels[..., 0].size, quality, max_bytes, target_bpp, target_psnr, max_error)
        return self._compress(stack, rate, metadata, None, limit, stored_tiles)

    def compress_batch(
        self,
        images: Iterable[Source] | NDArray[np.uint8],
        quality: int | None = None,
        *,
        max_bytes: int | None = None,
        target_bpp: float | None = None,
        target_psnr: float | None = None,
        max_error: int | None = None,
        names: Sequence[str | bytes] | None = None,
        metadata: bool = True,
        stored_tiles: bool = True,
        max_pixels: int | None = None,
    ) -> bytes:
        """Compress images of one size to one stream, to a quality or a target; they share its header and its coder.

        Args:
            images: images as `compress` takes them, or one uint8 array [N, H, W] or [N, H, W, C] (the fastest way).
            quality: 1 (smallest) .. 100 (best); 50 if there is no target.
            max_bytes: as in `compress`, of all images together; so are the next two.
            target_bpp: bits per pixel.
            target_psnr: PSNR in dB.
            max_error: as in `compress`.
            names: one per image, relative paths, kept in the stream.
            metadata: keep an ICC profile or EXIF that all images share.
            stored_tiles: as in `compress`.
            max_pixels: most pixels of all images together, padding included; None for the bundle's limit.

        Raises:
            AeedgeError: as `compress`; ArgumentError also for images of several sizes or names that do not fit.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        stack = stack_images(images, self._channels, limit)
        rate = choose_rate(stack.pixels[..., 0].size, quality, max_bytes, target_bpp, target_psnr, max_error)
        return self._compress(stack, rate, metadata, names, limit, stored_tiles)

    def decompress(self, data: BinarySource, *, max_pixels: int | None = None) -> Pixels:
        """Decompress the image of a stream, uint8 [H, W, C]: C is 1 or 3, and one more where there is alpha.

        Args:
            data: path of a stream, its bytes or another buffer, or a file opened for reading.
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

    def decompress_batch(self, data: BinarySource, *, max_pixels: int | None = None) -> Pixels:
        """Decompress all images of a stream, uint8 [N, H, W, C]; see `decompress`."""
        return self._decompress(data, max_pixels, joined=True).pixels

    def decompress_pictures(self, data: BinarySource, *, max_pixels: int | None = None) -> list[Picture]:
        """Decompress all images of a stream with alpha, ICC profile and EXIF, ready to be saved; see `decompress`."""
        found = self._decompress(data, max_pixels)
        return [
            Picture(
                pixels=found.pixels[index],
                alpha=None if found.alpha is None else found.alpha[index],
                icc=found.stream.sections.get(ICC),
                exif=found.stream.sections.get(EXIF),
                gray=found.pixels.shape[3] == 1,
            )
            for index in range(found.stream.count)
        ]

    def decompress_image(self, data: BinarySource, *, max_pixels: int | None = None) -> Image:
        """Decompress the image of a stream to a PIL image, with alpha, and with ICC profile and EXIF in its `info`.

        It is filled block by block, so a large image is never copied as an array. Arguments and errors are those of
        `decompress`.
        """
        from PIL import Image

        stream, reader, channels = self._open_to_decode(data, max_pixels)
        _check_single(stream.count)
        image = Image.new("L" if channels == 1 else "RGB", (stream.width, stream.height))
        alpha = np.empty((1, stream.height, stream.width), np.uint8) if stream.has_alpha else None
        self._paint(stream, reader, ImageCanvas(image), alpha)
        return finished(image, None if alpha is None else alpha[0], stream.sections.get(ICC), stream.sections.get(EXIF))

    def decompress_symbols(self, data: BinarySource, *, max_pixels: int | None = None) -> NDArray[np.int16]:
        """Return all symbols of a stream in coding order, int16 [n]; needs no decoder. Errors as in `decompress`."""
        reader = self._open(data, max_pixels)[1]
        return np.empty(0, np.int16) if reader is None else reader.read_symbols()

    def encode(self, image: Source) -> Floats:
        """Return the latent of an image, float32 [c, h, w], alpha ignored; `image` and errors as in `compress`."""
        latent: Floats = finite(self.bundle, self._networks.encode(self._inputs.pixels([image])))[0]
        return latent

    def encode_batch(self, images: Iterable[Source] | NDArray[np.uint8]) -> Floats:
        """Return the latents of images of one size, float32 [N, c, h, w]; see `encode` and `compress_batch`."""
        return finite(self.bundle, self._networks.encode(self._inputs.pixels(images)))

    def encode_distribution(self, image: Source) -> tuple[Floats, Floats]:
        """Return the mean and log variance that a variational model gives an image, float32 [c, h, w] each.

        `image` and errors are as in `compress`; ArgumentError also for a model that is not variational.
        """
        if self.bundle.manifest.family != "vae":
            raise ArgumentError(
                f"{self.bundle} is of family {self.bundle.manifest.family}, expected vae: others have no distribution"
            )
        pixels = self._inputs.pixels([image])
        mean, spread = (
            finite(self.bundle, self._networks.encode(pixels, output))[0] for output in ("latent", "log_variance")
        )
        return mean, spread

    def decode(self, latent: Floats, size: tuple[int, int]) -> Pixels:
        """Decode a latent to an image.

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
        image: Pixels = self.decode_batch(as_latent(latent)[None], size)[0]
        return image

    def decode_batch(self, latents: Floats, size: tuple[int, int]) -> Pixels:
        """Decode latents, float32 [N, c, h, w], to images, uint8 [N, H, W, C]; see `decode`."""
        return self._networks.decode(*self._inputs.latents(latents, size))

    def validate(self, data: BinarySource, *, max_pixels: int | None = None) -> None:
        """Refuse a stream that is damaged, too large or of another model, before allocating memory for its images.

        Chunks and alpha are checked only when they are decoded. Errors are those of `decompress_batch`.
        """
        self._open(data, max_pixels)

    def provider(self, role: str, patches: int | None = None) -> str:
        """Return the execution provider that actually runs a graph ("encoder", "decoder", "prior", ...).

        The graph is opened if it is not yet.

        Args:
            role: which graph.
            patches: how many patches one run takes, for a network of patches; a few are run on one thread. None for
                many.

        Raises:
            MissingHalfError: the bundle has only the other half.
            BundleError: the bundle has no such graph, or its file has changed.
            DeviceError: onnxruntime is missing, or the device fails.
        """
        if role in ("encoder", "decoder"):
            self.bundle.require(role, "its provider")
        return self._networks.session(role, patches).provider

    def __repr__(self) -> str:
        """Name the bundle and the device."""
        return f"Codec({self.bundle}, device={self.options.device!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the bundle's source, its hash and the options: a worker loads the bundle itself."""
        return {"source": self.bundle.source, "hash": self.bundle.hash, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the bundle again.

        Raises:
            BundleError: its files have changed.
        """
        bundle = Bundle.load(state["source"])
        if bundle.hash != state["hash"]:
            raise BundleError(f"{bundle} is not the one that was pickled; load the codec again")
        self.__init__(bundle, state["options"])  # type: ignore[misc]

    @property
    def _channels(self) -> int:
        return self.bundle.manifest.image.channels

    def _compress(
        self,
        stack: Stack,
        rate: int | Target | MaxError,
        metadata: bool,
        names: Sequence[str | bytes] | None,
        limit: int,
        stored_tiles: bool,
    ) -> bytes:
        if isinstance(rate, MinPsnr):
            self.bundle.require("decoder", "compress to a PSNR")
        count, height, width, _ = stack.pixels.shape
        check_size(self.bundle.geometry, count, height, width, limit)
        icc, exif = (stack.icc, stack.exif) if metadata else (None, None)
        sections = pack_sections(stack.alpha, icc, exif, names, count)
        give_notices(stack.notes, stacklevel=3)
        gray = stack.gray or self._channels == 1

        def error(data: bytes) -> float:
            found = self._decompress(data, limit).pixels
            return squared_error(encoder.original, found) / int(found.shape[3])

        if isinstance(rate, MaxError) and not stored_tiles:
            raise ArgumentError("max_error cannot be combined with stored_tiles=False; leave one of them out")
        comparable = self.bundle.manifest.family == "hyperprior" and "decoder" in self.bundle.manifest.halves
        encoder = Encoder(
            self.bundle,
            self._networks,
            stack.pixels,
            stack.alpha,
            gray,
            sections,
            stored_tiles=stored_tiles,
            error=error if comparable else None,
        )
        if isinstance(rate, int):
            return encoder.code(rate)
        if isinstance(rate, MaxError):
            decode = (lambda data: self._decompress(data, limit).pixels) if self._is_steady else None
            return code_within(encoder, rate.limit, decode)
        most_bytes = rate.limit if isinstance(rate, MaxBytes) else None
        return find_stream(
            rate,
            lambda quality: encoder.code(quality, most_bytes),
            lambda data: psnr_db(encoder.original, self._decompress(data, limit).pixels),
            f"{width}x{height}" if count == 1 else f"{count} images of {width}x{height}",
        )

    @property
    def _is_steady(self) -> bool:
        """Whether decoded pixels differ by 1 at most from those of other machines."""
        manifest = self.bundle.manifest
        return "decoder" in manifest.halves and manifest.precision["decoder"] == "fp32" and not self.options.tf32

    def _geometry_for(self, header: StreamHeader) -> Geometry:
        if header.stream_id != self.bundle.stream_id:
            raise WrongModelError(
                f"the stream needs the model with stream id {header.stream_id.hex()}, "
                f"{self.bundle} has {self.bundle.stream_id.hex()}; pass the bundle that wrote it"
            )
        return self.bundle.geometry

    @staged("read_container")
    def _open(self, data: BinarySource, max_pixels: int | None) -> tuple[Stream, ChunkReader | None]:
        """Return a checked stream and the reader of its chunks, or None where it has no symbols."""
        limit = self.bundle.pixel_limit(max_pixels)
        stream = read_stream(stream_bytes(data), geometry_for=self._geometry_for, max_pixels=limit)
        if NAMES in stream.sections:
            unpack_names(stream.sections[NAMES], stream.count)  # a stream that breaks a rule is refused as a whole
        if not stream.has_symbols:
            return stream, None
        plan = plan_blocks(self.bundle, stream.count, stream.height, stream.width)
        workers = self._networks.workers(plan)
        prior = self._networks.prior(compress=False, workers=workers)
        return stream, ChunkReader(stream, self.bundle, plan, prior, workers)

    @staged("to_image")
    def _decompress(self, data: BinarySource, max_pixels: int | None, *, joined: bool = False) -> _Decoded:
        """Decompress images; alpha is their last channel if `joined`, else a separate array."""
        stream, reader, channels = self._open_to_decode(data, max_pixels)
        size = stream.count, stream.height, stream.width
        pixels = np.empty((*size, channels + int(joined and stream.has_alpha)), np.uint8)
        alpha = None
        if stream.has_alpha:
            alpha = pixels[..., channels] if joined else np.empty(size, np.uint8)
        self._paint(stream, reader, ArrayCanvas(pixels[..., :channels]), alpha)
        return _Decoded(pixels, alpha, stream)

    def _paint(self, stream: Stream, reader: ChunkReader | None, canvas: Canvas, alpha: Pixels | None) -> None:
        """Fill in images and their alpha, uint8 [N, H, W]: what the network decodes, then what is stored."""
        if reader is not None:
            decode_blocks(self.bundle, self._networks, reader, canvas)
        if alpha is not None and ALPHA in stream.sections:
            alpha[:] = unpack_alpha(stream.sections[ALPHA], *alpha.shape)
        if stream.tiles is not None:
            paste_tiles(stream.tiles, canvas, alpha)
        if stream.bound is not None:
            add_residual(stream.bound, canvas)

    def _open_to_decode(self, data: BinarySource, max_pixels: int | None) -> tuple[Stream, ChunkReader | None, int]:
        """Return a stream, the reader of its symbols, and the channels of its images without alpha."""
        self.bundle.require("decoder", "decompress")
        stream, reader = self._open(data, max_pixels)
        return stream, reader, 1 if stream.gray else self._channels


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Pixels, uint8 [N, H, W, C], alpha, uint8 [N, H, W] or None, and the stream that they come from."""

    pixels: Pixels
    alpha: Pixels | None
    stream: Stream


def _check_single(count: int) -> None:
    if count != 1:
        raise ArgumentError(f"the stream holds {count} images; use decompress_batch")
