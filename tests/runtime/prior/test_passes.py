from dataclasses import replace

import numpy as np
import pytest
from tiny import BUNDLES

from aeedge_runtime import Codec
from aeedge_runtime.entropy.chunk import PopRequest, pop_symbols, run_passes
from aeedge_runtime.prior.passes import SymbolReader, SymbolRequest, SymbolWriter, decode_passes
from aeedge_runtime.stream.layout import Span


def popped(request: PopRequest):
    return pop_symbols([request])[0]


@pytest.mark.parametrize("first_row", [0, 5])
@pytest.mark.parametrize("name", ["tiny-hyper", "tiny-groups"])
def test_a_pass_without_a_square(name, first_row):
    """One position is of one color: the other pass has nothing to request."""
    codec = Codec.load(BUNDLES / name, threads=1)
    prior, tables = codec._networks.prior(compress=True), codec.bundle.tables
    latent = np.linspace(-90, 90, 8, dtype=np.float32).reshape(1, 8, 1, 1)
    writer, span = SymbolWriter(tables), Span(0, 1, first_row, 1)
    written, read = np.empty_like(latent), np.empty_like(latent)
    decode_passes(tables, 90, writer.run(prior.walk(90, span, 1, latent)), written)
    reader = SymbolReader(writer.payload(), tables.bank)
    decode_passes(tables, 90, run_passes(reader.run(prior.walk(90, span, 1, None)), popped), read)
    assert np.array_equal(read, written)
    assert np.abs(written - latent).max() <= tables.steps[89].max() / 2


def test_the_writer_leaves_out_what_is_in_the_dead_zone():
    tables = Codec.load(BUNDLES / "tiny-hyper", threads=1).bundle.tables
    coded = np.flatnonzero(~tables.bank.certain)[:2]
    zone = np.full(tables.bank.tables, 0.5, np.float32)
    zone[coded[1]] = 0.75
    index = np.repeat(coded, 4).astype(np.uint8)
    wanted = np.tile(np.array([0.5, -0.7, 0.76, -1.2], np.float32), 2)
    asked = SymbolRequest(index, wanted, last=True)
    found = SymbolWriter(replace(tables, dead_zone=zone)).code(asked)
    assert found.tolist() == [0, -1, 1, -1, 0, 0, 1, -1]
    assert SymbolWriter(tables).code(asked).tolist() == [0, -1, 1, -1] * 2
