"""The command line: results on stdout, one line of trouble on stderr, exit statuses."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import io as vio
from vicinal.cli import app


@dataclass
class Result:
    status: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "300")

    def call(*words: object) -> Result:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(word) for word in words], prog_name="vicinal")
        out, err = capfdbinary.readouterr()
        status = ended.value.code
        assert isinstance(status, int)
        return Result(status, out.decode(errors="replace"), err.decode(), out)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors, queries, ids, a data set and two saved indexes."""
    place = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(5)
    base = rng.standard_normal((600, 16)).astype(np.float32)
    queries = rng.standard_normal((8, 16)).astype(np.float32)
    ids = np.arange(600) * 3 + 1
    np.save(place / "base.npy", base)
    np.save(place / "queries.npy", queries)
    (place / "ids.txt").write_text("\n".join(map(str, ids)))
    np.savez(place / "data.npz", base=base, queries=queries)
    exact = vicinal.FlatIndex(16)
    exact.add(base, ids)
    exact.save(place / "flat.vicinal")
    graph = vicinal.HNSWIndex(16)
    graph.add(base)
    graph.save(place / "hnsw.vicinal")
    return place


def one_line(result: Result, status: int = 1) -> str:
    assert result.status == status
    assert result.out == ""
    assert result.err.startswith("vicinal: ")
    assert result.err.count("\n") == 1
    return result.err


