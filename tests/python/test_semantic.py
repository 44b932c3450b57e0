"""Collisions, entropy and purity of code prefixes, against plain loops."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal.errors import ArgumentError, DimensionError
from vicinal.semantic import semantic_ids


def test_by_hand() -> None:
    codes = [[0, 1], [0, 1], [0, 2], [3, 1]]
    found = semantic_ids(codes, ["a", "b", "b", "c"], entries=4)
    assert found.used.tolist() == [2, 2]
    assert found.entropy == pytest.approx([-0.75 * math.log2(0.75) + 0.25 * 2] * 2)
    assert found.prefixes.tolist() == [2, 3]
    assert found.collisions.tolist() == [0.75, 0.5]
    assert found.chance == pytest.approx([1 - 0.75**3, 1 - (15 / 16) ** 3])
    assert found.purity == pytest.approx([2 / 3, 0.5])


def test_no_labels_no_purity() -> None:
    assert semantic_ids([[1], [2]]).purity is None


def test_ids_of_their_own_share_nothing() -> None:
    found = semantic_ids(np.arange(200, dtype=np.uint8)[:, None], np.zeros(200))
    assert found.collisions.tolist() == [0.0]
    assert found.purity is not None
    assert np.isnan(found.purity[0])


def test_all_codes_alike_hold_every_bit() -> None:
    codes = np.tile(np.arange(256, dtype=np.uint8), 3)[:, None]
    assert semantic_ids(codes).entropy == pytest.approx([8.0])


def test_one_row() -> None:
    found = semantic_ids([[5, 6]])
    assert found.chance.tolist() == [0.0, 0.0]
    assert found.entropy.tolist() == [0.0, 0.0]


def test_long_codes_do_not_overflow() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (50, 200), np.uint8)
    found = semantic_ids(codes)
    assert found.prefixes[-1] == 50
    assert found.chance[-1] == 0.0


@given(st.data())
def test_the_plain_one(data: st.DataObject) -> None:
    n, levels = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    rows = [[data.draw(st.integers(0, 2)) for _ in range(levels)] for _ in range(n)]
    labels = [data.draw(st.integers(0, 2)) for _ in range(n)]
    found = semantic_ids(rows, labels, entries=3)
    assert found.purity is not None
    for level in range(levels):
        prefixes = [tuple(row[: level + 1]) for row in rows]
        counts = Counter(prefixes)
        shared = [i for i in range(n) if counts[prefixes[i]] > 1]
        assert found.collisions[level] == pytest.approx(len(shared) / n)
        if not shared:
            assert np.isnan(found.purity[level])
            continue
        most = sum(
            Counter(labels[i] for i in shared if prefixes[i] == prefix).most_common(1)[0][1]
            for prefix in {prefixes[i] for i in shared}
        )
        assert found.purity[level] == pytest.approx(most / len(shared))


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="shape"):
        semantic_ids([1, 2, 3])
    with pytest.raises(ArgumentError, match="shape"):
        semantic_ids(np.empty((0, 3), np.uint8))
    with pytest.raises(ArgumentError, match="0 to 300"):
        semantic_ids([[0], [300]])
    with pytest.raises(ArgumentError, match="-1"):
        semantic_ids([[0], [-1]])
    with pytest.raises(TypeError, match="whole"):
        semantic_ids([[0.5]])
    with pytest.raises(DimensionError, match="labels"):
        semantic_ids([[1], [2]], [1, 2, 3])
