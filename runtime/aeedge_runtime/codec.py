"""The codec: images to checked bytes and back, with one bundle on one device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Pixels
from .binary import BinarySource
from .bundle.bundle import Bundle, BundleSource
from .coding.blocks import finite
from .coding.compressor import Compressor
from .coding.decoder import Decoder
from .coding.networks import Networks
from .coding.small_images import CheckedInputs, as_latent
from .coding.stream_reader import StreamReader
from .errors import ArgumentError, BundleError
from .gate import Gate
from .images.batch import stack_images
from .images.load import Source
from .images.picture import Picture
from .inference.session import SessionOptions
from .notices import give_notices
from .rate_search import choose_rate
from .stream.container import EXIF, ICC
from .watching import Cancel, Progress, watched

if TYPE_CHECKING:
    from PIL.Image import Image


class Codec:
    """One bundle on one device. Threads may share it. It pickles as its bundle's path, hash and options.

    As a context manager, it is closed at the end of the block.

    Attributes:
        bundle: the model.
        options: device and threads, as requested.
        decoder: "full" or "lite".
    """

    def __init__(
        self, bundle: Bundle, options: SessionOptions, max_concurrent: int | None = None, decoder: str = "full"
    ) -> None:
        """Take a loaded bundle; `load` is the usual way."""
        self.bundle = bundle
        self.options = options
        self.decoder = decoder
        self._gate = Gate(max_concurrent)
        self._networks = Networks(bundle, options)
        self._inputs = CheckedInputs(bundle)
        self._light = self._networks.with_decoder(bundle.decoder_role(decoder))
        self._decoder = Decoder(bundle, self._networks, self._light)
        full = Decoder(bundle, self._networks)
        self._compressor = Compressor(bundle, self._networks, full, tf32=options.tf32)
        if options.device != "cpu":
            self._networks.session(bundle.manifest.halves[0])

    @classmethod
    def load(
        cls,
        bundle: BundleSource | Bundle | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        decoder: str = "full",
        tf32: bool = False,
        provider_options: Mapping[str, str] | None = None,
        max_concurrent: int | None = None,
    ) -> Self:
        """Load a bundle for a device. Graphs are opened at first use; on a device other than the CPU, one at once.

        Args:
            bundle: folder, `.aeb` file, URL of either, bytes of one, open file, name of a shipped bundle, or a loaded
                bundle; None for `photo`.
            device: "cpu", "cuda", "cuda:N", "auto" (CUDA if it works, else CPU with a warning) or "provider:NAME".
            threads: threads inside one operator on the CPU, or over the chunks of a large image; None for the physical
                cores available.
            decoder: "full", or "lite" for the fast decoder of a bundle that has one. Compressing, and decompressing
                within a bound on the error, take the full one all the same.
            tf32: let CUDA use TF32: faster, and pixels may differ by more than 1.
            provider_options: further options of the execution provider; the CPU takes none.
            max_concurrent: calls of this codec at once; further threads wait for their turn. None for any number. Set
                it in a server, to the number of cores over `threads`: more calls at once take more memory and gain
                nothing.

        Raises:
            ModelNotFoundError: no bundle there.
            BundleError: a file of it is damaged or forged.
            DeviceError: the device cannot be used; the message says what is missing.
            ArgumentError: a value out of range.
        """
        options = SessionOptions(device, threads, tf32, {} if provider_options is None else provider_options)
        return cls(bundle if isinstance(bundle, Bundle) else Bundle.load(bundle), options, max_concurrent, decoder)

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
        progress: Progress | None = None,
        cancel: Cancel | None = None,
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
            progress: called with the units of work that are done, and with all that are known of: for every chunk of
                the stream (about a million latent values) one for the networks and one for the coder, and one for each
                file of stored tiles. A target, or a choice between stored tiles and the network, adds units on the way.
            cancel: a `threading.Event`, or a function that returns true, to end the call: within some tens of
                milliseconds in large images.

        Raises:
            ImageError: not an image, or a damaged one.
            LimitError: too many pixels.
            ArgumentError: another type, dtype or shape; quality out of range; several targets.
            TargetNotReachedError: no quality meets the target; the message says how close one can come.
            MissingHalfError: the bundle has no encoder.
            BundleError: a file of the bundle has changed since it was loaded, or a network gives NaN or infinity.
            DeviceError: onnxruntime is missing, or the device fails.
            CanceledError: `cancel` said so.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        with watched(progress, cancel), self._gate:
            stack = stack_images([image], self._channels, limit)
            rate = choose_rate(stack.pixels[..., 0].size, quality, max_bytes, target_bpp, target_psnr, max_error)
            give_notices(stack.notes, stacklevel=2)
            return self._compressor.compress(
                stack, rate, names=None, metadata=metadata, stored_tiles=stored_tiles, limit=limit
            )

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
        progress: Progress | None = None,
        cancel: Cancel | None = None,
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
            progress: as in `compress`.
            cancel: as in `compress`.

        Raises:
            AeedgeError: as `compress`; ArgumentError also for images of several sizes or names that do not fit.
        """
        self.bundle.require("encoder", "compress")
        limit = self.bundle.pixel_limit(max_pixels)
        with watched(progress, cancel), self._gate:
            stack = stack_images(images, self._channels, limit)
            rate = choose_rate(stack.pixels[..., 0].size, quality, max_bytes, target_bpp, target_psnr, max_error)
            give_notices(stack.notes, stacklevel=2)
            return self._compressor.compress(
                stack, rate, names=names, metadata=metadata, stored_tiles=stored_tiles, limit=limit
            )

    def decompress(
        self,
        data: BinarySource,
        *,
        index: int | None = None,
        rows: tuple[int, int] | None = None,
        channels: int | None = None,
        out: Pixels | None = None,
        max_pixels: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Pixels:
        """Decompress one image of a stream, uint8 [H, W, C]: C is 1 or 3, and one more where there is alpha.

        With `index`, only the chunks of this image are decoded; in a pack of small images, one holds as many as have
        about a million latent values. With `rows`, only the chunks and the part of the network that the rows and their
        context need, if the image is so large that the networks take it in tiles (8.4 megapixels for `photo`), or if
        they take every patch alone; other images are decoded whole, and cut.

        The checksum of the whole stream is checked all the same, so damage is found anywhere, and so are the rules that
        each decoded chunk must keep. The hash of the symbols, which would show that this machine computes other tables
        than the writer did, covers all chunks: it is checked only where all are decoded. Pixels may differ by 1 from
        those of the whole image.

        Args:
            data: path of a stream, its bytes or another buffer, or a file opened for reading.
            index: which image of a pack, from 0.
            rows: the first row, and the one after the last.
            channels: 3 for RGB: alpha is left out, and gray repeated. None for the channels of the image.
            out: array to write the image into, and to return: uint8, contiguous, of the shape of the image. What it
                holds after an error is undefined.
            max_pixels: most pixels, padding included; None for the bundle's limit.
            progress: as in `compress`; all units are known from the start, but for those of stored tiles.
            cancel: as in `compress`.

        Raises:
            StreamError: damaged, forged or not a stream.
            WrongModelError: written with another model.
            LimitError: too many pixels.
            MissingHalfError: the bundle has no decoder.
            ArgumentError: the stream holds several images and there is no `index`, or a value out of range.
            BundleError: a file of the bundle has changed since it was loaded.
            DeviceError: onnxruntime is missing, or the device fails.
            CanceledError: `cancel` said so.
        """
        with watched(progress, cancel), self._gate:
            stream = self._decoder.open_to_decode(data, max_pixels)
            return self._decoder.image_rows(stream, index, rows, channels, out)

    def open(self, data: BinarySource, *, max_pixels: int | None = None) -> StreamReader:
        """Open a stream to decompress its images by index, one after another: it is read and checked once.

        Arguments and errors are those of `decompress`.
        """
        with self._gate:
            return StreamReader(self._decoder.open_to_decode(data, max_pixels), self._decoder, self._gate)

    def decompress_batch(
        self,
        data: BinarySource,
        *,
        channels: int | None = None,
        out: Pixels | None = None,
        max_pixels: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Pixels:
        """Decompress all images of a stream, uint8 [N, H, W, C]; see `decompress`."""
        with watched(progress, cancel), self._gate:
            return self._decoder.batch(data, max_pixels, channels, out)

    def decompress_pictures(
        self,
        data: BinarySource,
        *,
        max_pixels: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> list[Picture]:
        """Decompress all images of a stream with alpha, ICC profile and EXIF, ready to be saved; see `decompress`."""
        with watched(progress, cancel), self._gate:
            found = self._decoder.all(data, max_pixels)
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

    def decompress_image(
        self,
        data: BinarySource,
        *,
        max_pixels: int | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Image:
        """Decompress the image of a stream to a PIL image, with alpha, and with ICC profile and EXIF in its `info`.

        It is filled block by block, so a large image is never copied as an array. Arguments and errors are those of
        `decompress`.
        """
        with watched(progress, cancel), self._gate:
            return self._decoder.image(data, max_pixels)

    def preview(self, data: BinarySource, *, max_pixels: int | None = None) -> Pixels:
        """Return the image of a stream at 1/8 of its rows and columns, uint8 [ceil(H / 8), ceil(W / 8), C].

        If the bundle has a preview decoder, only the first group of latent channels is decoded: the checksum of the
        whole stream is checked, the hash of its symbols is not. With alpha, or without a preview decoder, the whole
        image is decoded and reduced. Arguments and errors are those of `decompress`.
        """
        with self._gate:
            return self._decoder.preview(data, max_pixels)[0]

    def preview_picture(self, data: BinarySource, *, max_pixels: int | None = None) -> Picture:
        """Return the preview of a stream with alpha, ICC profile and EXIF, ready to be saved; see `preview`."""
        with self._gate:
            pixels, stream = self._decoder.preview(data, max_pixels)
        alpha = pixels[..., -1] if pixels.shape[2] in (2, 4) else None
        colors = pixels if alpha is None else pixels[..., :-1]
        return Picture(colors, alpha, stream.sections.get(ICC), stream.sections.get(EXIF), colors.shape[2] == 1)

    def decompress_symbols(self, data: BinarySource, *, max_pixels: int | None = None) -> NDArray[np.int16]:
        """Return all symbols of a stream in coding order, int16 [n]; needs no decoder. Errors as in `decompress`."""
        with self._gate:
            return self._decoder.symbols(data, max_pixels)

    def encode(self, image: Source) -> Floats:
        """Return the latent of an image, float32 [c, h, w], alpha ignored; `image` and errors as in `compress`."""
        with self._gate:
            latent: Floats = finite(self.bundle, self._networks.encode(self._inputs.pixels([image])))[0]
        return latent

    def encode_batch(self, images: Iterable[Source] | NDArray[np.uint8]) -> Floats:
        """Return the latents of images of one size, float32 [N, c, h, w]; see `encode` and `compress_batch`."""
        with self._gate:
            return finite(self.bundle, self._networks.encode(self._inputs.pixels(images)))

    def encode_distribution(self, image: Source) -> tuple[Floats, Floats]:
        """Return the mean and log variance that a variational model gives an image, float32 [c, h, w] each.

        `image` and errors are as in `compress`; ArgumentError also for a model that is not variational.
        """
        if self.bundle.manifest.family != "vae":
            raise ArgumentError(
                f"{self.bundle} is of family {self.bundle.manifest.family}, expected vae: others have no distribution"
            )
        with self._gate:
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
        with self._gate:
            return self._light.decode(*self._inputs.latents(latents, size))

    def validate(self, data: BinarySource, *, max_pixels: int | None = None) -> None:
        """Refuse a stream that is damaged, too large or of another model, before allocating memory for its images.

        Chunks and alpha are checked only when they are decoded. Errors are those of `decompress_batch`.
        """
        self._decoder.open(data, max_pixels)

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
        with self._gate:
            return self._networks.session(role, patches).provider

    def warm(self, sizes: Iterable[tuple[int, int]] = ((256, 256),)) -> None:
        """Open all graphs and run them once, so that the first image takes no longer than others.

        Args:
            sizes: rows and columns in pixels, once for each; on a GPU, those that are to be fast from the start.

        Raises:
            AeedgeError: as `compress` and `decompress`.
        """
        halves = self.bundle.manifest.halves
        for size in sizes:
            if "encoder" in halves:
                data = self.compress(np.zeros((*size, self._channels), np.uint8), stored_tiles=False)
                if "decoder" in halves:
                    self.decompress(data)
                continue
            shape = self.bundle.manifest.latent_channels, *self.bundle.geometry.latent_size(*size)
            self.decode(np.zeros(shape, np.float32), size)
            self._networks.prior(compress=False)

    def close(self) -> None:
        """Free the memory of the graphs. Calls in progress finish; later ones raise ArgumentError."""
        self._gate.close()
        self._networks.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name the bundle and the device."""
        return f"Codec({self.bundle}, device={self.options.device!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the bundle's source, its hash and the options: a worker loads the bundle itself."""
        return {
            "source": self.bundle.source,
            "hash": self.bundle.hash,
            "options": self.options,
            "max_concurrent": self._gate.max_concurrent,
            "decoder": self.decoder,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the bundle again.

        Raises:
            BundleError: its files have changed.
        """
        bundle = Bundle.load(state["source"])
        if bundle.hash != state["hash"]:
            raise BundleError(f"{bundle} is not the one that was pickled; load the codec again")
        self.__init__(bundle, state["options"], state["max_concurrent"], state["decoder"])  # type: ignore[misc]

    @property
    def _channels(self) -> int:
        return self.bundle.manifest.image.channels
