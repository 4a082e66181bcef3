"""Times the runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aeedge.benchmark.case import Case
from aeedge.benchmark.engines.base import WrongResultError, check_pixels, psnr_or_none
from aeedge.benchmark.inputs import Item
from aeedge_runtime import Codec

SYMBOL_TOLERANCE = 1e-3
"""Share of the symbols of a stream that may differ from the CPU's: ten times what DESIGN allows between machines."""

LATENT_TOLERANCE = 1e-2
"""Largest difference of a latent from the CPU's, relative to the largest latent: TF32 is that coarse."""


class AeedgeEngine:
    """A codec; see Engine.

    Args:
        case: what is timed.
        bundle: place or name.
    """

    def __init__(self, case: Case, bundle: str) -> None:
        self.case = case
        self.bundle = bundle
        self._items: list[Item] = []
        self._inputs: list[Any] = []

    def load(self) -> None:
        """Load the bundle and open the graphs that the operation runs."""
        self.codec = Codec.load(self.bundle, device=self.case.device, threads=self.case.threads)
        rows, columns = self.codec.bundle.geometry.latent_size(self.case.height, self.case.width)
        patches = self.case.batch * rows * columns
        self._providers = {role: self.codec.provider(role, patches) for role in self._roles()}

    def prepare(self, items: list[Item]) -> None:
        """Read streams, latents or images."""
        self._items = items
        self._inputs = [self._input(item) for item in items]

    def run(self, number: int) -> Any:
        """Return a stream, images or latents; see Engine."""
        value, operation = self._inputs[number], self.case.operation
        if operation == "compress":
            if isinstance(value, bytes):
                return self.codec.compress(value, self.case.quality)
            return self.codec.compress_batch(value, self.case.quality)
        if operation == "decompress":
            return self.codec.decompress_batch(value)
        if operation == "encode":
            return self.codec.encode_batch(value)
        return self.codec.decode_batch(value, (self.case.height, self.case.width))

    def verify(self, number: int, result: Any) -> Mapping[str, Any]:
        """Compare with what the CPU gave; see Engine."""
        item = self._items[number]
        if self.case.operation == "compress":
            self._check_symbols(result, item.stream())
            return {"bytes": len(result)}
        if self.case.operation == "encode":
            _check_latents(result, item.latents())
            return {}
        decoded, pixels = item.decoded(), item.pixels()
        if self.case.operation == "decompress":
            check_pixels(result, decoded)
            return {"bytes": len(item.stream()), "psnr_db": None if pixels is None else psnr_or_none(result, pixels)}
        check_pixels(result, item.restored())
        return {}

    def providers(self) -> Mapping[str, str]:
        """Return the execution provider of each graph, as its session reports it."""
        return self._providers

    def _roles(self) -> list[str]:
        networks = {"compress": ["encoder"], "decompress": ["decoder"], "encode": ["encoder"], "decode": ["decoder"]}
        roles = networks[self.case.operation]
        passes = self.codec.bundle.manifest.prior.graphs
        if passes:
            more = {"compress": ["hyper_encoder", *passes], "decompress": passes}
            roles += more.get(self.case.operation, [])
        return roles

    def _input(self, item: Item) -> Any:
        if self.case.operation == "decompress":
            return item.stream()
        if self.case.operation == "decode":
            return item.latents()
        if self.case.operation == "encode":
            return item.pixels()
        files = item.files()
        if not files:
            return item.pixels()
        return files[0] if len(files) == 1 else files

    def _check_symbols(self, stream: bytes, expected: bytes) -> None:
        found, wanted = self.codec.decompress_symbols(stream), self.codec.decompress_symbols(expected)
        if found.shape != wanted.shape:
            raise WrongResultError(f"the stream holds {found.size} symbols, expected {wanted.size}")
        different = int((found != wanted).sum())
        if different > max(2, SYMBOL_TOLERANCE * found.size):
            raise WrongResultError(f"{different} of {found.size} symbols differ from those that the CPU computed")


def _check_latents(found: Any, expected: Any) -> None:
    difference = float(np.abs(found - expected).max())
    if not difference <= LATENT_TOLERANCE * float(np.abs(expected).max()):
        raise WrongResultError(f"the latents differ by {difference:.3g} from those that the CPU computed")
