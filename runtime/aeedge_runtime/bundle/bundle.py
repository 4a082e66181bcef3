"""The bundle: one model as files with hashes. Every byte is checked against the manifest before it is used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from ..arrays import whole
from ..binary import BinarySource, is_binary, is_path, read_source
from ..errors import AeedgeError, ArgumentError, BundleError, MissingHalfError, ModelNotFoundError
from ..limits import MAX_PIXELS
from ..remote import Location, RemotePath, location
from ..stream.layout import Geometry
from .manifest import Manifest
from .onnx_check import check_weights
from .storage import Store, open_store, read_manifest, shown
from .stream_id import arrays_hash
from .tables import EntropyTables, read_arrays

DEFAULT_BUNDLE = "photo"
"""The shipped bundle that is used when none is named."""

SHIPPED = Path(__file__).parents[1] / "bundles"

DECODERS = {"full": "decoder", "lite": "decoder_lite"}
"""Decoders of pixels at full size, with the roles of their graphs; every bundle that decodes has the full one."""

LARGE_GRAPH = 64 << 20
"""Bytes above which onnxruntime opens a graph from a file: while opening, it holds three copies of bytes but two of a
file. Such graphs take seconds to open, and writing the file a tenth of that."""

MAX_BUNDLE_BYTES = (1 << 32) - 1
"""Bytes of an `.aeb` file that is not a path, and so is read into memory: a zip without 64-bit fields."""

BundleSource = BinarySource


class Bundle:
    """A loaded and checked bundle; graphs are read again, and checked again, when a session is opened.

    Attributes:
        source: absolute path or URL it was loaded from, or the bytes of its zip.
        hash: hex sha256 of manifest.json, which holds the hashes of all other files.
        manifest: the facts of the model.
        manifest_bytes: manifest.json as it is.
        tables: integer tables and quantizer steps.
        geometry: sizes, for the layout of streams.
        stream_id: 8 bytes, the latent space of its streams.
    """

    def __init__(self, source: Location | bytes, store: Store) -> None:
        data = read_manifest(store)
        self.source = source
        self.hash = hashlib.sha256(data).hexdigest()
        try:
            self.manifest = Manifest.from_bytes(data)
        except BundleError as error:
            raise BundleError(f"{shown(source)}: {error}") from error
        self.manifest_bytes = data
        self._store = store
        self._check_files()
        arrays = read_arrays(self.read("entropy.npz"))
        if arrays_hash(arrays) != self.manifest.stream_id_parts["tables"]:
            raise BundleError(f"{self}: the tables are not those of its stream id; export the bundle again")
        self.tables = EntropyTables.from_arrays(arrays, self.manifest)
        self.stream_id = bytes.fromhex(self.manifest.stream_id)
        prior = self.manifest.prior
        self.geometry = Geometry(
            self.manifest.image.stride, self.manifest.latent_channels, prior.channels, prior.stride
        )

    @classmethod
    def load(cls, source: BundleSource | None = None) -> Self:
        """Load and check a bundle.

        Args:
            source: a folder, an `.aeb` file, the URL of either, its bytes, an open file, or the name of a shipped
                bundle; None for the default.

        Raises:
            ModelNotFoundError: there is no bundle of that name or at that path.
            BundleError: a file is damaged, forged, missing, or not part of the bundle; or a weight is NaN or infinite.
            ArgumentError: `source` is of another type, or an empty text.
        """
        try:
            found = find_bundle(source)
            return cls(found, open_store(found))
        except AeedgeError:
            raise
        except OSError as error:  # a name too long, a folder that may not be looked into
            where = f"{os.fsdecode(source or DEFAULT_BUNDLE):.200}" if is_path(source) else "bytes"
            raise ModelNotFoundError(f"no bundle at {where} ({error.strerror}); give another path") from error

    def __str__(self) -> str:
        """Name the bundle in messages."""
        return f"bundle {self.manifest.name!r} ({'in memory' if isinstance(self.source, bytes) else self.source})"

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, equal to what was exported.

        Raises:
            BundleError: the bundle has no such file, or its bytes are not those of the manifest.
        """
        facts = self.manifest.files.get(name)
        if facts is None:
            raise BundleError(f"{self} holds no {name}")
        data = self._store.read(name, facts.bytes)
        if len(data) != facts.bytes or hashlib.sha256(data).hexdigest() != facts.sha256:
            raise BundleError(
                f"{self}: {name} is not the file that was exported (sha256 differs); get the bundle again"
            )
        return data

    @contextlib.contextmanager
    def graph(self, role: str) -> Iterator[bytes | Path]:
        """Yield what to open a graph from: its bytes or, for a large one, a copy that only this user can reach.

        The copy is checked like the bytes and lives as long as the context. Without room for it, the bytes are used.

        Raises:
            BundleError: as for `read`.
        """
        name = f"{role}.onnx"
        facts = self.manifest.files.get(name)
        if facts is None or facts.bytes <= LARGE_GRAPH:
            yield self.read(name)
            return
        with contextlib.ExitStack() as stack:
            yield self._private_copy(name, stack) or self.read(name)

    def _private_copy(self, name: str, stack: contextlib.ExitStack) -> Path | None:
        data = self.read(name)
        try:
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aeedge-"))) / name
            copy.write_bytes(data)
        except OSError:  # no temporary folder, or no room in it
            return None
        return copy

    def pixel_limit(self, max_pixels: int | None = None) -> int:
        """Return the most pixels that one call takes, padding included.

        Args:
            max_pixels: what the caller asks for; None for the limit of the bundle.

        Raises:
            ArgumentError: `max_pixels` is not a positive integer.
        """
        if max_pixels is None:
            return min(self.manifest.limits.max_pixels, MAX_PIXELS)
        return whole("max_pixels", max_pixels)

    def require(self, half: str, action: str) -> None:
        """Check that the bundle has a half.

        Raises:
            MissingHalfError: it has only the other one.
        """
        if half not in self.manifest.halves:
            raise MissingHalfError(
                f"{self} holds no {half}, which {action} needs; "
                f"use the whole bundle, or export this half with `aeedge export RUN --only {half}`"
            )

    def decoder_role(self, decoder: str) -> str:
        """Return the role of the graph that is a decoder: "full" or "lite".

        Raises:
            ArgumentError: another name, or the bundle has no such decoder.
        """
        if decoder not in DECODERS:
            raise ArgumentError(f"decoder: found {decoder!r:.80}, expected {' or '.join(map(repr, DECODERS))}")
        role = DECODERS[decoder]
        if decoder != "full" and f"{role}.onnx" not in self.manifest.files:
            raise ArgumentError(f"{self} has no {decoder} decoder; use the full one, or another bundle")
        return role

    def _check_files(self) -> None:
        names = self._store.names()
        if names is not None and (extra := names - self.manifest.files.keys() - {"manifest.json"}):
            raise BundleError(
                f"{self}: the zip holds {min(extra)}, which its manifest does not list; get the bundle again"
            )
        for name in self.manifest.files:
            self._check_file(name)

    def _check_file(self, name: str) -> None:
        data = self.read(name)
        if name.endswith(".onnx"):
            check_weights(data, f"{self}: {name}")


