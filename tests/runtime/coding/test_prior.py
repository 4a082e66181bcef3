"""The order of the squares within a pass, and passes without any."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import BundleError, Codec
from aeedge_runtime.coding.prior import Asked, HyperPrior, Squares, SymbolReader, SymbolWriter, restore_latent
from aeedge_runtime.entropy.chunk import Rows, drive, pop_rows
from aeedge_runtime.stream.layout import Span


def popped(rows: Rows):
    return pop_rows([rows])[0]


SHAPES = [(1, 1), (1, 2), (2, 1), (3, 4), (4, 5), (5, 6), (7, 3)]


@pytest.mark.parametrize("first_row", [0, 5])
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_squares_are_those_of_the_format_in_c_order(rows, width, first_row):
    values = np.arange(2 * 3 * rows * width, dtype=np.float32).reshape(2, 3, rows, width)
    colour = (np.arange(first_row, first_row + rows)[:, None] + np.arange(width)) % 2
    copy = np.full_like(values, -1)
    for parity in range(2):
        squares = Squares(rows, width, (parity + first_row) % 2)
        found = squares.take(values)
        expected = np.stack([plane[colour == parity] for plane in values.reshape(6, rows, width)])
        assert np.array_equal(found.reshape(6, -1), expected)
        assert np.array_equal(found, values.reshape(2, 3, -1)[:, :, squares.places()])
        ranks = squares.ranks()
        assert np.array_equal(ranks[colour == parity], np.arange(len(squares.places())))
        assert (ranks[colour != parity] == len(squares.places())).all()
        squares.put(copy, found)
    assert np.array_equal(copy, values)


def test_one_pass_takes_everything():
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    squares = Squares(3, 4, None)
    assert np.array_equal(squares.take(values), values.reshape(1, 2, 12))
    assert np.array_equal(squares.places(), np.arange(12))


@pytest.mark.parametrize("first_row", [0, 5])
@pytest.mark.parametrize("name", ["tiny-hyper", "tiny-groups"])
def test_a_pass_without_a_square(name, first_row):
    """One position is of one colour: the other pass has nothing to ask for."""
    codec = Codec.load(BUNDLES / name, threads=1)
    prior, tables = codec._networks.prior(compress=True), codec.bundle.tables
    latent = np.linspace(-90, 90, 8, dtype=np.float32).reshape(1, 8, 1, 1)
    writer, span = SymbolWriter(tables), Span(0, 1, first_row, 1)
    written, read = np.empty_like(latent), np.empty_like(latent)
    restore_latent(tables, 90, writer.answer(prior.walk(90, span, 1, latent)), written)
    reader = SymbolReader(writer.payload(), tables.bank)
    restore_latent(tables, 90, drive(reader.answer(prior.walk(90, span, 1, None)), popped), read)
    assert np.array_equal(read, written)
    assert np.abs(written - latent).max() <= tables.steps[89].max() / 2


def test_the_writer_leaves_out_what_is_in_the_dead_zone():
    tables = Codec.load(BUNDLES / "tiny-hyper", threads=1).bundle.tables
    coded = np.flatnonzero(~tables.bank.certain)[:2]
    zone = np.full(tables.bank.tables, 0.5, np.float32)
    zone[coded[1]] = 0.75
    index = np.repeat(coded, 4).astype(np.uint8)
    wanted = np.tile(np.array([0.5, -0.7, 0.76, -1.2], np.float32), 2)
    asked = Asked(index, wanted, last=True)
    found = SymbolWriter(replace(tables, dead_zone=zone)).exchange(asked)
    assert found.tolist() == [0, -1, 1, -1, 0, 0, 1, -1]
    assert SymbolWriter(tables).exchange(asked).tolist() == [0, -1, 1, -1] * 2


@pytest.mark.parametrize("forged", [128, -128, 32767, -32767])
def test_hyper_symbols_of_a_forged_stream_are_clipped(forged):
    codec = Codec.load(BUNDLES / "tiny-hyper", threads=1)
    prior = codec._networks.prior(compress=False)
    inner, seen = prior._graphs["prior"], []

    class Watched:
        def run(self, feeds):
            seen.append(next(value for name, value in feeds.items() if name.startswith("hyper")))
            return inner.run(feeds)

    prior._graphs["prior"] = Watched()
    walk = prior.walk(50, Span(0, 1, 0, 2), 2, None)
    drive(walk, lambda asked: np.full(len(asked.tables), forged if not seen else 0, np.int16))
    assert np.unique(seen[0]).tolist() == [np.clip(forged, -127, 127)]


COUNTS = [("prior", 2), ("prior", 5), ("context", 1), ("context", 4), ("group_1", 1), ("group_1", 3)]


@pytest.mark.parametrize(("graph", "count"), COUNTS)
def test_a_graph_with_another_number_of_outputs(graph, count):
    codec = Codec.load(BUNDLES / "tiny-groups", threads=1)
    prior = codec._networks.prior(compress=True)
    assert isinstance(prior, HyperPrior)
    inner = prior._graphs[graph]

    class Other:
        def run(self, feeds):
            return (inner.run(feeds) * 3)[:count]

    prior._graphs[graph] = Other()
    latent = codec.encode(picture(20, 30, 3))[None]
    walk = prior.walk(50, Span(0, 1, 0, latent.shape[2]), latent.shape[3], latent)
    with pytest.raises(BundleError, match=rf"gave {count} outputs, expected"):
        SymbolWriter(codec.bundle.tables).answer(walk)
