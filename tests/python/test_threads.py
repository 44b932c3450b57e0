"""Many callers at once, forks, Ctrl-C, and progress functions that stop or fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vicinal
from vicinal import cluster

DIM = 16
on_posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork are those of POSIX")


@pytest.fixture(params=["flat", "hnsw", "ivf"])
def empty(request: pytest.FixtureRequest) -> Any:
    """An empty index of every kind."""
    if request.param == "ivf":
        return vicinal.IVFIndex(DIM, refine="float32")
    if request.param == "flat":
        return vicinal.FlatIndex(DIM)
    return vicinal.HNSWIndex(DIM, codec="sq8", refine="float32")


def run_together(*tasks: Callable[[], None]) -> None:
    """Raise in the caller what any of them raised."""
    raised: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_searches_beside_changes(empty: Any, normal: Any, tmp_path: Path) -> None:
    rows = normal(3000, DIM)
    index = empty
    index.add(rows[:500])
    done = threading.Event()

    def change() -> None:
        try:
            for at in range(500, 3000, 250):
                index.add(rows[at : at + 250], threads=2)
                index.remove(np.arange(at, at + 50))
            index.save(tmp_path / "index")
        finally:
            done.set()

    def search() -> None:
        while True:  # once at least, also where the changes were quicker
            last = done.is_set()
            got = index.search(rows[:100], 3, threads=2)
            # The first 500 stay throughout: each finds itself, whatever else comes and goes.
            assert np.array_equal(got.ids[:, 0], np.arange(100))
            assert (np.diff(got.distances, axis=1) >= 0).all()
            assert len(index) <= 3000
            assert index.memory().total > 0
            if last:
                return

    run_together(change, search, search)
    assert len(index) == 500 + 10 * 200
    assert len(vicinal.open(tmp_path / "index")) == len(index)
    gone = np.concatenate([np.arange(at, at + 50) for at in range(500, 3000, 250)])
    assert not np.isin(index.search(rows, 1).ids, gone).any()


def test_two_writers_take_turns(empty: Any, normal: Any) -> None:
    rows = normal(400, DIM)
    index = empty

    def adder(first: int) -> Callable[[], None]:
        def add() -> None:
            for at in range(first, first + 200, 20):
                index.add(rows[at : at + 20], ids=np.arange(at, at + 20))

        return add

    run_together(adder(0), adder(200))
    assert sorted(index.ids.tolist()) == list(range(400))
    assert np.array_equal(index.search(rows, 1).ids[:, 0], np.arange(400))


def test_other_threads_run_during_a_search(normal: Any) -> None:
    rows = normal(20_000, 64)
    index = vicinal.FlatIndex(64)
    index.add(rows)
    started, ticks, done = threading.Event(), 0, threading.Event()

    def work() -> None:
        started.set()
        index.search(rows[:3000], 10, threads=1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not done.is_set():
        ticks += 1
        done.wait(0.001)
    thread.join()
    # The search takes tens of milliseconds; with the GIL held this thread would not tick at all.
    assert ticks >= 3


@on_posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_can_search(empty: Any, normal: Any) -> None:
    rows = normal(2000, DIM)
    index = empty
    index.add(rows, threads=2)
    want = index.search(rows[:200], 5, threads=2).ids
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(60)  # a child that waits for threads it does not have ends here
            same = np.array_equal(index.search(rows[:200], 5, threads=2).ids, want)
            index.add(rows[:100], threads=2)
            status = 0 if same and len(index) == 2100 else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(index) == 2000
    assert np.array_equal(index.search(rows[:200], 5, threads=2).ids, want)


def many(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Enough queries that the search outlasts the tenth of a second between two reports."""
    return np.tile(rows, (50, 1))


def test_progress_tells_how_far(empty: Any, normal: Any, tmp_path: Path) -> None:
    rows = normal(3000, DIM)
    index = empty
    told: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        assert isinstance(stage, str)
        assert 0 <= done <= total
        told.append((stage, done, total))

    index.add(rows, progress=note)
    assert told
    assert told[-1][1] == told[-1][2]
    for stage in {stage for stage, _, _ in told}:
        steps = [done for name, done, _ in told if name == stage]
        assert steps == sorted(steps)
    told.clear()
    index.save(tmp_path / "index", progress=note)
    assert told[-1][1] == told[-1][2]
    told.clear()
    vicinal.verify(tmp_path / "index", progress=note)
    assert told[-1][1] == told[-1][2]
    told.clear()
    index.search(many(rows), 5, progress=note)
    assert told


def test_ids_are_found_while_rows_are_added(empty: Any, normal: Any) -> None:
    rows = normal(3000, DIM)
    index = empty
    index.add(rows[:1000], ids=np.arange(1000) + 7)
    told: list[bool] = []

    def ask(*_: object) -> None:
        told.append(7 in index and 6 not in index and len(index.get(1006)) == DIM)

    index.add(rows[1000:], progress=ask)
    assert told
    assert all(told)
    assert 3006 in index


@pytest.mark.parametrize("codec", ["float32", "rabitq2", "pq4x4", "sq8"])
def test_a_search_may_search(codec: str, normal: Any) -> None:
    rows = normal(500, DIM)
    index = vicinal.FlatIndex(DIM, codec=codec)
    index.add(rows)
    asked = []

    def ask(*_: object) -> None:
        asked.append(index.search(rows[7], k=1))

    want = index.search(rows[:3], k=5)
    got = index.search(rows[:3], k=5, progress=ask)
    assert asked
    np.testing.assert_array_equal(got.ids, want.ids)
    np.testing.assert_array_equal(got.distances, want.distances)


