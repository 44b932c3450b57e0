"""The data that come with the package, and the tour over them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import vicinal
from vicinal import demo
from vicinal.cli import app


def test_the_data_are_whole() -> None:
    data = demo.load()
    assert data.vectors.shape == (10_000, 384)
    assert data.query_vectors.shape == (1_000, 384)
    assert data.vectors.dtype == data.query_vectors.dtype == np.float16
    assert len(data.definitions) == len(data.words) == 10_000
    assert len(data.queries) == len(data.targets) == 1_000
    assert not data.vectors.flags.writeable
    for array in (data.vectors, data.query_vectors):
        norms = np.linalg.norm(array.astype(np.float64), axis=1)
        # Each of 384 values is rounded by at most 2**-11 of itself.
        np.testing.assert_allclose(norms, 1, atol=2**-11)
    # Every word that is looked up is a word of its own definition.
    for query, target in zip(data.queries, data.targets, strict=True):
        assert query in data.words[target]


def test_the_data_are_small_and_say_whose_they_are() -> None:
    folder = Path(demo.__file__).parent / "data"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000_000
    notice = (folder / "README.md").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in notice
    assert "all-MiniLM-L6-v2" in notice
    text = json.loads(gzip.decompress((folder / "wordnet-10k.json.gz").read_bytes()))
    assert set(text) == {"definitions", "queries"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoReport:
    return demo.run(repeats=1, folder=tmp_path_factory.mktemp("demo"))


def test_the_tour_measures(report: demo.DemoReport) -> None:
    exact, graph, small = report.indexes
    assert exact.recall == 1.0
    # Words against definitions is the harder case: measured 0.97 to 0.99 at ef 64.
    assert graph.recall > 0.9
    assert small.recall > 0.9
    # One byte and two of refinement instead of four per dimension.
    assert small.bytes_per_vector < graph.bytes_per_vector
    for result in report.indexes:
        assert result.queries_per_second > 0
        assert result.file_bytes > 10_000 * 384
        # A right answer that exact search has may be lost by a graph, or replaced by few.
        assert result.hit_rate == pytest.approx(exact.hit_rate, abs=0.05)


def test_the_hit_rate_is_that_of_a_plain_search(report: demo.DemoReport) -> None:
    data = demo.load()
    scores = data.query_vectors.astype(np.float64) @ data.vectors.astype(np.float64).T
    found = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    want = (found == data.targets[:, None]).any(axis=1).mean()
    # Rounding may swap neighbours at the tenth place: one word in a hundred at most.
    assert report.indexes[0].hit_rate == pytest.approx(want, abs=0.01)


def test_lookups_are_definitions(report: demo.DemoReport) -> None:
    data = demo.load()
    assert [lookup.word for lookup in report.lookups] == list(demo.WORDS)
    for lookup in report.lookups:
        distances = [answer.distance for answer in lookup.answers]
        assert distances == sorted(distances)
        for answer in lookup.answers:
            assert data.definitions[answer.row] == answer.definition


def test_saved_indexes_stay_where_asked(tmp_path: Path) -> None:
    demo.run(repeats=1, words=(), folder=tmp_path / "kept")
    kept = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert kept == ["0-exact.vicinal", "1-hnsw.vicinal", "2-hnsw.vicinal"]
    assert all(len(vicinal.open(tmp_path / "kept" / name)) == 10_000 for name in kept)


def test_unknown_words_are_refused_with_near_ones() -> None:
    with pytest.raises(ValueError, match=r"'slalon' is not among .* slalom"):
        demo.run(words=("slalon",))


def test_the_command_tells_it(
    report: demo.DemoReport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vicinal.cli import demo as command

    monkeypatch.setattr(command.tour, "run", lambda **_: report)
    with pytest.raises(SystemExit) as ended:
        app(["demo"], prog_name="vicinal")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "WordNet 3.0 (c) Princeton University" in told
    for result in report.indexes:
        line = next(line for line in told.splitlines() if line.startswith(result.name))
        assert f"{result.recall:.4f}" in line
        assert f"{result.queries_per_second:,.0f}" in line
    for lookup in report.lookups:
        assert lookup.word in told


def test_the_command_in_json(
    report: demo.DemoReport, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vicinal.cli import demo as command

    monkeypatch.setattr(command.tour, "run", lambda **_: report)
    with pytest.raises(SystemExit):
        app(["demo", "--json"], prog_name="vicinal")
    found = json.loads(capfd.readouterr().out)
    assert [index["recall"] for index in found["indexes"]] == [i.recall for i in report.indexes]
    assert len(found["lookups"]) == len(demo.WORDS)