def find_bundle(source: BundleSource | None) -> Location | bytes:
    """Return the absolute path or the URL of a bundle, or the bytes of one in memory or of an `.aeb` file at a URL.

    Raises:
        ModelNotFoundError: a name without a separator that is neither a file, a folder nor a shipped bundle.
        ArgumentError: `source` is of another type, or an empty text.
    """
    if source is None:
        return _shipped(DEFAULT_BUNDLE)
    if not is_binary(source):
        raise ArgumentError(
            f"bundle: found {type(source).__name__}, expected the name of a shipped bundle, a path, bytes or a file"
        )
    if not is_path(source):
        return read_source(source, MAX_BUNDLE_BYTES, "bundle")
    if source == "":
        raise ArgumentError("bundle: found an empty string, expected a path or the name of a shipped bundle")
    path = location(source)
    if isinstance(path, RemotePath):
        return path.read_bytes(MAX_BUNDLE_BYTES) if path.suffix == ".aeb" else path
    is_name = isinstance(source, str) and path.name == source and not path.suffix
    if not is_name or path.is_file() or (path / "manifest.json").exists():
        return path.absolute()
    if path.is_dir() and path.name not in shipped_bundles():
        return path.absolute()  # the error can then say what it lacks
    return _shipped(path.name)


def shipped_bundles() -> list[str]:
    """Return the names of the bundles shipped with the package."""
    if not SHIPPED.is_dir():
        return []
    return sorted(
        {path.stem for path in SHIPPED.iterdir() if path.suffix == ".aeb" or (path / "manifest.json").is_file()}
    )


def _shipped(name: str) -> Path:
    for path in (SHIPPED / name, SHIPPED / f"{name}.aeb"):
        if path.exists():
            return path
    names = ", ".join(shipped_bundles()) or "none"
    raise ModelNotFoundError(
        f"no bundle named {name!r}; expected a folder, an .aeb file or a shipped one (found: {names})"
    )
