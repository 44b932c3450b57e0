"""What bench/compare runs and reads: Google Benchmark, callgrind, CMake."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from bench.comparison import builds, instructions, kernels
from bench.comparison.errors import CompareError

BENCHMARK_JSON = """{
  "context": {"date": "2026-01-01T00:00:00+00:00", "num_cpus": 2, "library_build_type": "release"},
  "benchmarks": [
    {"name": "block/f32/128/l2/cache/avx2", "run_type": "iteration", "iterations": 4096,
     "real_time": 9.0e+02, "cpu_time": 8.5e+02, "time_unit": "ns", "items_per_second": 3.7e+07},
    {"name": "block/f32/128/l2/cache/avx2", "run_type": "iteration", "iterations": 4096,
     "real_time": 9.5e+02, "cpu_time": 8.8e+02, "time_unit": "ns", "repetition_index": 1},
    {"name": "below/1%/scalar", "run_type": "iteration", "iterations": 10,
     "real_time": 2.0, "cpu_time": 1.5, "time_unit": "us"},
    {"name": "tile/128/memory/avx2", "run_type": "iteration", "iterations": 1,
     "real_time": 70.0, "cpu_time": 60.0, "time_unit": "ms"},
    {"name": "tile/128/memory/avx2_mean", "run_type": "aggregate", "aggregate_name": "mean",
     "iterations": 3, "real_time": 7.0, "cpu_time": 6.0, "time_unit": "s"}
  ]
}"""

CALLGRIND = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 1
cmd:  ./vicinal_count
part: 1

desc: I1 cache:
desc: Timerange: Basic block 0 - 332228
desc: Trigger: --dump-after=vicinal_counted

positions: line
events: {events}
summary: {totals}

ob=(8) /somewhere/vicinal_count
fn=(1164) kernel
0 16394
calls=1 242
0 6

totals: {totals}
"""


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_benchmark_times_are_the_best_processor_seconds_without_summaries():
    assert kernels.parse(BENCHMARK_JSON) == pytest.approx(
        {
            "block/f32/128/l2/cache/avx2": 8.5e-7,
            "below/1%/scalar": 1.5e-6,
            "tile/128/memory/avx2": 0.06,
        }
    )


def test_a_benchmark_that_failed_is_an_error():
    broken = BENCHMARK_JSON.replace(
        '"iterations": 10', '"iterations": 0, "error_occurred": true, "error_message": "no rows"'
    )
    with pytest.raises(CompareError, match="below/1%/scalar: no rows"):
        kernels.parse(broken)


def test_default_choice_is_what_is_quick_and_steady():
    known = ["block/f32/128/l2/cache/avx2", "block/f32/128/l2/cache/scalar", "below/0%/avx512"]
    known += ["block/f32/128/l2/memory/avx2", "ids/f32/128/l2/cache/scalar/ahead:0"]
    assert kernels.chosen(known, None) == [known[0], known[2]]
    assert kernels.chosen(known[1:2], None) == known[1:2]  # no vector level: the portable one
    assert kernels.chosen(known, "^block.*memory") == [known[3]]
    assert kernels.chosen(known, "nothing") == []


def test_the_filter_names_exactly_what_is_wanted(tmp_path):
    fake = program(
        tmp_path / "bench",
        "import json, re\n"
        "known = ['a/1', 'a/12', 'b(x)+', 'below/1%']\n"
        "options = dict(word.split('=', 1) for word in sys.argv[1:])\n"
        "found = [n for n in known if re.search(options['--benchmark_filter'], n)]\n"
        "rows = [{'name': n, 'cpu_time': 2, 'time_unit': 'ns'} for n in found]\n"
        "open(options['--benchmark_out'], 'w').write(json.dumps({'benchmarks': rows}))",
    )
    wanted = ["a/1", "b(x)+", "below/1%"]
    assert kernels.seconds(fake, wanted) == dict.fromkeys(wanted, pytest.approx(2e-9))
    with pytest.raises(CompareError, match="did not run 1 benchmarks, first c"):
        kernels.seconds(fake, ["a/1", "c"])


def test_a_program_that_crashes_shows_its_last_words(tmp_path):
    fake = program(tmp_path / "bench", "sys.exit('no such level')")
    with pytest.raises(CompareError, match="exit status 1") as error:
        kernels.names(fake)
    assert error.value.details == "no such level"


def test_callgrind_totals():
    assert instructions.parse(CALLGRIND.format(events="Ir", totals="16400")) == 16400
    assert instructions.parse(CALLGRIND.format(events="Dr Ir Dw", totals="7 16400 9")) == 16400


@pytest.mark.parametrize("text", ["", "events: Ir\n", CALLGRIND.format(events="Dr", totals="1")])
def test_what_is_not_a_callgrind_count_is_an_error(text):
    with pytest.raises(CompareError, match="not a callgrind file"):
        instructions.parse(text)


def fake_valgrind(folder: Path, dumps: int) -> None:
    program(
        folder / "valgrind",
        "text = " + repr(CALLGRIND.format(events="Ir", totals="@")) + "\n"
        "out = next(w for w in sys.argv if w.startswith('--callgrind-out-file=')).split('=')[1]\n"
        f"for part in range(1, {dumps} + 1):\n"
        "    open(f'{out}.{part}', 'w').write(text.replace('@', str(1000 * part)))\n"
        "print('first\\nsecond\\nthird')",
    )


def test_dumps_belong_to_cases_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    fake_valgrind(tmp_path, dumps=3)
    counted = instructions.count(tmp_path / "any")
    assert counted == {"first": 1000, "second": 2000, "third": 3000}
    assert list(counted) == ["first", "second", "third"]
    fake_valgrind(tmp_path, dumps=2)
    with pytest.raises(CompareError, match="fewer dumps than the 3 cases"):
        instructions.count(tmp_path / "any")


def test_instruction_counts_above_half_a_percent_moved():
    base = {"a": 1000, "b": 1000, "c": 1000, "d": 1000, "e": 1000, "gone": 5}
    again = {**base, "e": 1001}
    head = {"a": 1005, "b": 1006, "c": 990, "d": 1000, "e": 2000, "new": 5}
    counts, unsteady = instructions.compare(base, again, head)
    assert unsteady == ["e"]
    assert [(c.name, c.moved, c.slower) for c in counts] == [
        ("a", False, False),
        ("b", True, True),
        ("c", True, False),
        ("d", False, False),
    ]


def test_without_valgrind_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valgrind is not installed" in (builds.lacking("instructions") or "")
    assert builds.lacking("kernels") is None


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "kept" / "0123456789ab" / "source"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_a_revision_that_cannot_be_configured(tmp_path, source, monkeypatch):
    monkeypatch.setattr(builds, "PROJECT", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(broken LANGUAGES NONE)\n"
        'message(FATAL_ERROR "this revision is broken")\n'
    )
    with pytest.raises(CompareError, match=r"HEAD cannot be configured; see .*log") as error:
        builds.configure("HEAD", source, ["kernels"])
    assert "this revision is broken" in error.value.details


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_a_revision_that_does_not_compile(tmp_path, source, monkeypatch):
    monkeypatch.setattr(builds, "PROJECT", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(broken LANGUAGES NONE)\n"
        "add_custom_target(vicinal_kernels_bench COMMAND ${CMAKE_COMMAND} -E cat nosuch.cpp)\n"
    )
    build = builds.configure("BASE", source, ["kernels"])
    with pytest.raises(CompareError, match=r"BASE cannot be built \(vicinal_kernels") as error:
        builds.make(build, source, "kernels", 1)
    assert "nosuch.cpp" in error.value.details
    assert build.folder.parent == source.parent
