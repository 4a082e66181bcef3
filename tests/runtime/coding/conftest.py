import pytest

from aeedge_runtime.coding.chunk_io import ChunkReader


@pytest.fixture
def small_chunks(monkeypatch):
    """Streams of small images have several chunks."""
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 600)


@pytest.fixture
def chunks(monkeypatch):
    """Numbers of the chunks that are decoded."""
    seen, decoding = [], ChunkReader._decoding

    def count(self, number, walk, latents):
        seen.append(self._first_chunk + number)
        return decoding(self, number, walk, latents)

    monkeypatch.setattr(ChunkReader, "_decoding", count)
    return seen
