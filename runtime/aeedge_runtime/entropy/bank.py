"""The bank of integer frequency tables: all that the entropy coder knows about symbols, without floating point.

A table gives each of its tokens a frequency out of 16384; the last token is the escape. Its kind says how a token
becomes a symbol: `offset` (minimum + token), `magnitude` (|symbol|, then a sign) or `certain` (always 0, not coded).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, BundleError
from ..limits import MAX_SYMBOL, MAX_TABLES, MAX_TOKENS

PRECISION_BITS = 14
TOTAL = 1 << PRECISION_BITS

OFFSET, MAGNITUDE, CERTAIN = 0, 1, 2

ESCAPED = np.int16(-MAX_SYMBOL - 1)
"""Represents the escape in lookups of symbols; no symbol has this value."""

# An encoder's entry: cumulative (bits 0..13), frequency (14..28) and three flags.
FREQUENCY_MASK = np.uint32(2 * TOTAL - 1)
SLOT_MASK = np.uint32(TOTAL - 1)
SIGNED, NEGATIVE, ESCAPE = np.uint32(1 << 29), np.uint32(1 << 30), np.uint32(1 << 31)
NEUTRAL = np.uint32(TOTAL << PRECISION_BITS)
"""The entry that leaves a coder state unchanged: it fills the last step of a pass."""

_WINDOW_BITS = 9  # symbols -255..255 of a magnitude table, or an offset table's 255 and a neighbor on either side
_WINDOW = 1 << _WINDOW_BITS

_FEW = 16  # certain tables: comparing with each is faster than one lookup


@dataclass(frozen=True, eq=False)
class FrequencyBank:
    """Integer frequency tables and their lookups, which are built at first use.

    Threads may share it. It has no lock, because a child forked while another thread holds one would deadlock. Two
    threads may build the same lookup; both are equal, and one is kept.

    Attributes:
        frequencies: uint16 [T, A]; row t sums to 16384 over its first `sizes[t]` tokens, each at least 1; 0 beyond.
        sizes: uint16 [T], tokens of each table, the escape (last) included; 1 for a certain table, 2..256 for others.
        minimum: int16 [T], symbol of token 0 of an offset table; 0 for other kinds.
        kind: uint8 [T], 0 offset, 1 magnitude, 2 certain.
    """

    frequencies: NDArray[np.uint16]
    sizes: NDArray[np.uint16]
    minimum: NDArray[np.int16]
    kind: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check every rule of the tables.

        Raises:
            BundleError: a rule is broken; the message names the array and the table.
        """
        _check_arrays(self)
        _check_tables(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> FrequencyBank:
        """Take the bank from the arrays of an `entropy.npz`, ignoring other arrays.

        Raises:
            BundleError: an array is missing, of another type or shape, or breaks a rule of the tables.
        """
        names = {"frequencies": np.uint16, "sizes": np.uint16, "minimum": np.int16, "kind": np.uint8}
        found = {}
        for name, dtype in names.items():
            array = arrays.get(f"bank_{name}")
            if array is None or array.dtype != dtype:
                what = "missing" if array is None else f"of type {array.dtype}"
                raise BundleError(
                    f"entropy tables: array bank_{name} is {what}, expected {np.dtype(dtype)}; export again"
                )
            found[name] = np.array(array, dtype=dtype, order="C")
            found[name].flags.writeable = False
        return cls(**found)

    @property
    def tables(self) -> int:
        """Number of tables T."""
        return len(self.sizes)

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Bool [T]: symbols of this table are 0 and are not coded."""
        certain: NDArray[np.bool_] = np.equal(self.kind, CERTAIN)
        return certain

    def is_coded(self, tables: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return whether each element is coded; those under certain tables are 0 and are not.

        Raises:
            ArgumentError: a table index outside the bank.
        """
        if tables.size and (highest := int(tables.max())) >= self.tables:
            raise ArgumentError(f"table index {highest} is outside the bank, which has {self.tables} tables")
        certain = np.flatnonzero(self.certain).tolist()  # Python integers: NumPy's would widen the comparison
        if len(certain) > _FEW:
            return ~self.certain.take(tables)
        coded = np.ones(tables.shape, np.bool_)
        for table in certain:
            coded &= tables != table
        return coded

    def coded(self, tables: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return the indices of the elements that are coded; see `is_coded`."""
        return np.flatnonzero(self.is_coded(tables))

    @property
    def encoder_lookup(self) -> EncoderLookup:
        """Lookup from (table, symbol) to the coder's entry."""
        kept: EncoderLookup = self._kept("_encoder", lambda: EncoderLookup(self))
        return kept

    def decoder_lookup(self, tables: NDArray[np.uint8]) -> DecoderLookup:
        """Return the lookup from (table, slot), with at least the rows of `tables` filled."""
        lookup: DecoderLookup = self._kept("_decoder", lambda: DecoderLookup(self))
        lookup.fill(tables)
        return lookup

    def _kept(self, name: str, build: Callable[[], Any]) -> Any:
        found = self.__dict__.get(name)
        return self.__dict__.setdefault(name, build()) if found is None else found

    def cumulative(self, table: int) -> NDArray[np.uint32]:
        """Return the first slot of each token of a table, uint32 [sizes[table]]."""
        row = self.frequencies[table, : self.sizes[table]].astype(np.uint32)
        return np.cumsum(row, dtype=np.uint32) - row

    def cost_bits(self, table_index: NDArray[np.uint8], symbols: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return the model cost of each symbol in bits, raw sign and escape bits included, in the shape of `symbols`.

        Coding does not depend on it.

        Raises:
            ArgumentError: a table index outside the bank, or a nonzero symbol under a certain table.
        """
        tables, flat = table_index.ravel(), symbols.ravel()
        coded = self.coded(tables)
        check_certain(flat, coded)
        entries = self.encoder_lookup.entries(tables, flat)
        frequency = (entries >> PRECISION_BITS) & FREQUENCY_MASK
        bits = PRECISION_BITS - np.log2(frequency.astype(np.float64))
        bits += ((entries & SIGNED) != 0) + 16.0 * ((entries & ESCAPE) != 0)
        return bits.reshape(symbols.shape)


class EncoderLookup:
    """Entries of an encoder by table and symbol: 512 per table, from `origin` upwards; both ends are the escape."""

    def __init__(self, bank: FrequencyBank) -> None:
        magnitude = bank.kind == MAGNITUDE
        self._origin = np.where(magnitude, -(_WINDOW // 2) + 1, bank.minimum.astype(np.intp) - 1)
        self._shared = int(self._origin.max()), int(self._origin.min()) + _WINDOW - 1  # symbols within every window
        self._row = np.arange(bank.tables) * _WINDOW - self._origin
        self._entries = np.empty((bank.tables, _WINDOW), np.uint32)
        for table in range(bank.tables):
            self._entries[table] = _encoder_row(bank, table)
        self._entries.flags.writeable = False

    def entries(self, tables: NDArray[np.uint8], symbols: NDArray[np.int16]) -> NDArray[np.uint32]:
        """Return the entries of symbols, uint32 [n], NEUTRAL under certain tables. Table indices are not checked."""
        if not len(symbols):
            return np.empty(0, np.uint32)
        if self._shared[0] <= symbols.min() and symbols.max() <= self._shared[1]:
            index = self._row.take(tables, mode="clip")  # never clips, here and below; the mode only spares a check
            np.add(index, symbols, out=index)
        else:
            index = symbols.astype(np.intp) - self._origin.take(tables, mode="clip")
            np.clip(index, 0, _WINDOW - 1, out=index)
            index += tables.astype(np.intp) << _WINDOW_BITS
        return self._entries.ravel().take(index, mode="clip")


class DecoderLookup:
    """Rows of 16384 slots per table, and one neutral row: the coder's step and the symbol behind each slot.

    Attributes:
        steps: uint32 [(T + 1) * 16384], frequency << 14 | slot - cumulative.
        symbols: int16 [(T + 1) * 16384]; a magnitude without its sign, or ESCAPED.
    """

    def __init__(self, bank: FrequencyBank) -> None:
        self._bank = bank
        self._ready = bank.certain
        self.steps = np.empty((bank.tables + 1) * TOTAL, np.uint32)
        self.symbols = np.empty((bank.tables + 1) * TOTAL, np.int16)
        self.neutral = np.uint32(bank.tables * TOTAL)
        self.steps[-TOTAL:] = (TOTAL << PRECISION_BITS) + np.arange(TOTAL, dtype=np.uint32)
        self.symbols[-TOTAL:] = 0

    def fill(self, tables: NDArray[np.uint8]) -> None:
        """Fill the rows of these tables that are still empty; two threads may fill a row, with the same values."""
        if self._ready.all() or self._ready.take(tables).all():
            return
        for table in np.flatnonzero(np.bincount(tables, minlength=self._bank.tables)):
            if not self._ready[table]:
                self._fill_row(int(table))
                self._ready[table] = True

    def _fill_row(self, table: int) -> None:
        bank, row = self._bank, slice(table * TOTAL, (table + 1) * TOTAL)
        size = int(bank.sizes[table])
        frequency = bank.frequencies[table, :size].astype(np.uint32)
        token = np.repeat(np.arange(size), frequency)
        steps = (frequency[token] << PRECISION_BITS) + np.arange(TOTAL, dtype=np.uint32)
        self.steps[row] = steps - bank.cumulative(table)[token]
        symbol = np.arange(size, dtype=np.int32) + int(bank.minimum[table])
        symbol[-1] = ESCAPED
        self.symbols[row] = symbol[token]


def check_certain(symbols: NDArray[np.int16], coded: NDArray[np.intp]) -> None:
    """Raise ArgumentError unless all symbols except those at `coded` are 0."""
    if np.count_nonzero(symbols) != np.count_nonzero(symbols.take(coded)):
        raise ArgumentError("a symbol under a certain table is not 0; an encoder must set such symbols to 0")


def _encoder_row(bank: FrequencyBank, table: int) -> NDArray[np.uint32]:
    size, kind = int(bank.sizes[table]), int(bank.kind[table])
    if kind == CERTAIN:
        return np.full(_WINDOW, NEUTRAL, np.uint32)
    entry = (bank.frequencies[table, :size].astype(np.uint32) << PRECISION_BITS) + bank.cumulative(table)
    row = np.full(_WINDOW, entry[-1] | ESCAPE, np.uint32)
    if kind == OFFSET:
        row[1:size] = entry[:-1]
        return row
    zero = _WINDOW // 2 - 1
    row[zero : zero + size - 1] = entry[:-1] | SIGNED
    row[zero - size + 2 : zero] = (entry[1:-1] | SIGNED | NEGATIVE)[::-1]
    row[zero] = entry[0]
    return row


def _check_arrays(bank: FrequencyBank) -> None:
    shape = bank.frequencies.shape
    if len(shape) != 2 or not 1 <= shape[0] <= MAX_TABLES or not 1 <= shape[1] <= MAX_TOKENS:
        raise BundleError(
            f"entropy tables: bank_frequencies has shape {shape}, expected [1..256, 1..256]; export again"
        )
    for name in ("sizes", "minimum", "kind"):
        found = getattr(bank, name).shape
        if found != shape[:1]:
            raise BundleError(f"entropy tables: bank_{name} has shape {found}, expected {shape[:1]}; export again")


def _check_tables(bank: FrequencyBank) -> None:
    sizes, kind = bank.sizes.astype(np.int64), bank.kind
    minimum = bank.minimum.astype(np.int64)
    inside = np.arange(bank.frequencies.shape[1]) < sizes[:, None]
    rules = {
        "has a kind other than 0, 1, 2": kind > CERTAIN,
        "has no token or more tokens than columns": (sizes < 1) | (sizes > bank.frequencies.shape[1]),
        "is certain but has not exactly one token": (kind == CERTAIN) & (sizes != 1),
        "has an escape only": (kind != CERTAIN) & (sizes < 2),
        "has a token of frequency 0": (inside & (bank.frequencies == 0)).any(axis=1),
        "has a frequency beyond its last token": (~inside & (bank.frequencies != 0)).any(axis=1),
        "does not sum to 16384": bank.frequencies.sum(axis=1, dtype=np.int64) != TOTAL,
        "has a minimum but is not an offset table": (kind != OFFSET) & (minimum != 0),
        "holds symbols beyond 32767": (minimum < -MAX_SYMBOL) | (minimum + sizes - 2 > MAX_SYMBOL),
    }
    for rule, broken in rules.items():
        if broken.any():
            raise BundleError(f"entropy tables: table {int(np.flatnonzero(broken)[0])} {rule}; export the bundle again")
