"""Sets of ids to bits: by rank of prevalence, and by hash."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vicinal
from vicinal import config
from vicinal.fingerprints import FingerprintEncoder, HashedFolding

Error = vicinal.ArgumentError
SETS = st.lists(st.lists(st.integers(-5, 30), max_size=12), max_size=20)


def flattened(sets: list[list[int]]) -> tuple[Any, Any]:
    return [i for one in sets for i in one], np.cumsum([0, *map(len, sets)])


@given(SETS, st.integers(1, 40))
def test_the_most_prevalent_ids_have_bits(sets: list[list[int]], bits: int) -> None:
    counts = Counter(i for one in sets for i in set(one))
    want = sorted(counts, key=lambda i: (-counts[i], i))[:bits]
    encoder = FingerprintEncoder.fit(sets, bits=bits)
    assert encoder.ids == tuple(want)
    assert FingerprintEncoder.fit(*flattened(sets), bits=bits) == encoder
    plain = np.zeros((len(sets), bits), bool)
    for row, one in zip(plain, sets, strict=True):
        row[[want.index(i) for i in one if i in want]] = True
    got = encoder.encode(sets)
    assert got.dtype == np.uint8
    assert np.array_equal(got, np.packbits(plain, axis=1))
    assert np.array_equal(encoder.encode(*flattened(sets)), got)
    # Ids that it has not learnt set no bit.
    assert not encoder.encode([[100, -100], []]).any()


@given(SETS, st.integers(1, 200), st.integers(0, 2**63 - 1))
def test_folding_depends_on_the_id_alone(sets: list[list[int]], bits: int, seed: int) -> None:
    folding = HashedFolding(bits, seed)
    got = np.unpackbits(folding.encode(sets), axis=1)[:, :bits]
    assert got.shape == (len(sets), bits)
    every = sorted({i for one in sets for i in one})
    singles = np.unpackbits(folding.encode([[i] for i in every]), axis=1)
    alone = dict(zip(every, singles, strict=True))
    for row, one in zip(got, sets, strict=True):
        want = np.zeros(bits, np.uint8)
        for i in one:
            assert alone[i].sum() == 1
            want |= alone[i][:bits]
        assert np.array_equal(row, want)


def test_a_hash_spreads_over_the_bits() -> None:
    ids = np.arange(20_000)
    once = HashedFolding(256).encode(ids, np.arange(20_001))
    bits = np.unpackbits(once, axis=1).sum(axis=0)
    # 78 expected; 5 standard deviations of a binomial count.
    assert np.abs(bits - 20_000 / 256).max() < 5 * np.sqrt(20_000 / 256)
    assert not np.array_equal(once, HashedFolding(256, seed=1).encode(ids, np.arange(20_001)))


def test_no_two_ids_share_a_bit_as_they_do_when_folded() -> None:
    sets = [[i, i + 1] for i in range(200)]
    learnt = FingerprintEncoder.fit(sets, bits=256).encode(sets)
    folded = HashedFolding(256).encode(sets)
    assert (np.unpackbits(learnt, axis=1).sum(axis=1) == 2).all()
    assert len(np.unique(learnt, axis=0)) == 200
    used = [np.unpackbits(rows, axis=1).any(axis=0).sum() for rows in (learnt, folded)]
    assert used[0] == 201
    assert used[1] < 201
    index = vicinal.BinaryIndex(256, "jaccard")
    index.add(learnt)
    hits = index.search(learnt[50], 3)
    assert hits.ids.tolist() == [[50, 49, 51]]
    np.testing.assert_array_equal(hits.distances, np.float32([[0, 2 / 3, 2 / 3]]))


def test_many_rows_are_unpacked_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [[i % 7, i % 5 + 10] for i in range(100)]
    encoder = FingerprintEncoder.fit(sets, bits=12)
    whole = encoder.encode(sets)
    monkeypatch.setattr("vicinal.fingerprints._ROWS_AT_ONCE", 36)
    assert np.array_equal(encoder.encode(sets), whole)


def test_they_turn_into_dicts_and_toml() -> None:
    encoder = FingerprintEncoder(64, (3, -7, 2**62))
    assert FingerprintEncoder.from_dict(encoder.to_dict()) == encoder
    assert config.loads(FingerprintEncoder, config.dumps(encoder)) == encoder
    assert eval(repr(encoder)) == encoder
    folding = HashedFolding(100, 7)
    assert HashedFolding.from_dict(folding.to_dict()) == folding
    assert HashedFolding.from_dict({}) == HashedFolding()
    assert config.loads(HashedFolding, config.dumps(folding)) == folding


def test_mistakes_are_named() -> None:
    fit, encode = FingerprintEncoder.fit, FingerprintEncoder(8, (1, 2)).encode
    for call, error, text in (
        (lambda: fit([[1]], bits=0), Error, "bits must be from 1 to 262144, got 0"),
        (lambda: fit([[1]], bits=1.5), TypeError, "bits must be a whole number, got float 1.5"),
        (lambda: fit([[1.5]]), TypeError, "sets holds float64"),
        (lambda: fit([["a"]]), TypeError, "sets holds <U1"),
        (lambda: fit([1, 2]), TypeError, "sets must be a sequence of iterables"),
        (lambda: fit([1, 2], [0, 1]), Error, "offsets must go from 0 to 2"),
        (lambda: fit([1, 2], [0, 2, 1, 2]), Error, "offsets must not fall"),
        (lambda: fit([1, 2], []), Error, "offsets must go from 0 to 2"),
        (lambda: encode([[2**63]]), Error, "sets holds 9223372036854775808"),
        (lambda: FingerprintEncoder(1, (1, 2)), Error, "ids has 2 entries; wanted at most"),
        (lambda: FingerprintEncoder(4, (1, 1)), Error, "ids names an id twice"),
        (lambda: FingerprintEncoder.from_dict({"bits": 3}), Error, "needs 'ids'"),
        (lambda: FingerprintEncoder.from_dict({"bit": 3}), Error, "has no 'bit'"),
        (lambda: HashedFolding(True), TypeError, "bits must be a whole number, got bool"),
        (lambda: HashedFolding(8, -1), Error, "seed must be from 0"),
        (lambda: HashedFolding.from_dict({"width": 3}), Error, "has no 'width'"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_numpy_numbers_are_numbers() -> None:
    sets = [[1, 2], [70_000]]
    plain = HashedFolding(bits=64, seed=3)
    same = HashedFolding(bits=np.int64(64), seed=np.int64(3))  # type: ignore[arg-type]
    assert np.array_equal(plain.encode(sets), same.encode(sets))
    assert json.dumps(plain.to_dict()) == json.dumps(same.to_dict())