def test_build_chooses_and_says_so(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("build", folder / "base.npy", "-o", tmp_path / "a.vicinal")
    assert (done.status, done.err) == (0, "")
    assert "FlatIndex" in done.out
    assert "a.vicinal" in done.out
    assert isinstance(vicinal.open(tmp_path / "a.vicinal"), vicinal.FlatIndex)


def test_build_what_is_asked_for(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.vicinal"
    shape = "--codec sq8 --refine float16 --links 8 --build-ef 50 --seed 3 --metric cosine"
    made = run(
        "build", folder / "base.npy", "-o", path, *shape.split(), "--threads", 1, "--json",
        "--ids", folder / "ids.txt", "--rows", 500,
    )  # fmt: skip
    assert made.status == 0
    assert made.json["kind"] == "HNSWIndex"
    assert made.json["file_bytes"] == path.stat().st_size
    index = vicinal.open(path)
    assert isinstance(index, vicinal.HNSWIndex)
    assert index.params == vicinal.HNSWParams("sq8", "float16", 8, 50, 3)  # type: ignore[arg-type]
    assert index.metric == "cosine"
    assert sorted(index.ids.tolist()) == [3 * i + 1 for i in range(500)]


def test_tune_says_what_would_be_built(run: Run, folder: Path, tmp_path: Path) -> None:
    told = run("tune", folder / "base.npy", "--metric", "cosine")
    assert (told.status, told.err) == (0, "")
    assert "FlatIndex for 600 vectors, dim 16, cosine" in told.out
    rows = np.random.default_rng(1).standard_normal((20_000, 64)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    words = ("tune", tmp_path / "rows.npy", "--memory", 20_000 * 250, "--queries")
    plan = run(*words, tmp_path / "rows.npy", "--seed", 3, "--threads", 1, "--json").json
    want = vicinal.tune(rows, memory=20_000 * 250, queries=rows, seed=3)
    assert plan["params"] == want.params.to_dict()
    assert plan["bytes_per_vector"] == want.bytes_per_vector < 250
    assert plan["tried"][0]["codes"] == "sq4"


def test_build_from_a_column_with_ids(run: Run, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    base = np.load(folder / "base.npy")
    vio.write_table(tmp_path / "a.parquet", base, key="embedding", ids=np.arange(600) + 7)
    made = run(
        "build", tmp_path / "a.parquet", "--column", "embedding", "--ids-key", "id",
        "-o", tmp_path / "a.vicinal", "--index", "flat", "--codec", "float16",
    )  # fmt: skip
    assert made.status == 0
    assert sorted(vicinal.open(tmp_path / "a.vicinal").ids.tolist())[0] == 7


def test_settings_from_a_file_and_flags_win(run: Run, folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    output = tmp_path / "a.vicinal"
    config.write_text(f"output = '{output.as_posix()}'\nlinks = 6\nbuild-ef = 30\nmetric = 'ip'\n")
    made = run("build", folder / "base.npy", "--config", config, "--links", 9, "--json")
    assert made.status == 0
    assert (made.json["links"], made.json["build_ef"], made.json["metric"]) == (9, 30, "ip")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("linsk = 6", "unknown key 'linsk'; the nearest is 'links'"),
        ("links = '6'", "key 'links' is '6', wanted int"),
        ("metric = 'l1'", "key 'metric' is 'l1', wanted one of"),
        ("links =", "not TOML"),
    ],
)
def test_mistakes_in_a_settings_file(
    run: Run, folder: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.toml").write_text(text)
    failed = run("build", folder / "base.npy", "-o", "x", "--config", tmp_path / "a.toml")
    assert failed.status == 2
    assert said in " ".join(failed.err.replace("│", " ").split())


def test_search_forms_agree(run: Run, folder: Path, tmp_path: Path) -> None:
    queries = np.load(folder / "queries.npy")
    want = vicinal.open(folder / "flat.vicinal").search(queries, 4)
    words = ("search", folder / "flat.vicinal", folder / "queries.npy", "-k", 4)
    as_json = run(*words, "--format", "json")
    assert as_json.json["ids"] == want.ids.tolist()
    np.testing.assert_array_equal(np.float32(as_json.json["distances"]), want.distances)
    as_npz = run(*words, "--format", "npz")
    with np.load(io.BytesIO(as_npz.raw)) as arrays:
        np.testing.assert_array_equal(arrays["ids"], want.ids)
        np.testing.assert_array_equal(arrays["distances"], want.distances)
    lines = run(*words).out.splitlines()
    assert lines[0].split() == ["query", "rank", "id", "distance"]
    assert len(lines) == 1 + 8 * 4
    assert lines[5].split()[:3] == ["1", "1", str(want.ids[1, 0])]
    for suffix in (".json", ".npz", ".txt"):  # the suffix chooses, and stdout stays empty
        path = tmp_path / f"hits{suffix}"
        assert run(*words, "-o", path).out == ""
        assert path.stat().st_size > 0
    np.testing.assert_array_equal(vio.read(tmp_path / "hits.npz", key="ids"), want.ids)


def test_search_among_allowed_ids(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "allow.txt").write_text("1\n4\n1798\n")
    words = ("search", folder / "flat.vicinal", folder / "queries.npy", "--format", "json")
    found = run(*words, "--allow", tmp_path / "allow.txt", "-k", 5, "--rows", 2).json
    assert [sorted(row) for row in found["ids"]] == [[-1, -1, 1, 4, 1798]] * 2
    assert found["distances"][0][3:] == [None, None]  # JSON has no infinity
    np.save(tmp_path / "mask.npy", np.arange(10) == 4)
    found = run(*words, "--allow", tmp_path / "mask.npy", "-k", 1).json
    assert found["ids"] == [[4]] * 8


def test_search_a_graph(run: Run, folder: Path) -> None:
    words = ("search", folder / "hnsw.vicinal", folder / "queries.npy", "--format", "json")
    want = vicinal.open(folder / "hnsw.vicinal").search(np.load(folder / "queries.npy"), ef=600)
    for mode in ("map", "load"):
        assert run(*words, "--ef", 600, "--mode", mode).json["ids"] == want.ids.tolist()


def test_search_for_a_recall(run: Run, folder: Path, tmp_path: Path) -> None:
    queries = np.load(folder / "queries.npy")
    index = vicinal.open(folder / "hnsw.vicinal")
    assert isinstance(index, vicinal.HNSWIndex)
    words = ("search", tmp_path / "known.vicinal", folder / "queries.npy", "--format", "json")
    index.save(tmp_path / "known.vicinal")
    told = run(*words, "--recall", 0.8)
    assert told.status != 0
    assert "not calibrated" in told.out + told.err
    measure = ("calibrate", tmp_path / "known.vicinal", "--recall", 0.9, "-k", 5, "-k", 10)
    told = run(*measure)
    assert told.status == 0
    assert "recall@5" in told.out
    assert "recall@10" in told.out
    known = index.calibrate(k=[5, 10], recall=0.9)
    assert run(*measure, "--json").json == known.to_dict()
    assert str(known).splitlines()[2] in run("info", tmp_path / "known.vicinal").out
    want = index.search(queries, recall=0.8).ids.tolist()
    assert run(*words, "--recall", 0.8).json["ids"] == want
    exact = ("search", folder / "flat.vicinal", folder / "queries.npy", "--format", "json")
    assert run(*exact, "--recall", 0.8).json == run(*exact).json
    assert run("calibrate", folder / "flat.vicinal").status == 2
    assert run(*measure, "--key", "x").status == 2
    elsewhere = tmp_path / "elsewhere.vicinal"
    done = run(*measure, "--queries", folder / "queries.npy", "-o", elsewhere, "--json").json
    assert done["source"] == "queries"
    again = vicinal.open(elsewhere)
    assert isinstance(again, vicinal.HNSWIndex)
    assert again.calibration is not None
    assert again.calibration.to_dict() == done


def test_info(run: Run, folder: Path) -> None:
    told = run("info", folder / "hnsw.vicinal")
    assert told.status == 0
    assert "hnsw" in told.out
    found = run("info", folder / "hnsw.vicinal", "--json").json
    assert found["kind"] == "hnsw"
    assert found["file_bytes"] == (folder / "hnsw.vicinal").stat().st_size
    for section in found["sections"]:
        assert f"{section['bytes']:,}" in told.out


def test_verify(run: Run, folder: Path, tmp_path: Path) -> None:
    for name in ("flat.vicinal", "hnsw.vicinal"):
        sound = run("verify", folder / name)
        assert (sound.status, sound.err) == (0, "")
        assert "sound" in sound.out
        assert "600 vectors" in sound.out
    data = bytearray((folder / "flat.vicinal").read_bytes())
    section = max(vicinal.info(folder / "flat.vicinal").sections, key=lambda s: s.bytes)
    data[section.offset + section.bytes // 2] ^= 16
    (tmp_path / "bad.vicinal").write_bytes(data)
    said = one_line(run("verify", tmp_path / "bad.vicinal"))
    assert "bad.vicinal: at byte" in said


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_verify_finds_a_link_that_leads_nowhere(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.vicinal"
    index = vicinal.HNSWIndex(8, links=2)
    index.add(np.eye(8, dtype=np.float32))
    index.save(path)
    data = bytearray(path.read_bytes())
    (links,) = (s for s in vicinal.info(path).sections if s.name == "links")
    row = slice(links.offset, links.offset + links.bytes)
    data[row.start + 3 * 16 : row.start + 3 * 16 + 4] = (0x7FFFFFFE).to_bytes(4, "little")
    length = int.from_bytes(data[16:24], "little")
    header = data[64 : 64 + length].replace(
        f'"crc32c":{links.crc32c}'.encode(), f'"crc32c":{crc32c(data[row])}'.encode()
    )
    data[64:4096] = header.ljust(4096 - 64, b"\0")
    data[12:16] = crc32c(header).to_bytes(4, "little")
    data[16:24] = len(header).to_bytes(8, "little")
    data[60:64] = crc32c(data[:60]).to_bytes(4, "little")
    path.write_bytes(data)
    vicinal.verify(path)  # all checksums are right
    said = one_line(run("verify", path))
    assert "row 3 has a link to 2147483646, which is not there" in said


def test_info_of_metadata_nested_deeply(run: Run, tmp_path: Path) -> None:
    index = vicinal.FlatIndex(3)
    index.add(np.eye(3, dtype=np.float32))
    path = tmp_path / "a.vicinal"
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = '{"vicinal":"1","x":' + opening * 900 + "0" + closing * 900 + "}"
        index._core.save(os.fsencode(path), text, None)
        assert run("info", path).status == 0
        assert run("info", path, "--json").json["metadata"] == text


@pytest.mark.parametrize("verb", ["info", "verify", "search"])
def test_files_that_are_no_indexes(run: Run, folder: Path, tmp_path: Path, verb: str) -> None:
    more = [folder / "queries.npy"] if verb == "search" else []
    for content in (b"", b"hello", (folder / "base.npy").read_bytes()):
        (tmp_path / "a.vicinal").write_bytes(content)
        assert "a.vicinal" in one_line(run(verb, tmp_path / "a.vicinal", *more))
    said = one_line(run(verb, tmp_path / "absent.vicinal", *more))
    assert "absent.vicinal: No such file or directory" in said


def test_eval_forms_agree(run: Run, folder: Path, tmp_path: Path) -> None:
    words = ("eval", folder / "data.npz", "--ef", "10,600", "-k", 5, "--repeats", 1)
    found = run(*words, "--format", "json").json
    assert (found["kind"], found["queries"], found["k"]) == ("HNSWIndex", 8, 5)
    assert [point["ef"] for point in found["points"]] == [10, 600]
    # ef covers all rows, so the walk sees all that is connected.
    assert found["points"][1]["recall"] == 1.0
    assert found["points"][1]["recall_by_distance"] == 1.0
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").out)))
    assert [row["recall"] for row in rows] == [str(p["recall"]) for p in found["points"]]
    table = run(*words)
    assert "recall@5" in table.out
    assert "computed in" in table.out
    assert run(*words, "-o", tmp_path / "a.json").out == ""
    assert json.loads((tmp_path / "a.json").read_text())["points"]


def test_eval_of_exact_search_and_saved_indexes(run: Run, folder: Path, tmp_path: Path) -> None:
    base, queries = folder / "base.npy", folder / "queries.npy"
    words = ("eval", base, queries, "--format", "json", "--repeats", 1)
    (point,) = run(*words, "--index", "flat").json["points"]
    assert (point["ef"], point["recall"]) == (None, 1.0)
    found = run(*words, "--saved", folder / "hnsw.vicinal", "--ef", 600).json
    assert found["build_seconds"] is None
    assert found["points"][0]["recall"] == 1.0
    # A truth that is all wrong: what is measured is what was given.
    np.save(tmp_path / "truth.npy", np.full((8, 10), 599) - np.arange(10) * 0 + 1000)
    found = run(*words, "--truth", tmp_path / "truth.npy", "--ef", 64).json
    assert found["points"][0]["recall"] == 0.0
    assert found["truth"].endswith("truth.npy")


def test_eval_uses_the_truth_of_the_data_set(run: Run, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    base, queries = np.load(folder / "base.npy"), np.load(folder / "queries.npy")
    truth = vicinal.evaluate.ground_truth(base, queries, 10, "cosine")
    path = tmp_path / "a.hdf5"
    vio.write_dataset(path, vio.Dataset(base, queries, "cosine", truth.ids, truth.distances))
    words = ("eval", path, "--ef", 600, "--repeats", 1, "--format", "json")
    found = run(*words).json
    assert (found["metric"], found["truth"]) == ("cosine", "data set")
    assert found["points"][0]["recall"] == 1.0
    assert run(*words, "--metric", "l2").json["truth"].startswith("computed")
    assert run(*words, "--rows", 50).json["truth"].startswith("computed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("build {f}/base.npy", "say where to write"),
        ("build {f}/base.npy -o x --index auto --links 3", "--links does not go with --index auto"),
        (
            "build {f}/base.npy -o x --links 3 --recall 0.9",
            "--recall does not go with --index hnsw",
        ),
        ("build {f}/base.npy -o x --index flat --links 3", "--links does not go with --index flat"),
        ("build {f}/base.npy -o x --index flat --codec sq9", "sq9"),
        ("build {f}/base.npy -o x --links 3 --queries {f}/queries.npy", "nothing is calibrated"),
        ("build {f}/base.npy -o x --links 3 --memory 9", "--memory does not go with --index hnsw"),
        ("build {f}/base.npy -o x --codec pq", "pq"),
        ("build {f}/base.npy -o x --links 1", "links"),
        ("build {f}/base.npy -o x --threads 0", "threads"),
        ("search {f}/flat.vicinal {f}/queries.npy --ef 3", "--ef does not go with an exact index"),
        ("search {f}/flat.vicinal {f}/queries.npy -k 0", "-k"),
        ("search {f}/flat.vicinal {f}/queries.npy --allow-key a", "needs --allow"),
        ("search {f}/flat.vicinal", "QUERIES"),
        ("eval {f}/data.npz --ef 1,x", "not a list"),
        ("eval {f}/data.npz --ef 0", "not a list"),
        ("eval {f}/base.npy {f}/queries.npy --saved {f}/flat.vicinal --metric ip", "measures l2"),
        ("nonsense", "nonsense"),
        ("info", "FILE"),
    ],
)
def test_usage_mistakes(run: Run, folder: Path, words: str, said: str) -> None:
    failed = run(*words.format(f=folder).split())
    assert failed.status == 2
    assert failed.out == ""
    assert said in " ".join(failed.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("build {f}/ids.txt -o {t}/x", "suffix is '.txt'"),
        ("build {f}/absent.npy -o {t}/x", "absent.npy: No such file or directory"),
        ("build {f}/base.npy -o {t}/no/x", "No such file or directory"),
        ("build {f}/data.npz --key nope -o {t}/x", "no array 'nope'; it has base, queries"),
        ("build {f}/base.npy -o {t}/x --ids {f}/queries.npy", "whole numbers"),
        ("build {f}/queries.npy -o {t}/x --ids {f}/ids.txt", "600"),
        ("build {f}/base.npy -o {t}/x --memory 9", "memory is 9 bytes; exact search of 600"),
        ("build {f}/base.npy -o {t}/x --build-time 0", "build_time must be above 0 seconds"),
        ("tune {f}/base.npy --recall 2", "recall must be above 0 and at most 1"),
        ("search {f}/flat.vicinal {t}/narrow.npy", "columns"),
        ("eval {f}/base.npy", "suffix is '.npy', wanted .hdf5, .h5 or .npz"),
        ("demo --word floccinaucinihilipilification", "not among the 1000"),
        ("build {t}/mask.npy -o {t}/x", "vectors holds bool"),
    ],
)
def test_failures_are_one_line(
    run: Run, folder: Path, tmp_path: Path, words: str, said: str
) -> None:
    np.save(tmp_path / "narrow.npy", np.zeros((2, 3), np.float32))
    np.save(tmp_path / "mask.npy", np.zeros((2, 3), np.bool_))
    assert said in one_line(run(*words.format(f=folder, t=tmp_path).split()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.npy", "narrow.npy"]


def test_what_a_file_says_does_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    index = vicinal.FlatIndex(3)
    index.add(np.eye(3, dtype=np.float32))
    note = '{"a": "\\u001b[2J\\u009b1m\\u202e\\u00e9"}'
    index._core.save(os.fsencode(tmp_path / "x.vicinal"), note, None)
    shown = run("info", str(tmp_path / "x.vicinal"))
    assert shown.status == 0
    assert "\\x1b[2J\\x9b1m\\u202e" in shown.out
    assert not set(shown.out) & {"\x1b", "\x9b", "\u202e"}
    plain = run("info", str(tmp_path / "x.vicinal"), "--json")
    assert plain.json["metadata"] == {"a": "\x1b[2J\x9b1m\u202e\u00e9"}
    assert "\u00e9" in plain.out
    assert not set(plain.out) & {"\x1b", "\x9b", "\u202e"}


def test_traceback_on_demand(folder: Path) -> None:
    words = ["info", str(folder / "base.npy"), "--traceback"]
    ended = subprocess.run(
        [sys.executable, "-m", "vicinal", *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "Traceback (most recent call last)" in ended.stderr
    assert "FormatError" in ended.stderr


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"vicinal {vicinal.__version__}\n"
    for verb in ("build", "tune", "search", "calibrate", "info", "verify", "eval", "demo"):
        told = run(verb, "--help")
        assert told.status == 0
        assert "--traceback" in told.out


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("signals are sent otherwise there")
    path = tmp_path / "base.npy"
    np.save(path, np.random.default_rng(0).standard_normal((200_000, 64), dtype=np.float32))
    script = (  # says when the work begins, which imports precede
        "import sys, vicinal.cli.build as b; make = b.make\n"
        "def loud(*args, **more):\n"
        "    sys.stderr.write('begins\\n'); sys.stderr.flush(); return make(*args, **more)\n"
        "b.make = loud\n"
        "from vicinal.cli import app; app(prog_name='vicinal')"
    )
    words = ["build", str(path), "-o", str(tmp_path / "a.vicinal"), "--links", "32"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begins\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "vicinal: stopped\n"
    assert not (tmp_path / "a.vicinal").exists()


@pytest.mark.parametrize("buffering", ["-u", "-X dev"])
def test_results_reach_a_slow_reader_whole(folder: Path, buffering: str) -> None:
    words = ["search", str(folder / "flat.vicinal"), str(folder / "base.npy"), "-k", "500"]
    with subprocess.Popen(
        [sys.executable, *buffering.split(), "-m", "vicinal", *words], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        time.sleep(0.1)
        assert process.stdout.read().count(b"\n") == 1 + 600 * 500
        assert process.wait() == 0


def test_a_reader_that_leaves(folder: Path) -> None:
    words = ["search", str(folder / "flat.vicinal"), str(folder / "base.npy"), "-k", "500"]
    with subprocess.Popen(
        [sys.executable, "-m", "vicinal", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_bars_on_a_terminal_only(folder: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    words = ["build", str(folder / "base.npy"), "-o", str(tmp_path / "a.vicinal"), "--json"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vicinal", *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        out = process.stdout.read()
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # what Linux gives when the other end has closed
                break
            if not chunk:
                break
            shown += chunk
        os.close(ours)
        assert process.wait() == 0
    assert json.loads(out)["vectors"] == 600
    assert b"600" in shown


def test_inverted_lists(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.vicinal"
    made = run(
        "build", folder / "base.npy", "-o", path, "--lists", 12, "--refine", "float16", "--json"
    )
    assert made.status == 0
    assert made.json["kind"] == "IVFIndex"
    index = vicinal.open(path)
    assert isinstance(index, vicinal.IVFIndex)
    assert index.params == vicinal.IVFParams(refine="float16", lists=12)
    shown = run("info", path)
    assert "ivf" in shown.out
    hits = run("search", path, folder / "queries.npy", "-k", 3, "--nprobe", 4, "--format", "json")
    want = index.search(np.load(folder / "queries.npy"), 3, nprobe=4)
    assert hits.json["ids"] == want.ids.tolist()
    assert run("search", path, folder / "queries.npy", "--ef", 9).status == 2
    assert run("search", folder / "hnsw.vicinal", folder / "queries.npy", "--nprobe", 9).status == 2
    assert run("build", folder / "base.npy", "-o", path, "--index", "ivf", "--links", 9).status == 2
    assert (
        run("build", folder / "base.npy", "-o", path, "--index", "flat", "--lists", 9).status == 2
    )
    words = ("eval", folder / "data.npz", "--index", "ivf", "--ef", "2,18", "--repeats", 1)
    few, all_lists = run(*words, "--format", "json").json["points"]
    assert few["recall"] < all_lists["recall"]
    assert all_lists["recall"] > 0.9  # 18 lists: all that sq8 tells apart
    assert "nprobe" in run(*words).out
