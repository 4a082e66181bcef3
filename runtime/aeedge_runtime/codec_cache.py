"""Codecs that the hooks into other libraries share: a bundle is loaded once in a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from .binary import is_path
from .bundle.bundle import Bundle, BundleSource
from .bundle.lookup import find_by_stream_id
from .codec import Codec

MOST_CODECS = 8
"""Codecs that are kept; the one that was used longest ago goes first."""


@dataclass
class CodecCache:
    """Codecs by stream id or bundle, on one device. Threads may share it.

    Attributes:
        device: as in `Codec.load`.
        threads: as in `Codec.load`.
        decoder: as in `Codec.load`.
    """

    device: str = "cpu"
    threads: int | None = None
    decoder: str = "full"
    _codecs: OrderedDict[str, Codec] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def for_stream(self, stream_id: str) -> Codec:
        """Return the codec of a stream id.

        Raises:
            ModelNotFoundError: no bundle with this id is found; see `find_by_stream_id`.
        """
        return self._get(f"id {stream_id}", lambda: find_by_stream_id(stream_id))

    def for_bundle(self, bundle: BundleSource | Bundle | Codec | None) -> Codec:
        """Return the codec of a bundle, as `Codec.load` takes it, or the codec itself."""
        if isinstance(bundle, Codec):
            return bundle
        if bundle is None or is_path(bundle):
            return self._get(f"bundle {bundle}", lambda: Bundle.load(bundle))
        return self._load(bundle)

    def _get(self, key: str, load: Callable[[], Bundle]) -> Codec:
        with self._lock:
            codec = self._codecs.pop(key, None) or self._load(load())
            self._codecs[key] = codec
            if len(self._codecs) > MOST_CODECS:
                self._codecs.popitem(last=False)
            return codec

    def _load(self, bundle: BundleSource | Bundle) -> Codec:
        return Codec.load(bundle, device=self.device, threads=self.threads, decoder=self.decoder)

    def __reduce__(self) -> tuple[type[CodecCache], tuple[str, int | None, str]]:
        """Pickle the options alone: another process loads its own codecs."""
        return CodecCache, (self.device, self.threads, self.decoder)
