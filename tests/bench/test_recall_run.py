"""The comparison as a user runs it, on small seeded data and contenders that misbehave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.recall.ratios import paired
from bench.recall.rounds import REPEATS
from bench.recall.sweep import Point

pytestmark = pytest.mark.skipif(os.name == "nt", reason="contenders die of POSIX signals here")

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = Path(__file__).with_name("recall_adapters.py")
SECONDS = 5.0  # what a build or a search may take here


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 rows of 16 values with their true neighbours."""
    random = np.random.default_rng(5)
    base = random.standard_normal((4000, 16), dtype=np.float32)
    query = random.standard_normal((600, 16), dtype=np.float32)
    near = (base**2).sum(axis=1) - 2 * query @ base.T
    path = tmp_path_factory.mktemp("data") / "small.npz"
    truth = np.argsort(near, axis=1)[:, :20]
    np.savez(path, base=base, query=query, gt=truth, metric=np.array("l2"))
    return path


def command(data: Path, out: Path, *more: str) -> list[str]:
    limits = [f"--time-limit={SECONDS}", f"--search-limit={SECONDS}"]
    words = [sys.executable, "-m", "bench.recall", str(data), f"--adapters={ADAPTERS}"]
    return [*words, f"--json={out}", "--extra=0", *limits, *more]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """What one run over all the test contenders prints and writes."""
    out = tmp_path_factory.mktemp("out") / "results.jsonl"
    words = command(data, out, "--only=test ", "--reference=test exact", "--rounds=3")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout, read(out)


