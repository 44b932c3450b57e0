"""vicinal as ann-benchmarks and VIBE would load it: every argument group, on real data."""

from __future__ import annotations

import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ann_project
import numpy as np
import numpy.typing as npt
import pytest
from bench.adapters import prepare

import vicinal
from vicinal.demo import load as load_demo
from vicinal.evaluate import ground_truth, recall_at_k

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = ROOT / "bench" / "adapters"
ANN, VIBE = ADAPTERS / "ann_benchmarks" / "vicinal", ADAPTERS / "vibe" / "vicinal"
ANN_CONFIG = yaml.safe_load((ANN / "config.yml").read_text())
VIBE_CONFIG = yaml.safe_load((VIBE / "config.yml").read_text())
ROWS, QUERIES, K = 2_000, 40, 10
METRICS = {
    "euclidean": "l2",
    "angular": "cosine",
    "cosine": "cosine",
    "normalized": "cosine",
    "ip": "ip",
}
ANN_RUNS = ann_project.runs_of_ann_benchmarks(ANN_CONFIG, "float", "angular")
VIBE_RUNS = ann_project.runs_of_vibe(VIBE_CONFIG, "float", "normalized")

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def base() -> Floats:
    return load_demo().vectors[:ROWS].astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> Floats:
    return load_demo().query_vectors[:QUERIES].astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("projects")
    with (
        ann_project.installed(ANN, "ann_benchmarks", folder / "one"),
        ann_project.installed(VIBE, "vibe", folder / "two"),
    ):
        yield


