"""Run by a clean environment that holds nothing but the installed wheel and what it requires.

Exits with an assertion if the package came from anywhere else, or does not search, save and open.
"""

import pathlib
import subprocess
import sys
import sysconfig
import tempfile

import numpy as np

import vicinal


def check_origin() -> None:
    here = pathlib.Path(vicinal.__file__).resolve()
    site = pathlib.Path(sysconfig.get_path("platlib")).resolve()
    assert site in here.parents, f"vicinal came from {here}, not from the wheel in {site}"
    assert (here.parent / "py.typed").is_file(), "the wheel lacks py.typed"
    assert (here.parent / "_core.pyi").is_file(), "the wheel lacks the stub of its extension"
    strays = [p for p in here.parent.rglob("*") if p.suffix in {".cpp", ".h", ".a", ".cmake"}]
    assert not strays, f"the wheel carries C++ files: {strays}"


def check_search() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2000, 32), dtype=np.float32)
    queries = rng.standard_normal((20, 32), dtype=np.float32)
    squared = ((queries[:, None, :].astype(float) - rows[None, :, :]) ** 2).sum(axis=2)
    want = np.argsort(squared, axis=1, kind="stable")[:, :10]

    flat = vicinal.FlatIndex(dim=32, metric="l2")
    flat.add(rows)
    assert np.array_equal(flat.search(queries, k=10).ids, want), "exact search is not exact"

    graph = vicinal.HNSWIndex(dim=32, metric="l2")
    graph.add(rows)
    got = graph.search(queries, k=10, ef=400).ids
    # ef is a fifth of the rows.
    found = sum(len(set(a) & set(b)) for a, b in zip(got.tolist(), want.tolist(), strict=True))
    assert found >= 198, f"the graph found {found} of 200 neighbours"

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "smoke.vicinal"
        graph.save(path)
        again = vicinal.open(path).search(queries, k=10, ef=400).ids
        assert np.array_equal(again, got), "the reopened index answers differently"


def check_command_line() -> None:
    command = pathlib.Path(sys.executable).with_name("vicinal")
    if sys.platform == "win32":
        command = command.with_suffix(".exe")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert vicinal.__version__ in said, f"vicinal --version says {said!r}"


if __name__ == "__main__":
    check_origin()
    check_search()
    if "--no-command" not in sys.argv:
        check_command_line()
    print(f"vicinal {vicinal.__version__} from its wheel: ok, level {vicinal.cpu_info().active}")
