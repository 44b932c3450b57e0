"""Inverted lists on real vectors: definitions and words of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal

DATA = Path(vicinal.__file__).parent / "data" / "wordnet-10k.npz"


@pytest.fixture(scope="module")
def words() -> tuple[Any, Any, Any]:
    """Definitions, words to look up, and the ten true neighbours of each word."""
    with np.load(DATA) as demo:
        base = demo["base"].astype(np.float32)
        queries = demo["queries"][:500].astype(np.float32)
    flat = vicinal.FlatIndex(base.shape[1], "cosine")
    flat.add(base)
    return base, queries, flat.search(queries, 10).ids


def made(words: tuple[Any, Any, Any], **settings: Any) -> vicinal.IVFIndex:
    base, _, _ = words
    index = vicinal.IVFIndex(base.shape[1], "cosine", **{"lists": 200, **settings})
    index.add(base)
    return index


def found(index: vicinal.IVFIndex, words: tuple[Any, Any, Any], **how: Any) -> float:
    _, queries, truth = words
    return reference.shared(index.search(queries, 10, **how).ids, truth)


def test_recall_rises_with_probes(words: Any) -> None:
    index = made(words, refine="float16")
    recalls = [found(index, words, nprobe=nprobe) for nprobe in (1, 4, 16, 64, 200)]
    assert recalls == sorted(recalls)
    # Measured 0.355, 0.605, 0.844, 0.975 and 1.
    assert recalls[2] > 0.82
    assert recalls[4] > 0.995


def test_a_batch_is_answered_as_each_query_alone(words: Any) -> None:
    _, queries, _ = words
    for settings in ({"refine": "float16"}, {"codec": "sq4", "soar": True}):
        index = made(words, **settings)
        batch = index.search(queries, 10, nprobe=8, threads=2)
        singly = [index.search(query, 10, nprobe=8) for query in queries]
        assert np.array_equal(batch.ids, np.vstack([hits.ids for hits in singly]))
        assert np.array_equal(batch.distances, np.vstack([hits.distances for hits in singly]))


def test_soar_finds_more_in_as_many_lists(words: Any) -> None:
    plain, soar = made(words, refine="float16"), made(words, refine="float16", soar=True)
    assert soar.list_sizes.sum() == 2 * plain.list_sizes.sum()
    # Measured 0.739 against 0.605, and 0.849 against 0.726.
    for nprobe in (4, 8):
        assert found(soar, words, nprobe=nprobe) > found(plain, words, nprobe=nprobe) + 0.09


def test_residual_codes_lose_less(words: Any) -> None:
    # Measured 0.939 without and 0.946 with residuals.
    raw, residual = (made(words, codec="sq4", residual=choice) for choice in (False, True))
    assert found(residual, words, nprobe=200) > found(raw, words, nprobe=200)


def test_balanced_lists(words: Any) -> None:
    _, queries, _ = words
    plain, even = made(words), made(words, balance=1.3)
    for index in (plain, even):
        assert index.list_sizes.sum() == 10_000
    assert even.list_sizes.max() <= 1.3 * 50
    assert plain.list_sizes.max() > 1.5 * 50
    # About as many codes are looked at; that many neighbours fewer are found as rows that had to go
    # to another list than their own cost.
    stats = [index.search_stats(queries, 10, nprobe=20) for index in (plain, even)]
    assert stats[1].distances < 1.05 * stats[0].distances
    assert found(even, words, nprobe=20) > found(plain, words, nprobe=20) - 0.03


def test_removing_and_adding_go_on_for_ever(words: Any) -> None:
    base, queries, _ = words
    index = made(words, refine="float16")
    rng = np.random.default_rng(0)
    held = np.arange(10_000)
    for turn in range(6):
        gone = rng.choice(held, 2000, replace=False)
        index.remove(gone)
        held = np.setdiff1d(held, gone)
        assert not np.isin(index.search(queries, 10).ids, gone).any()
        index.add(base[gone % 10_000], ids=gone + 10_000)
        held = np.r_[held, gone + 10_000]
        assert len(index) == 10_000, turn
    assert sorted(index.ids.tolist()) == sorted(held.tolist())
    flat = vicinal.FlatIndex(base.shape[1], "cosine")
    flat.add(base[held % 10_000], ids=held)
    truth = flat.search(queries, 10).ids
    got = index.search(queries, 10, nprobe=200).ids
    assert reference.shared(got, truth) > 0.99
    # Lists with room to grow, and what they moved out of.
    fresh = made(words, refine="float16").memory().total
    assert index.memory().total < 2.5 * fresh


def test_training_comes_first_if_wanted(words: Any) -> None:
    base, queries, _ = words
    index = vicinal.IVFIndex(base.shape[1], "cosine", lists=100)
    index.train(base[:3000])
    assert len(index) == 0
    assert index.list_sizes.tolist() == [0] * 100
    assert (index.search(queries[:3], 2).ids == -1).all()
    with pytest.raises(vicinal.ArgumentError, match="learned its 100 lists already"):
        index.train(base)
    index.add(base[5000:])
    assert len(index) == 5000
    few = vicinal.IVFIndex(base.shape[1], lists=100)
    with pytest.raises(vicinal.ArgumentError, match="has 99 rows to learn 100 lists from"):
        few.add(base[:99])


def test_settings_travel_with_the_file(words: Any, tmp_path: Path) -> None:
    index = made(words, codec="sq4", refine="float16", soar=True, spill=0.7, balance=1.5, seed=3)
    assert index.nprobe == 16
    index.nprobe = 9
    path = tmp_path / "index"
    index.save(path)
    again = vicinal.open(path)
    assert isinstance(again, vicinal.IVFIndex)
    assert again.nprobe == 9
    assert again.params == index.params
    assert (again.params.spill, again.params.balance) == (0.7, 1.5)
    assert repr(again) == repr(index)
    about = vicinal.info(path)
    assert about.kind == "ivf"
    assert {"list_codes", "list_rows", "list_sizes"} <= {part.name for part in about.sections}


def test_params_round_trip() -> None:
    for params in (
        vicinal.IVFParams(),
        vicinal.IVFParams(vicinal.SQ4(), "float16", 24, False, True, 0.5, 1.25, 3),
    ):
        assert vicinal.IVFParams.from_dict(params.to_dict()) == params
        assert vicinal.IVFIndex.from_params(4, "ip", params).params == params
        assert eval(repr(params), vars(vicinal)) == params


@pytest.mark.parametrize(
    "metadata", ['{"vicinal": "1", "nprobe": 0}', '{"vicinal": "1", "nprobe": "many"}']
)
def test_settings_that_make_no_sense(metadata: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    vicinal.IVFIndex(4)._core.save(bytes(path), metadata, None)
    with pytest.raises(vicinal.FormatError, match="settings: "):
        vicinal.open(path)
