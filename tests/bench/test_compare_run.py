"""The whole of bench/compare, on a repository whose programs take as long as a file says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.comparison import __main__ as command
from bench.comparison import builds

ROOT = Path(__file__).resolve().parents[2]

# Stands in for a Google Benchmark program: a time for each name, and 1% of noise.
PROGRAM = """#!{python} -IS
import json, random, re, sys
times = {times}
options = dict(word.split("=", 1) for word in sys.argv[1:])
if "--benchmark_list_tests" in options:
    print(*times, sep="\\n")
    sys.exit()
found = [n for n in times if re.search(options["--benchmark_filter"], n)]
rows = [
    {{"name": n, "cpu_time": times[n] * random.gauss(1, 0.01), "time_unit": "ns"}} for n in found
]
with open(options["--benchmark_out"], "w") as file:
    json.dump({{"benchmarks": rows}}, file)
"""
PROJECT = """cmake_minimum_required(VERSION 3.21)
project(stand_in LANGUAGES NONE)
configure_file(${VICINAL_SOURCE}/program.py ${CMAKE_BINARY_DIR}/bin/vicinal_kernels_bench
  FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE COPYONLY)
add_custom_target(vicinal_kernels_bench)
"""
SAME = {f"block/{number}/cache/avx2": 100.0 for number in range(3)}

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Commits times; the last is the working tree's."""
    root, project = tmp_path / "checkout", tmp_path / "project"
    root.mkdir()
    project.mkdir()
    (project / "CMakeLists.txt").write_text(PROJECT)
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setattr(builds, "PROJECT", project)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)

    def write(times: dict[str, float], commit: bool = True) -> None:
        (root / "program.py").write_text(PROGRAM.format(python=sys.executable, times=times))
        if commit:
            who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
            subprocess.run(["git", "add", "."], cwd=root, check=True)
            subprocess.run(["git", *who, "commit", "-qm", "Change"], cwd=root, check=True)

    return write


@pytest.fixture
def run(tmp_path, capfd):
    def call(*words: str) -> tuple[int, str, str]:
        more = ["--folder", str(tmp_path / "kept"), "--only", "kernels", "--rounds", "7"]
        code = command.main([*more, *words])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_a_revision_against_itself_moves_nothing(repository, run):
    repository(SAME)
    code, out, _ = run("HEAD", "HEAD", "--fail-on-slower")
    assert code == 0
    assert "3 benchmarks, 7 rounds" in out
    assert "nothing moved beyond noise" in out
    assert "The same files" in out


def test_a_slower_benchmark_is_named_and_others_are_not(repository, run, tmp_path):
    repository({**SAME, "tile/cache/avx2": 100.0, "old/cache/avx2": 1.0})
    repository({**SAME, "tile/cache/avx2": 110.0, "new/cache/avx2": 1.0}, commit=False)
    record = tmp_path / "record.jsonl"
    code, out, _ = run("HEAD", "--json", str(record))
    assert code == 0  # it measures, it does not judge
    (line,) = [line for line in out.splitlines() if "SLOWER" in line]
    assert "tile/cache/avx2" in line
    assert "1 of 4 moved beyond noise" in out
    assert "1 only in BASE, not compared: old/cache/avx2" in out
    assert "1 only in HEAD, not compared: new/cache/avx2" in out
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert lines[0]["kind"] == "run"
    assert lines[0]["head"]["title"].startswith("working tree")
    assert {line["run"] for line in lines} == {lines[0]["run"]}
    timings = {line["name"]: line for line in lines if line["kind"] == "timing"}
    assert len(timings) == 4
    assert [name for name, line in timings.items() if line["moved"]] == ["tile/cache/avx2"]
    assert timings["tile/cache/avx2"]["change"] == pytest.approx(0.1, abs=0.02)
    assert run("HEAD", ".", "--fail-on-slower")[0] == 1
    assert run("HEAD", ".", "--fail-on-slower", "--kernels", "block")[0] == 0


def test_a_faster_one_is_no_reason_to_fail(repository, run):
    repository({"tile/cache/avx2": 100.0})
    repository({"tile/cache/avx2": 80.0})
    code, out, _ = run("HEAD~1", "HEAD", "--fail-on-slower")
    assert code == 0
    assert "faster  tile/cache/avx2" in out
    assert "SLOWER" not in out


def test_too_few_rounds_are_said_to_tell_nothing(repository, run):
    repository(SAME)
    code, out, _ = run("HEAD", "HEAD", "--rounds", "2")
    assert code == 0
    assert "2 rounds cannot tell 3 benchmarks from noise: --rounds 5 or more" in out


def test_errors_end_with_status_2(repository, run, tmp_path):
    repository(SAME)
    code, _, err = run("nosuch", "HEAD")
    assert code == 2
    assert err.strip().endswith(f"bench/compare: 'nosuch' is no revision of {tmp_path}/checkout")
    (tmp_path / "project" / "CMakeLists.txt").write_text("nonsense(")
    code, _, err = run("HEAD", "HEAD")
    assert code == 2
    assert "bench/compare: BASE cannot be configured; see " in err
    assert "Parse error" in err


def test_ctrl_c_leaves_the_checkout_alone(repository, run, monkeypatch, tmp_path):
    def interrupted(*_: object, **__: object) -> dict[str, float]:
        raise KeyboardInterrupt

    repository(SAME)
    monkeypatch.setattr(command.kernels, "seconds", interrupted)
    code, _, err = run("HEAD", "HEAD")
    assert code == 130
    assert "interrupted" in err
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path / "checkout", capture_output=True, text=True
    )
    assert len(listed.stdout.splitlines()) == 1
    (built,) = (p for p in (tmp_path / "kept").iterdir() if p.name != "objects")
    assert not [p.name for p in built.iterdir() if p.name.startswith("part-")]


def test_the_command_of_the_manual_runs():
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "compare"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: bench/compare")
    assert (ROOT / "bench" / "compare").stat().st_mode & 0o111
