"""The integer tables and quantizer steps of a bundle (`entropy.npz`), checked array by array."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import all_finite
from ..entropy.bank import FrequencyBank
from ..errors import BundleError
from .manifest import Manifest

QUALITIES = 100
"""Quality runs from 1 to 100; row q - 1 of an array belongs to quality q."""

SCALES = 64
"""Number of indices that the prior network can predict."""

_BANK = ("bank_frequencies", "bank_kind", "bank_minimum", "bank_sizes")
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00.."
    rb"\{'descr': '(?P<dtype>[<>|](?:b1|[iu][1248]|f[248]))', 'fortran_order': False, "
    rb"'shape': \((?P<shape>|\d{1,19},|\d{1,19}(?:, \d{1,19}){1,3})\), \} *\n",
    re.DOTALL,
)
"""The header of an `.npy` file of format (1, 0): plain numbers in C order, at most four dimensions."""
_DATA = 1 << 27  # bytes of one array: 100 qualities of 65,536 channels are a fifth of it


@dataclass(frozen=True, eq=False)
class EntropyTables:
    """Everything that turns latents into symbols and symbols into bits.

    Attributes:
        bank: integer frequency tables.
        steps: float32 [100, c], quantizer step per quality and channel, > 0.
        offsets: float32 [c], latent of symbol 0.
        shrink: float32 [100, c], pull of a nonzero symbol towards zero, in steps, in [0, 0.5).
        table_index: uint8 [100, c] for a factorized prior, else None.
        hyper_table_index: uint8 [100, cz] for a hyperprior, else None.
        scale_tables: uint8 [64], bank table of each index of the prior network, for a hyperprior, else None.
        dead_zone: float32 [T] in [0.5, 1): under this table, values closer to 0 than this, in steps, are compressed as
            symbol 0; None for 0.5 everywhere, which is plain rounding.
    """

    bank: FrequencyBank
    steps: NDArray[np.float32]
    offsets: NDArray[np.float32]
    shrink: NDArray[np.float32]
    table_index: NDArray[np.uint8] | None
    hyper_table_index: NDArray[np.uint8] | None
    scale_tables: NDArray[np.uint8] | None
    dead_zone: NDArray[np.float32] | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], manifest: Manifest) -> EntropyTables:
        """Check and take the arrays of `entropy.npz`.

        Raises:
            BundleError: an array is missing, unknown, of another type or shape, or has a value out of range.
        """
        channels, hyper = manifest.latent_channels, manifest.prior.kind == "hyperprior"
        shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "steps": (np.float32, (QUALITIES, channels)),
            "offsets": (np.float32, (channels,)),
            "shrink": (np.float32, (QUALITIES, channels)),
        }
        if hyper:
            shapes["hyper_table_index"] = (np.uint8, (QUALITIES, manifest.prior.channels))
            shapes["scale_tables"] = (np.uint8, (SCALES,))
        else:
            shapes["table_index"] = (np.uint8, (QUALITIES, channels))
        _check_names(arrays, {*shapes, *_BANK}, optional={"dead_zone"})
        bank = FrequencyBank.from_arrays(arrays)
        if "dead_zone" in arrays:
            shapes["dead_zone"] = (np.float32, (bank.tables,))
        found = {name: _checked(name, arrays[name], *expected) for name, expected in shapes.items()}
        _check_values(found, bank.tables)
        if hyper and found["offsets"].any():
            raise BundleError("entropy.npz: offsets are not 0, which a hyperprior needs; export the bundle again")
        return cls(
            bank=bank,
            steps=found["steps"],
            offsets=found["offsets"],
            shrink=found["shrink"],
            table_index=found.get("table_index"),
            hyper_table_index=found.get("hyper_table_index"),
            scale_tables=found.get("scale_tables"),
            dead_zone=found.get("dead_zone"),
        )


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an uncompressed `.npz` by name, allocating no more than its size and unpickling nothing.

    Raises:
        BundleError: not such a file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise BundleError("entropy.npz is compressed, expected stored arrays")
            return {entry.filename.removesuffix(".npy"): read_array(archive.read(entry)) for entry in entries}
    except BundleError:
        raise
    except Exception as error:  # zipfile and the header parser of NumPy raise a dozen types on forged bytes
        raise BundleError(f"entropy.npz cannot be read ({error}); export the bundle again") from error


def read_array(data: bytes) -> NDArray[Any]:
    """Return the array of an `.npy` file, allocating and unpickling nothing.

    The header is matched as `numpy.save` writes it. NumPy's own reader parses it as Python source, which fails in
    threads of CPython 3.11 (SystemError, "recursion depth mismatch").

    Raises:
        BundleError: not such a file, or not plain numbers in C order.
    """
    match = _NPY.match(data)
    if match is None or match.end() != 10 + int.from_bytes(data[8:10], "little"):
        raise BundleError("an .npy file that is not plain numbers in C order, format (1, 0); export the bundle again")
    dtype = np.dtype(match["dtype"].decode())
    shape = tuple(map(int, match["shape"].replace(b",", b" ").split()))
    size = math.prod(shape)
    if size * dtype.itemsize != len(data) - match.end() or len(data) > _DATA:
        raise BundleError("an .npy file that is not of the size it says; export the bundle again")
    return np.frombuffer(data, dtype, size, match.end()).reshape(shape)


def _check_names(arrays: Mapping[str, NDArray[Any]], expected: set[str], optional: set[str]) -> None:
    for what, names in (("lacks", expected - arrays.keys()), ("has unknown", arrays.keys() - expected - optional)):
        if names:
            raise BundleError(f"entropy.npz {what} {', '.join(sorted(names))}; export the bundle again")


def _checked(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise BundleError(
            f"entropy.npz: {name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}; export again"
        )
    if array.dtype.kind == "f" and not all_finite(array):
        raise BundleError(f"entropy.npz: {name} holds NaN or infinity; export the bundle again")
    return array


def _check_values(found: Mapping[str, NDArray[Any]], tables: int) -> None:
    if (found["steps"] < np.finfo(np.float32).tiny).any():
        raise BundleError(
            "entropy.npz: a quantizer step is not above 0, or too small to divide by; export the bundle again"
        )
    if (found["shrink"] < 0).any() or (found["shrink"] >= 0.5).any():
        raise BundleError("entropy.npz: a shrink outside [0, 0.5); export the bundle again")
    if "dead_zone" in found and ((found["dead_zone"] < 0.5).any() or (found["dead_zone"] >= 1).any()):
        raise BundleError("entropy.npz: a dead zone outside [0.5, 1); export the bundle again")
    for name in ("table_index", "hyper_table_index", "scale_tables"):
        if name in found and found[name].max() >= tables:
            raise BundleError(f"entropy.npz: {name} points beyond the {tables} tables; export the bundle again")
