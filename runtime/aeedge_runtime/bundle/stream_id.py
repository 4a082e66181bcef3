"""The stream id and the hashes it is made of: latent space, prior, tables and padding rule.

Export writes these values and the runtime computes them again, both with this module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STREAM_ID_BYTES = 8
"""Bytes of a stream id: two models share one by chance once in 2^64."""

STREAM_ID_PARTS = ("encoder", "geometry", "prior", "tables")


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces and ASCII only: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def stream_id(parts: Mapping[str, str]) -> bytes:
    """Return the stream id [8 bytes] of the hex hashes `encoder`, `prior` ("" without one), `tables` and `geometry`."""
    return hashlib.sha256(canonical_json(dict(parts))).digest()[:STREAM_ID_BYTES]


def geometry_hash(image: object, latent: object, prior: object) -> str:
    """Return the hex sha256 of the manifest's `image`, `latent` and `prior`: padding, patching and chunk layout."""
    return hashlib.sha256(canonical_json({"image": image, "latent": latent, "prior": prior})).hexdigest()


def arrays_hash(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the hex sha256 of arrays by name: name, dtype, shape as JSON, little-endian values in C order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        digest.update(name.encode())
        digest.update(little.dtype.str.encode())
        digest.update(canonical_json(list(array.shape)))
        digest.update(little.tobytes())
    return digest.hexdigest()