def of_kind(lines: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {line["contender"]: line for line in lines if line["kind"] == kind}


def test_the_run_comes_first_and_names_what_it_measured(run: tuple[str, Any]) -> None:
    first, second = run[1][:2]
    assert (first["kind"], first["format"]) == ("run", "vicinal-bench/1")
    assert first["command"].startswith(
        "python -m bench.recall small.npz --adapters=recall_adapters"
    )
    assert "/" not in first["command"]  # where files lay is nobody's business
    assert first["settings"]["time_limit_s"] == SECONDS
    assert first["settings"]["mode"] == "batch"
    assert first["machine"]["cpus"] == os.cpu_count()
    assert first["bounds"] is None
    assert (second["kind"], second["data"]) == ("dataset", "small")
    assert (second["rows"], second["dim"], second["queries"]) == (4000, 16, 600)
    assert len(second["sha256"]) == 64
    assert {line["run"] for line in run[1]} == {first["run"]}


def test_a_good_contender_has_everything(run: tuple[str, Any]) -> None:
    line = of_kind(run[1], "contender")["test exact"]
    assert (line["status"], line["why"], line["family"]) == ("ok", None, "graph")
    assert line["library"] == "numpy"
    assert line["version"] == np.__version__
    build = line["build"]
    assert build["seconds"] > 0
    assert build["threads"] == 2
    assert build["peak_growth_bytes"] >= 0
    assert build["file_bytes"] is None  # it cannot save
    assert all(len(point["rates"]) == 3 * REPEATS for point in line["points"])
    recalls = [point["recall"] for point in line["points"]]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.90
    assert recalls[-1] >= 0.99
    for target in ("0.90", "0.95", "0.99"):
        assert line["at_recall"][target]["recall"] == float(target)
        assert not line["at_recall"][target]["above"]


def test_looking_at_a_share_of_the_rows_finds_that_share(run: tuple[str, Any]) -> None:
    line = of_kind(run[1], "contender")["test exact"]
    for point in line["points"]:
        # 6,000 places, each found or not: five standard deviations at the widest.
        assert point["recall"] == pytest.approx(point["params"]["ef"] / 100, abs=0.033)


def test_a_sleeper_is_slower_and_as_exact(run: tuple[str, Any]) -> None:
    lines = of_kind(run[1], "contender")
    sleeping, exact = lines["test sleeping"], lines["test exact"]
    assert [p["recall"] for p in sleeping["points"]] == [p["recall"] for p in exact["points"]]
    ratios = [line for line in run[1] if line["kind"] == "ratio"]
    assert {line["contender"] for line in ratios} == {"test sleeping"}
    assert {line["target"] for line in ratios} == {0.90, 0.95, 0.99}
    for line in ratios:
        assert line["reference"] == "test exact"
        assert line["rounds"] == 3
        assert line["low"] <= line["ratio"] <= line["high"]
        assert line["ratio"] == pytest.approx(told_by_points(sleeping, line["target"]))
        assert line["ratio"] < 0.7  # it is a third, less what a busy machine disturbs


def told_by_points(line: dict[str, Any], target: float) -> float:
    """The ratio again, from what the file keeps of every round."""
    mine, beside = ([Point(**point) for point in line[key]] for key in ("points", "beside"))
    found = paired(mine, beside, target)
    assert found
    return found.ratio


def test_wrong_ids_are_low_recall(run: tuple[str, Any]) -> None:
    line = of_kind(run[1], "contender")["test wrong ids"]
    assert line["status"] == "ok"
    assert max(point["recall"] for point in line["points"]) < 0.6
    assert line["at_recall"] == {"0.90": None, "0.95": None, "0.99": None}


@pytest.mark.parametrize(
    ("name", "status", "why"),
    [
        ("missing package", "failed", "no_such_library_of_vectors is not installed"),
        ("refusing", "refused", "not on this processor"),
        ("crashing", "failed", "killed by SIGSEGV; it last said: about to read where nothing is"),
        ("hanging", "timeout", "build: not done after 5 s, killed"),
        ("leaving", "failed", "process ended with 3"),
        ("raising", "failed", "ValueError: rows are not to its taste"),
        ("hanging in search", "timeout", "find: not done after 5 s, killed"),
        ("crashing late", "failed", "killed by SIGILL"),
        ("wrong shape", "failed", "ids of shape"),
    ],
)
def test_whoever_breaks_is_a_row_saying_why(
    run: tuple[str, Any], name: str, status: str, why: str
) -> None:
    line = of_kind(run[1], "contender")[f"test {name}"]
    assert line["status"] == status
    assert why in line["why"]
    assert "\n" not in line["why"]
    assert line["points"] == []
    assert f"test {name}: {status}: " in run[0]


def runs(pid: str) -> bool:
    """Whether a process still does anything; who adopted it may take its time to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_interrupted_run_leaves_whole_lines_and_nobody_behind(
    data: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "results.jsonl", tmp_path / "stderr"
    words = command(data, out, "--only=test missing", "--only=test hanging", "--time-limit=600")
    with said.open("w") as errors:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        deadline = time.monotonic() + 60
        while "test hanging builds" not in said.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        workers = Path(children).read_text().split() if Path(children).exists() else []
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in said.read_text()
    deadline = time.monotonic() + 10
    while left := [pid for pid in workers if runs(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    lines = read(out)
    assert [line["kind"] for line in lines] == ["run", "dataset", "contender", "contender"]
    assert lines[3]["status"] == "failed"
    assert lines[3]["why"] == "interrupted"


def test_one_query_a_call_and_two_threads(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    more = ["--only=test exact", "--single", "--search-threads=2", "--rounds=1", "--queries=50"]
    done = subprocess.run(
        command(data, out, *more), cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    lines = read(out)
    assert lines[0]["settings"]["mode"] == "single"
    assert lines[0]["settings"]["search_threads"] == 2
    assert lines[1]["queries"] == 50
    assert lines[2]["status"] == "ok"


def once(data: Path, out: Path, *more: str) -> tuple[str, list[dict[str, Any]]]:
    words = command(data, out, "--rounds=1", *more)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout, read(out)


def test_exact_search_is_timed_in_a_batch_and_one_by_one(data: Path, tmp_path: Path) -> None:
    more = ["--flat", "--only=flat ", "--reference=flat one"]
    said, lines = once(data, tmp_path / "results.jsonl", *more)
    for line in of_kind(lines, "contender").values():
        (point,) = line["points"]
        assert point["params"] == {}
        assert point["recall"] == 1.0
        assert len(point["rates"]) == len(point["single_rates"]) == 1
        assert line["at_recall"]["0.95"] == {
            "rate": point["rates"][0],
            "recall": 1.0,
            "above": True,
        }
    ratio = of_kind(lines, "ratio")["flat two"]
    assert ratio["rounds"] == 1
    assert (ratio["low"], ratio["high"]) == (None, None)  # one round tells no interval
    assert "single (50 calls)" in said


def test_an_index_kept_is_not_built_again(data: Path, tmp_path: Path) -> None:
    more = ["--only=saving", f"--cache={tmp_path / 'kept'}"]
    builds = [
        of_kind(once(data, tmp_path / f"{run}.jsonl", *more)[1], "contender")["saving"]["build"]
        for run in range(2)
    ]
    assert [build["from_cache"] for build in builds] == [False, True]
    for build in builds:
        assert build["index_bytes"] == 4000 * 16 * 4
        assert build["file_bytes"] == build["index_bytes"] + 128  # the header of a npy file
    assert builds[0]["seconds"] == builds[1]["seconds"]


def test_each_process_but_the_first_loads_what_the_first_built(data: Path, tmp_path: Path) -> None:
    (tmp_path / "noting.py").write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(ADAPTERS.parent)!r})\n"
        "from recall_adapters import Contender, Saving\n"
        "class Noting(Saving):\n"
        "    def note(self, what):\n"
        f"        with open({str(tmp_path / 'noted')!r}, 'a') as file:\n"
        "            print(what, os.getpid(), file=file)\n"
        "    def build(self, base, threads):\n"
        "        super().build(base, threads)\n"
        "        self.note('built')\n"
        "    def load(self, path):\n"
        "        super().load(path)\n"
        "        self.note('loaded')\n"
        "CONTENDERS = [Contender('noting', 'numpy', 'flat', Noting)]\n"
    )
    out = tmp_path / "results.jsonl"
    words = command(data, out, f"--adapters={tmp_path / 'noting.py'}", "--only=noting")
    words += ["--rounds=5", "--processes=3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    noted = [line.split() for line in (tmp_path / "noted").read_text().splitlines()]
    assert [what for what, _ in noted] == ["built", "loaded", "loaded"]
    assert len({process for _, process in noted}) == 3
    line = of_kind(read(out), "contender")["noting"]
    assert line["status"] == "ok"
    assert all(len(point["rates"]) == 5 for point in line["points"])


def test_whose_ratios_are_not_sure_gets_more_rounds(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    words = command(data, out, "--only=saving", "--only=moody", "--reference=saving")
    words += ["--rounds=4", "--processes=1", "--extra=4"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert f"4 rounds of {REPEATS} repeats, 4 rounds more where an interval is wide" in done.stdout
    assert "extra round 4 for 1 contenders" in done.stderr
    lines = read(out)
    assert lines[0]["settings"]["extra_rounds"] == 4
    line = of_kind(lines, "contender")["moody"]
    assert {len(p["rates"]) for p in [*line["points"], *line["beside"]]} == {8 * REPEATS}
    assert {ratio["rounds"] for ratio in lines if ratio["kind"] == "ratio"} == {8}


def test_the_adapter_that_the_manual_shows_works(data: Path, tmp_path: Path) -> None:
    manual = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```python\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.py").write_text(shown)
    (tmp_path / "my_library.py").write_text(
        "import numpy as np\n"
        "class Index:\n"
        "    def __init__(self, base, threads):\n"
        "        self.base = base\n"
        "    def search(self, queries, k, ef):\n"
        "        near = (self.base**2).sum(axis=1) - 2 * queries @ self.base.T\n"
        "        return np.argpartition(near, k, axis=1)[:, :k]\n"
    )
    package = tmp_path / "my_library-1.5.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-library\nVersion: 1.5\n")
    out = tmp_path / "results.jsonl"
    words = [sys.executable, "-m", "bench.recall", str(data), f"--json={out}"]
    words += [f"--adapters={tmp_path / 'mine.py'}", "--only=mine", "--rounds=1"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    line = of_kind(read(out), "contender")["mine"]
    assert (line["status"], line["version"]) == ("ok", "1.5")
    assert line["points"][0]["recall"] == 1.0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--only=nobody"], "no contender starts with"),
        (["--rounds=0"], "at least 1"),
        (["--extra=-1"], "--extra is at least 0"),
        (["--machine=/no/such/program"], "no such file: /no/such/program"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    data: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    words = command(data, tmp_path / "none.jsonl", *more)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "none.jsonl").exists()
