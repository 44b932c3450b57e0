"""Results files: what is read, merged and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import invented_results as invented
import pytest

import vicinal
from vicinal.bench.results import read_results


def test_reads_every_line_of_a_file(tmp_path: Path) -> None:
    content = invented.lines()
    found = read_results([invented.write(tmp_path / "a.jsonl", content)])
    by_kind = {kind: [line for line in content if line["kind"] == kind] for kind in KINDS}
    assert [len(getattr(found, f"{kind}s")) for kind in KINDS] == [
        len(by_kind[kind]) for kind in KINDS
    ]
    line, contender = by_kind["contender"][0], found.contenders[0]
    assert (contender.name, contender.library) == (line["contender"], line["library"])
    assert [point.recall for point in contender.points] == [p["recall"] for p in line["points"]]
    assert contender.points[0].rate == sorted(line["points"][0]["rates"])[2]  # of five rounds
    assert contender.at_recall["0.95"].rate == line["at_recall"]["0.95"]["rate"]
    assert contender.build is not None
    assert contender.build.seconds == line["build"]["seconds"]
    assert found.runs[0].bounds["clock_hz"] == 3e9
    failed = found.contenders[-1]
    assert (failed.status, failed.points, failed.build) == ("failed", (), None)
    assert failed.why == "invented: the import ended with SIGILL"


KINDS = ("run", "dataset", "contender", "ratio", "kernel")


def test_a_run_may_be_spread_over_files_in_any_order(tmp_path: Path) -> None:
    content = invented.lines()
    whole = read_results([invented.write(tmp_path / "whole.jsonl", content)])
    parts = [
        invented.write(tmp_path / "b.jsonl", content[5:]),
        invented.write(tmp_path / "a.jsonl", content[:5]),
        tmp_path / "whole.jsonl",  # the same lines again are no harm
    ]
    merged = read_results(parts)
    assert set(merged.ratios) == set(whole.ratios)
    assert {c.name for c in merged.contenders} == {c.name for c in whole.contenders}
    assert len(merged.contenders) == len(whole.contenders)


def test_the_newest_run_of_a_contender_counts(tmp_path: Path) -> None:
    old, new = invented.lines("20000101T000000Z"), invented.lines("20000102T000000Z", contenders=2)
    new[2]["version"] = "0.0.2"
    files = [
        invented.write(tmp_path / "new.jsonl", new),
        invented.write(tmp_path / "old.jsonl", old),
    ]
    (study,) = read_results(files).studies()
    by_name = {contender.name: contender for contender in study.contenders}
    assert by_name["hnswlib"].version == "0.0.2"
    assert by_name["hnswlib"].run == "20000102T000000Z"
    assert by_name["ScaNN"].run == "20000101T000000Z"
    assert len(by_name) == len(study.contenders)
    # A ratio is of its own run: that of the older one says nothing of the newer contender.
    ratio = study.ratio("faiss HNSW32", 0.95)
    assert ratio is not None
    assert ratio.run == "20000102T000000Z"


def test_what_cannot_be_compared_stays_apart(tmp_path: Path) -> None:
    batch = invented.lines("20000101T000000Z")
    single = invented.lines("20000102T000000Z")
    single[0]["settings"]["mode"] = "single"
    other = invented.lines("20000103T000000Z")
    other[0]["machine"]["cpu"] = "Another invented CPU"
    more = invented.lines("20000104T000000Z", data="invented-two")
    path = invented.write(tmp_path / "all.jsonl", batch + single + other + more)
    studies = read_results([path]).studies()
    assert [study.title for study in studies] == [
        "invented-128",
        "invented-128, one call per query",
        "invented-128, run 20000103T000000Z",
        "invented-two",
    ]
    assert len({study.key for study in studies}) == 4


def spoil(content: list[dict[str, Any]], place: str, value: Any) -> int:
    """Set a value by its dotted place in the first line that has it; the number of that line."""
    first, *rest = place.split(".")
    number = next(i for i, line in enumerate(content) if line["kind"] == first)
    at: Any = content[number]
    for name in rest[:-1]:
        at = at[int(name) if isinstance(at, list) else name]
    if value is MISSING:
        del at[rest[-1]]
    else:
        at[rest[-1]] = value
    return number + 1


MISSING = object()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("run.format", "vicinal-bench/2", "format is 'vicinal-bench/2', wanted 'vicinal-bench/1'"),
        ("run.command", MISSING, "command is missing"),
        ("run.machine.cpus", "two", 'machine.cpus is "two", wanted a number from 1'),
        ("run.settings.mode", "fast", 'settings.mode is "fast", wanted one of batch, single'),
        ("run.settings.k", 0, "settings.k is 0, wanted a number from 1"),
        ("run.bounds", [], "bounds is [], wanted an object"),
        ("dataset.rows", 1.5, "rows is 1.5, wanted a whole number"),
        ("dataset.rows", True, "rows is true, wanted a number from 1"),
        ("dataset.data", None, "data is null, wanted text"),
        ("contender.kind", "peer", 'kind is "peer", wanted one of run, dataset, contender'),
        ("contender.status", "good", 'status is "good", wanted one of ok'),
        ("contender.why", MISSING, "status is failed, but why is missing"),
        ("contender.points", [3], "points[0] is 3, wanted an object"),
        ("contender.points.2.recall", 1.01, "points[2].recall is 1.01, wanted a number from 0 to"),
        ("contender.points.1.rates", [10, "x"], 'points[1].rates[1] is "x", wanted a number'),
        ("contender.points.1.rates", [], "a point needs rates, all above 0"),
        ("contender.points.1.rates", [0], "a point needs rates, all above 0"),
        ("contender.points.1.rates", [1.1e308], "rates[0] is 1.1e+308, wanted a number"),
        ("dataset.dim", 1e308, "dim is 1e+308, wanted a number"),
        ("contender.points.0.params", "ef=3", 'points[0].params is "ef=3", wanted an object'),
        ("contender.build.seconds", -1, "build.seconds is -1, wanted a number from 0"),
        ("contender.build.seconds", 10**400, "build.seconds is "),
        ("contender.build.from_cache", 1, "build.from_cache is 1, wanted true or false"),
        ("contender.at_recall.0.rate", 0, ""),
        ("contender.run", "19990101T000000Z", "no file tells of run '19990101T000000Z'"),
        ("contender.data", "mnist", "has no line for data set 'mnist'"),
        ("ratio.low", 99, "low is 99, more than high"),
        ("ratio.low", 0, "ratio and low must be above 0"),
        ("ratio.ratio", 0, "ratio and low must be above 0"),
        ("kernel.bound", 0, "bound is 0, wanted more than 0"),
        ("kernel.run", "elsewhere", "no file tells of run 'elsewhere'"),
    ],
)  # fmt: skip
def test_a_damaged_line_is_named(tmp_path: Path, place: str, value: Any, said: str) -> None:
    content = invented.lines(contenders=3)
    if place == "contender.why":
        content[2]["status"] = "failed"
    if place == "contender.at_recall.0.rate":
        number = 3
        content[2]["at_recall"]["0.95"]["rate"] = value
        said = "at_recall.0.95.rate is 0, wanted more than 0"
    else:
        number = spoil(content, place, value)
    path = invented.write(tmp_path / "spoilt.jsonl", content)
    with pytest.raises(vicinal.FormatError) as caught:
        read_results([path])
    assert str(caught.value).startswith(f"{path}: line {number}: ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"kind": "run", ', "not a whole JSON object"),
        (b"[1, 2]", "holds [1, 2], wanted an object"),
        (b'{"kind": NaN}', "NaN is no JSON number"),
        (b'{"kind": "\xff"}', "not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"kind": ' + b"9" * 5000 + b"}", ""),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    path = invented.write(tmp_path / "spoilt.jsonl", invented.lines(contenders=1))
    count = path.read_bytes().count(b"\n")
    with path.open("ab") as file:
        file.write(b"\n" + text + b"\n")  # the empty line before it counts, and is no harm
    with pytest.raises(vicinal.FormatError) as caught:
        read_results([path])
    assert str(caught.value).startswith(f"{path}: line {count + 2}: ")
    assert said in str(caught.value)


def test_what_a_short_run_leaves_out_is_no_damage(tmp_path: Path) -> None:
    """One round has no interval, and a run may only build."""
    content = invented.lines(contenders=2)
    content[-9].update(low=0.0, high=None, rounds=1)
    assert content[-9]["kind"] == "ratio"
    content[2].update(points=[], at_recall=dict.fromkeys(("0.90", "0.95", "0.99")))
    found = read_results([invented.write(tmp_path / "short.jsonl", content)])
    assert (found.ratios[0].low, found.ratios[0].high) == (None, None)
    (study,) = found.studies()
    assert [c.name for c in study.measured] == ["faiss HNSW32"]
    content[2]["build"] = None
    path = invented.write(tmp_path / "empty.jsonl", content)
    with pytest.raises(vicinal.FormatError, match="neither points nor build"):
        read_results([path])


def test_two_different_lines_for_the_same_thing_are_refused(tmp_path: Path) -> None:
    content = invented.lines(contenders=2)
    first = invented.write(tmp_path / "a.jsonl", content)
    content[3]["version"] = "other"
    second = invented.write(tmp_path / "b.jsonl", content)
    with pytest.raises(vicinal.FormatError, match=r"b\.jsonl: line 4: this contender .*line 4"):
        read_results([first, second])


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results file given"):
        read_results([])
    empty = tmp_path / "empty.jsonl"
    empty.write_text(json.dumps(invented.run_line()) + "\n")
    with pytest.raises(ValueError, match="nothing measured in"):
        read_results([empty])
    with pytest.raises(FileNotFoundError):
        read_results([tmp_path / "none.jsonl"])