def test_a_search_of_bits_may_search() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (20_000, 128), np.uint8)
    index = vicinal.BinaryIndex(1024)
    index.add(rows)
    want = index.search(rows[:3], k=5)
    got = index.search(rows[:3], k=5, progress=lambda *_: index.search(rows[7], k=1))
    np.testing.assert_array_equal(got.ids, want.ids)


def test_the_number_of_threads_may_change_meanwhile(empty: Any, normal: Any) -> None:
    rows = normal(6000, DIM)

    def more(*_: object) -> None:
        vicinal.set_default_threads(16)

    vicinal.set_default_threads(1)
    try:
        empty.add(rows, progress=more)
        vicinal.set_default_threads(1)
        found = empty.search(many(rows), 1, progress=more)
        vicinal.set_default_threads(1)
        cluster.kmeans(rows, 200, progress=more)
    finally:
        vicinal.set_default_threads(None)
    assert found.ids.shape == (len(many(rows)), 1)
    assert len(empty) == len(rows)


def test_progress_may_stop(empty: Any, normal: Any, tmp_path: Path) -> None:
    rows = normal(3000, DIM)
    index = empty
    with pytest.raises(vicinal.CancelledError):
        index.add(rows, progress=lambda *_: False)
    kept = len(index)
    assert kept < 3000
    assert len(index.ids) == kept
    index.add(rows, ids=np.arange(10_000, 13_000))
    with pytest.raises(vicinal.CancelledError):
        index.search(many(rows), 5, progress=lambda *_: False)
    (tmp_path / "index").write_bytes(b"old")
    with pytest.raises(vicinal.CancelledError):
        index.save(tmp_path / "index", progress=lambda *_: False)
    assert (tmp_path / "index").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["index"]
    assert index.search(rows[:50], 1).counts.tolist() == [1] * 50


class OddError(Exception):
    """Nobody else raises this."""


def test_what_progress_raises_comes_out(empty: Any, normal: Any, tmp_path: Path) -> None:
    rows = normal(3000, DIM)

    def fail(stage: str, done: int, total: int) -> None:
        raise OddError(stage)

    with pytest.raises(OddError):
        empty.add(rows, progress=fail)
    index = empty
    index.add(rows, ids=np.arange(10_000, 13_000))
    for call in (
        lambda: index.search(many(rows), 5, progress=fail),
        lambda: index.save(tmp_path / "index", progress=fail),
    ):
        with pytest.raises(OddError):
            call()
    assert not list(tmp_path.iterdir())


INTERRUPTED = """
    import signal, sys, threading, time
    import numpy as np
    import vicinal

    rows = np.random.default_rng(0).standard_normal((400_000, 32), dtype=np.float32)
    {prepare}
    print("ready", flush=True)
    begin = time.perf_counter()
    try:
        {work}
    except KeyboardInterrupt:
        assert vicinal.FlatIndex(4).search(np.zeros(4)).counts.tolist() == [0]
        print("interrupted", {after}, flush=True)
    else:
        print("went on to the end", flush=True)
"""
WORK = {
    "building a graph": (
        "index = vicinal.HNSWIndex(32)",
        "index.add(rows)",
        "len(index) < 400_000 and len(index.ids) == len(index)",
    ),
    "a batch of searches": (
        "index = vicinal.FlatIndex(32); index.add(rows)",
        "index.search(rows, 10)",
        "len(index) == 400_000",
    ),
    "build()": ("index = None", "vicinal.build(rows)", "True"),
    "choosing medoids": (
        "from vicinal.cluster import kmedoids",
        "kmedoids(rows, 300, method='fasterpam')",
        "True",
    ),
}


@on_posix
@pytest.mark.parametrize("what", WORK)
def test_ctrl_c_stops(what: str) -> None:
    prepare, work, after = WORK[what]
    script = textwrap.dedent(INTERRUPTED).format(prepare=prepare, work=work, after=after)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)  # each of them takes many seconds
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert out.split() == ["interrupted", "True"], err
    assert child.returncode == 0


def test_a_bad_number_of_threads_in_the_environment() -> None:
    for value, said in (("3", "3"), ("", None), ("many", "ConfigError"), ("0", "ConfigError")):
        done = subprocess.run(
            [sys.executable, "-c", "import vicinal; print(vicinal.default_threads())"],
            env={**os.environ, "VICINAL_THREADS": value},
            capture_output=True,
            text=True,
            check=False,
        )
        if said is None:
            assert int(done.stdout) >= 1
        elif said == "ConfigError":
            assert "VICINAL_THREADS must be a whole number from 1 to 1024" in done.stderr
        else:
            assert done.stdout.strip() == said


def test_a_level_that_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import vicinal; vicinal.cpu_info()"],
        env={**os.environ, "VICINAL_ISA": "mmx"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ConfigError" in done.stderr
    assert "mmx" in done.stderr


def test_cpu_info() -> None:
    about = vicinal.cpu_info()
    assert about.active in about.available
    assert "scalar" in about.available
    assert about.forced == bool(os.environ.get("VICINAL_ISA"))
    assert about.active in str(about)
