"""Data files for the benchmarks, made from what ships in the repository and from local files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bench.data import glyphs, make, make_demo
from bench.recall import datasets as recall_datasets

import vicinal.io as vio
from vicinal.demo import load as load_demo

Arrays = dict[str, npt.NDArray[Any]]


def made(out: Path, *words: str) -> Arrays:
    make.main([*words[:1], str(out), *words[1:]])
    with np.load(out) as file:
        return dict(file)


def reference(data: Arrays, queries: int) -> npt.NDArray[np.float64]:
    """Distances of the first queries from every row, in double."""
    base, query = (data[name].astype(np.float64) for name in ("base", "query"))
    query = query[:queries]
    if str(data["metric"]) == "ip":
        base /= np.linalg.norm(base, axis=1, keepdims=True)
        query /= np.linalg.norm(query, axis=1, keepdims=True)
        return 1 - query @ base.T
    squares = (query**2).sum(axis=1)[:, None] + (base**2).sum(axis=1)[None, :]
    return np.maximum(squares - 2 * query @ base.T, 0)


def check_truth(data: Arrays, queries: int = 25) -> None:
    """The named rows are as near as the nearest ones, in order; gtd says how near."""
    far = reference(data, queries)
    k = data["gt"].shape[1]
    named = np.take_along_axis(far, data["gt"][:queries].astype(np.int64), axis=1)
    # Of float32 sums of 384 products the 1e-6 of numbers up to one.
    np.testing.assert_allclose(named, np.sort(far, axis=1)[:, :k], rtol=1e-5, atol=3e-6)
    nearness = 1 - named if str(data["metric"]) == "ip" else named
    np.testing.assert_allclose(data["gtd"][:queries], nearness, rtol=1e-5, atol=3e-6)
    assert all(len(set(row)) == k for row in data["gt"].tolist())


@pytest.mark.parametrize(
    ("name", "rows", "queries"),
    [("wordnet-10k", 10_000, 996), ("wordnet-10k-definitions", 9_000, 1_000)],
)
def test_sets_are_made_of_what_ships(name: str, rows: int, queries: int, tmp_path: Path) -> None:
    data = made(tmp_path / "a.npz", name)
    assert data["base"].shape == (rows, 384)
    assert data["query"].shape == (queries, 384)
    assert data["base"].dtype == data["query"].dtype == np.float16
    assert data["gt"].shape == data["gtd"].shape == (queries, 100)
    assert (data["gt"].dtype, data["gtd"].dtype) == (np.int32, np.float32)
    assert str(data["metric"]) == "ip"
    check_truth(data)
    stored = {row.tobytes() for row in data["base"]}
    assert not any(row.tobytes() in stored for row in data["query"]), "queries are held out"

    made(tmp_path / "b.npz", name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = recall_datasets.load(tmp_path / "a.npz")
    assert (read.metric, read.base.shape, read.truth.shape) == ("ip", (rows, 384), (queries, 100))


def test_words_keep_what_they_are_about(tmp_path: Path) -> None:
    data = made(tmp_path / "a.npz", "wordnet-10k", "--queries", "10", "--k", "3")
    np.testing.assert_array_equal(data["target"], load_demo().targets[:10])
    assert data["gt"].shape == (10, 3)
    data = made(tmp_path / "a.npz", "wordnet-10k", "--rows", "500", "--queries", "10")
    assert "target" not in data
    assert len(data["base"]) == 500
    check_truth(data, 10)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_any_file_is_converted(metric: str, tmp_path: Path) -> None:
    demo = load_demo()
    lengths = np.linspace(1, 2, 400, dtype=np.float32)[:, None]
    base = demo.vectors[:400].astype(np.float32) * (1 if metric == "ip" else lengths)
    queries = demo.query_vectors[:30].astype(np.float32)
    path = tmp_path / "set.hdf5"
    vio.write_hdf5(path, {"train": base, "test": queries})
    data = made(tmp_path / "out.npz", str(path), "--metric", metric, "--k", "20")
    np.testing.assert_array_equal(data["base"], base)
    assert str(data["metric"]) == ("l2" if metric == "l2" else "ip")
    assert data["gt"].shape == (30, 20)
    check_truth(data)

    # Through the publisher's truth and back.
    vio.write_hdf5(
        path,
        {
            "train": base,
            "test": queries,
            "neighbors": data["gt"],
            "distances": {
                "l2": np.sqrt(data["gtd"]),
                "ip": -data["gtd"],
                "cosine": 1 - data["gtd"],
            }[metric],
        },
        distance={"l2": "euclidean", "ip": "ip", "cosine": "angular"}[metric],
    )
    kept = made(tmp_path / "kept.npz", str(path), "--k", "20", "--keep-truth")
    np.testing.assert_array_equal(kept["gt"], data["gt"])
    np.testing.assert_allclose(kept["gtd"], data["gtd"], rtol=1e-6, atol=1e-6)


def test_what_a_benchmark_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    rows = load_demo().vectors[:50].astype(np.float32)
    rows[7] *= 3
    path = tmp_path / "set.hdf5"
    vio.write_hdf5(path, {"train": rows, "test": rows[:3]}, distance="ip")
    with pytest.raises(SystemExit, match="rows of length"):
        make.main([str(path), str(tmp_path / "out.npz")])
    with pytest.raises(SystemExit, match="did you mean sift-128-euclidean"):
        make.main(["sift-128-euclid", str(tmp_path / "out.npz")])
    assert not (tmp_path / "out.npz").exists()


def test_the_data_of_the_demo_are_chosen_as_before(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows, queries = 11_000, 1_200
    base = draw.standard_normal((rows, 4)).astype(np.float16)
    query = draw.standard_normal((queries, 4)).astype(np.float16)
    target = draw.choice(rows, queries, replace=False)
    np.savez(tmp_path / "in.npz", base=base, query=query, target=target)
    text = {
        "definitions": [{"words": [f"w{n}"], "definition": f"d{n}"} for n in range(rows)],
        "queries": [f"q{n}" for n in range(queries)],
    }
    with gzip.open(tmp_path / "in.json.gz", "wt", encoding="utf-8") as file:
        json.dump(text, file)
    make_demo.main(str(tmp_path / "in.npz"), str(tmp_path / "in.json.gz"), str(tmp_path / "out"))
    with np.load(tmp_path / "out" / "wordnet-10k.npz") as out:
        assert out["base"].shape == (10_000, 4)
        np.testing.assert_array_equal(out["queries"], query[:1_000])
        np.testing.assert_array_equal(out["base"][out["targets"]], base[target[:1_000]])
    with gzip.open(tmp_path / "out" / "wordnet-10k.json.gz", "rt", encoding="utf-8") as file:
        assert json.load(file)["queries"] == text["queries"][:1_000]


def font(path: Path, codes: range, slant: int, name: str) -> Path:
    """A font whose characters are boxes of different sizes, cut aslant."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def box(wide: int, high: int) -> Any:
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        for corner in ((100 + wide, slant), (100 + wide, high), (100, high - slant)):
            pen.lineTo(corner)
        pen.closePath()
        return pen.glyph()

    names = [".notdef", *(f"u{code:x}" for code in codes)]
    sizes = ((200 + code % 16 * 40, 200 + code // 16 % 16 * 40) for code in codes)
    shapes = [box(50, 50), *(box(wide, high) for wide, high in sizes)]
    made = FontBuilder(1000)
    made.setupGlyphOrder(names)
    made.setupCharacterMap(dict(zip(codes, names[1:], strict=True)))
    made.setupGlyf(dict(zip(names, shapes, strict=True)))
    made.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    made.setupHorizontalHeader(ascent=900, descent=-100)
    made.setupNameTable({"familyName": name, "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(path)
    return path


def test_characters_are_asked_for_in_another_hand(tmp_path: Path) -> None:
    printed = [
        font(tmp_path / "a.ttf", range(0x4E00, 0x4E80), 0, "A"),
        font(tmp_path / "b.ttf", range(0x4E00, 0x4E40), 0, "B"),  # the same pictures
        font(tmp_path / "c.ttf", range(0x4E40, 0x4EA0), 60, "C"),
    ]
    written = font(tmp_path / "d.ttf", range(0x4E10, 0x4EC0), 120, "D")
    data = glyphs.drawn(printed, written, 50)
    assert data["base"].shape == (128 + 96, 1024)
    assert data["query"].shape == (50, 1024)
    assert data["base"].dtype == data["query"].dtype == np.uint8
    stored = {row.tobytes() for row in data["base"]}
    assert len(stored) == len(data["base"])
    assert not any(row.tobytes() in stored for row in data["query"]), "queries are held out"
    # A character is nearer to itself in another hand than to most others.
    far = ((data["query"][:, None].astype(int) - data["base"][None]) ** 2).sum(axis=2)
    own = np.take_along_axis(far, data["target"][:, None].astype(np.int64), axis=1)
    assert ((far < own).mean(axis=1) < 0.2).mean() > 0.8
    again = glyphs.drawn(printed, written, 50)
    assert all(np.array_equal(again[name], data[name]) for name in data)


def test_missing_fonts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "_FONTS", tmp_path)
    with pytest.raises(SystemExit, match=r"apt-get install fonts-arphic-uming .*fonts-arphic-ukai"):
        make.main(["glyphs-1024", str(tmp_path / "out.npz")])