def found_by(algorithm: Any, queries: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Ask one query at a time; VIBE indexes the rows by the answer, so it must be whole numbers."""
    answers = [algorithm.query(query, k) for query in queries]
    assert all(isinstance(a, np.ndarray) and a.dtype.kind == "i" for a in answers)
    assert all(len(a) == len(set(a.tolist())) == k and a.min() >= 0 for a in answers)
    return np.stack(answers)


def check_every_group(
    run: ann_project.Run, base: npt.NDArray[Any], queries: npt.NDArray[Any], k: int
) -> None:
    """Recall rises with the last argument; the name tells every argument; batches agree."""
    before = base.copy()
    truth = ground_truth(base, queries, k, METRICS[run.arguments[0]]).ids
    algorithm = ann_project.construct(run)
    algorithm.fit(base)
    np.testing.assert_array_equal(base, before)
    recalls, names = [], set()
    for arguments in run.query_arguments:
        algorithm.set_query_arguments(*arguments)
        recalls.append(recall_at_k(found_by(algorithm, queries, k), truth))
        names.add(str(algorithm))
        for value in (*run.arguments[1:], *arguments):
            for part in value.values() if isinstance(value, dict) else [value]:
                assert f"{part}" in str(algorithm)
    assert len(names) == len(run.query_arguments)
    assert recalls[-1] >= recalls[0]
    # Of 2,000 rows the last ef keeps a large part, and what the codes lose float16 gives back:
    # every group measured 1.0 (or missed a tie).
    assert recalls[-1] > 0.99
    single = found_by(algorithm, queries, k)
    algorithm.batch_query(queries, k)
    np.testing.assert_array_equal(np.stack(list(algorithm.get_batch_results())), single)
    assert algorithm.get_memory_usage() > 0
    assert algorithm.get_additional()["index_bytes"] > ROWS * base.shape[1] * 2


@pytest.mark.parametrize("run", ANN_RUNS, ids=lambda run: str(run.arguments[1]))
def test_every_group_of_ann_benchmarks(run: ann_project.Run, base: Floats, queries: Floats) -> None:
    check_every_group(run, base, queries, K)


@pytest.mark.parametrize("run", VIBE_RUNS, ids=lambda run: str(run.arguments[1:]))
def test_every_group_of_vibe(run: ann_project.Run, base: Floats, queries: Floats) -> None:
    check_every_group(run, base, queries, 100)


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
def test_every_metric_of_ann_benchmarks(metric: str, base: Floats, queries: Floats) -> None:
    run = ann_project.runs_of_ann_benchmarks(ANN_CONFIG, "float", metric)[0]
    assert run.arguments[0] == metric
    lengths = np.linspace(1, 3, ROWS, dtype=np.float32)[:, None]
    check_every_group(run, base * lengths, queries, K)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
def test_every_metric_of_vibe(metric: str, base: Floats, queries: Floats) -> None:
    run = ann_project.runs_of_vibe(VIBE_CONFIG, "float", metric)[0]
    # Of wildly unequal lengths, products have no neighbourhoods that a graph could follow.
    lengths = np.linspace(1, 1.1, ROWS, dtype=np.float32)[:, None]
    check_every_group(run, base * lengths, queries, 100)


@pytest.mark.parametrize("point_type", ["uint8", "int8"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_whole_numbers_in_vibe(point_type: str, metric: str, base: Floats, queries: Floats) -> None:
    run = ann_project.runs_of_vibe(VIBE_CONFIG, point_type, metric)[0]
    shift = 128 if point_type == "uint8" else 0

    def whole(rows: Floats) -> npt.NDArray[Any]:
        return np.clip(np.rint(rows * 600) + shift, *_LIMITS[point_type]).astype(point_type)

    check_every_group(run, whole(base), whole(queries), 100)


_LIMITS = {"uint8": (0, 255), "int8": (-127, 127)}


def test_a_metric_that_is_not_there_is_refused() -> None:
    run = ann_project.runs_of_vibe(VIBE_CONFIG, "float", "hamming")[0]
    with pytest.raises(NotImplementedError, match="hamming"):
        ann_project.construct(run)


def test_rows_and_queries_of_zeros_are_survived(base: Floats, queries: Floats) -> None:
    """Some sets of ann-benchmarks have them, under angular distance."""
    run = ann_project.runs_of_ann_benchmarks(ANN_CONFIG, "float", "angular")[0]
    rows, asked = base[:200].copy(), queries[:4].copy()
    rows[[0, 17]] = 0
    asked[1] = 0
    algorithm = ann_project.construct(run)
    algorithm.fit(rows)
    algorithm.set_query_arguments(200)
    truth = ground_truth(rows[1:17], asked[[0, 2, 3]], 5, "cosine")
    assert truth.ids.shape == (3, 5)
    found = found_by(algorithm, asked, K)
    assert not np.isin([0, 17], found).any()
    algorithm.batch_query(asked, K)
    np.testing.assert_array_equal(np.stack(algorithm.get_batch_results()), found)
    algorithm.done()
    assert algorithm.index is None


def test_fewer_rows_than_asked_for_leave_no_gaps(base: Floats) -> None:
    for run in (ANN_RUNS[0], VIBE_RUNS[0]):
        algorithm = ann_project.construct(run)
        algorithm.fit(base[:5])
        algorithm.set_query_arguments(100)
        assert sorted(algorithm.query(base[9], 10).tolist()) == [0, 1, 2, 3, 4]
        algorithm.batch_query(base[9:11], 10)
        assert [sorted(ids.tolist()) for ids in algorithm.get_batch_results()] == [
            [0, 1, 2, 3, 4]
        ] * 2


def test_names_lead_where_the_projects_look() -> None:
    for runs, package, image in (
        (ANN_RUNS, "ann_benchmarks", "ann-benchmarks-vicinal"),
        (VIBE_RUNS, "vibe", "vicinal"),
    ):
        assert {run.module for run in runs} == {f"{package}.algorithms.vicinal"}
        assert {run.image for run in runs} == {image}
    assert len(VIBE_RUNS) < 20, "VIBE asks for fewer indexes than that"
    assert all(len(run.query_arguments) < 60 for run in VIBE_RUNS)
    arguments = [run.arguments for run in ANN_RUNS]
    assert all(a not in arguments[:i] for i, a in enumerate(arguments))


# --- containers -----------------------------------------------------------------------------------


def copies(recipe: Path) -> list[tuple[str, str]]:
    """What a recipe copies into its image, and where to."""
    text = recipe.read_text()
    if recipe.name == "Dockerfile":
        return [tuple(m) for m in re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE)]
    section = text.split("%files\n")[1].split("\n\n")[0]
    return [tuple(line.split()) for line in section.splitlines()]  # type: ignore[misc]


@pytest.fixture
def history() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no history here: an unpacked archive")


@pytest.mark.parametrize("project", prepare.PROJECTS, ids=lambda project: project.name)
def test_recipes_find_what_they_copy_and_build_this(
    project: prepare.Project, tmp_path: Path, history: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / project.adapter).parent.mkdir(parents=True)
    prepare.main([str(tmp_path)])
    said = capsys.readouterr().out
    recipe = next(path for path in (tmp_path / project.adapter).iterdir() if path.name in RECIPES)
    ((source, target),) = copies(recipe)
    # Where each project builds, seen from its checkout.
    context = tmp_path / RECIPES[recipe.name]
    assert f"pip install --no-cache-dir {target}" in recipe.read_text()
    with tarfile.open(context / source) as archive:
        names = archive.getnames()
        (top,) = {name.split("/")[0] for name in names if name != "pax_global_header"}
        version = archive.extractfile(f"{top}/cpp/include/vicinal/version.h")
        assert version is not None
        found = re.findall(rb'#define VICINAL_VERSION "([^"]+)"', version.read())
    assert [top] == [f"vicinal-{number.decode()}" for number in found]
    assert {f"{top}/pyproject.toml", f"{top}/CMakeLists.txt", f"{top}/LICENSE"} <= set(names)
    assert top in said.replace("vicinal ", "vicinal-", 1)
    for name in ("module.py", "config.yml"):
        copied = (tmp_path / project.adapter / name).read_bytes()
        assert copied == (ADAPTERS / project.name / "vicinal" / name).read_bytes()


#: Each recipe's name, and the folder of a checkout that its project builds in.
RECIPES = {"Dockerfile": ".", "image.def": "images"}


def test_recipes_say_what_they_start_from() -> None:
    assert (ANN / "Dockerfile").read_text().startswith("FROM ann-benchmarks\n")
    assert (VIBE / "image.def").read_text().startswith("Bootstrap: localimage\nFrom: base.sif\n")
    for recipe in (ANN / "Dockerfile", VIBE / "image.def"):
        code = re.findall(r"python -c ('.*')", recipe.read_text())
        assert len(code) == 1
        names: dict[str, Any] = {}
        exec(shlex.split(code[0])[0], names)
        assert names["vicinal"] is vicinal


def test_a_folder_of_neither_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="neither"):
        prepare.main([str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_a_revision_that_is_not_there_is_refused(tmp_path: Path, history: None) -> None:
    (tmp_path / "vibe" / "algorithms").mkdir(parents=True)
    with pytest.raises(SystemExit, match="nothing-like-this"):
        prepare.main([str(tmp_path), "--revision", "nothing-like-this"])
    assert not (tmp_path / "images").exists()


def test_the_archive_holds_what_git_knows(tmp_path: Path, history: None) -> None:
    (tmp_path / "vibe" / "algorithms").mkdir(parents=True)
    project, commit = prepare.prepare(tmp_path)
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", commit],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(tmp_path / project.archive) as archive:
        held = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    assert held == set(listed.stdout.splitlines())
