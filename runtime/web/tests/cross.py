"""The Python side of the cross tests: does jobs from standard input with aeedge_runtime, answers on standard output.

A job has `do`, `bundle` (a path) and `file`, and gets the name of the error it met, or what follows:

compress     pixels of `file`, uint8 [count, height, width, channels], to the stream `out`
decompress   the stream `file` to its symbols `out`.symbols and its pixels `out`.pixels
load         the bundle alone
blob         pixels of `file`, uint8 [height, width, samples], to the lossless blob `out`
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from aeedge_runtime import AeedgeError, AeedgeWarning, Codec
from aeedge_runtime.fidelity.lossless import encode_blob


@cache
def codec(bundle: str) -> Codec:
    """Return a codec, loaded once."""
    return Codec.load(bundle, threads=1)


def compress(job: dict[str, Any]) -> None:
    """Write the stream of raw pixels."""
    pixels = np.frombuffer(Path(job["file"]).read_bytes(), np.uint8).reshape(job["shape"])
    stream = codec(job["bundle"]).compress_batch(pixels, job["quality"], stored_tiles=job["stored"])
    Path(job["out"]).write_bytes(stream)


def decompress(job: dict[str, Any]) -> None:
    """Write symbols and pixels of a stream."""
    data = Path(job["file"]).read_bytes()
    symbols, pixels = codec(job["bundle"]).decompress_symbols(data), codec(job["bundle"]).decompress_batch(data)
    Path(job["out"] + ".symbols").write_bytes(symbols.astype("<i2").tobytes())
    Path(job["out"] + ".pixels").write_bytes(pixels.tobytes())


def blob(job: dict[str, Any]) -> None:
    """Write a lossless blob."""
    pixels = np.frombuffer(Path(job["file"]).read_bytes(), np.uint8).reshape(job["shape"])
    Path(job["out"]).write_bytes(encode_blob(pixels))


JOBS = {"compress": compress, "decompress": decompress, "load": lambda job: Codec.load(job["bundle"]), "blob": blob}


def answer(job: dict[str, Any]) -> str:
    """Do a job: the name of the error it met, or ""."""
    try:
        JOBS[job["do"]](job)
    except AeedgeError as error:
        return type(error).__name__
    return ""


def main() -> None:
    """Answer all jobs."""
    warnings.simplefilter("ignore", AeedgeWarning)
    json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
