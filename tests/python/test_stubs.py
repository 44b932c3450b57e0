"""Types, names and docstrings: what editors and readers go by."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vicinal

PACKAGE = Path(vicinal.__file__).parent
CLASSES = ("BinaryIndex", "FlatIndex", "HnswIndex", "IvfIndex", "Transform", "VectorCodec")


def run_mypy(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Where the package is not installed, mypy is told where it lies."""
    environment = dict(os.environ)
    if "site-packages" not in PACKAGE.parts:
        environment["MYPYPATH"] = str(PACKAGE.parent)
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_stub_matches_the_extension(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    # The metaclass of the classes is pybind11's own; their members are compared all the same.
    (tmp_path / "allowed").write_text("".join(f"vicinal._core.{c}\n" for c in CLASSES))
    done = run_mypy(
        "mypy.stubtest", "vicinal._core", "--concise", "--allowlist=allowed", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_names_every_argument_of_the_extension() -> None:
    """The extension tells its signatures in docstrings only, which stubtest does not read."""
    stub = (PACKAGE / "_core.pyi").read_text()
    core = vicinal._core
    for cls in (getattr(core, name) for name in CLASSES):
        body = re.split(r"\nclass ", stub.split(f"\nclass {cls.__name__}")[1])[0]
        for name, member in vars(cls).items():
            if name.startswith("_") and name != "__init__":
                continue
            if isinstance(member, property):
                assert f"@property\n    def {name}(self)" in body, name
                continue
            said = (getattr(cls, name).__doc__ or "").splitlines()[0]
            got = re.findall(r"(\w+):", said.split("(", 1)[1].rsplit(")", 1)[0])
            found = re.search(rf"def {name}\((.*?)\) ->", body, re.DOTALL)
            assert found is not None, f"{cls.__name__}.{name} is not in the stub"
            want = re.findall(r"(\w+):", found[1])
            if want == ["args", "kwargs"]:  # made by a function alone: the constructor refuses
                want = []
            assert [n for n in got if n != "self"] == want, f"{cls.__name__}.{name}"


GOOD = """
import numpy as np
import vicinal
from vicinal import HNSWIndex, SQ8

index = HNSWIndex(dim=3, metric="ip", codec=SQ8(), refine="float16")
index.add([[1, 2, 3]], ids=range(1))
hits = index.search(np.zeros(3), k=2, allow=np.array([True]))
ids, distances = hits
reveal_type(hits.ids)
reveal_type(index.memory().total)
reveal_type(vicinal.open("x"))
report = vicinal.build(np.zeros((4, 2)), "cosine", progress=lambda s, d, t: None).report
reveal_type(report)
"""
BAD = """
import vicinal
vicinal.HNSWIndex(3, links="many")
vicinal.FlatIndex(3).search([1.0], ef=3)
vicinal.open("x", "w")
"""


def test_types_as_users_see_them(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    done = run_mypy("mypy", "--strict", "good.py", "bad.py", cwd=tmp_path)
    notes = [line for line in done.stdout.splitlines() if line.startswith("good.py")]
    assert all(": note:" in line for line in notes), done.stdout
    revealed = [line.split("Revealed type is ")[1] for line in notes]
    for got, want in zip(
        revealed,
        ("ndarray.*signedinteger", r"\bint\b", "FlatIndex.*HNSWIndex", "BuildReport.*None"),
        strict=True,
    ):
        assert re.search(want, got), got
    errors = [line for line in done.stdout.splitlines() if line.startswith("bad.py")]
    assert [int(line.split(":")[1]) for line in errors if ": error:" in line] == [3, 4, 5]
    assert (PACKAGE / "py.typed").is_file()


def test_all_is_exact() -> None:
    public = {
        name
        for name, value in vars(vicinal).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    } - {"annotations"}
    assert public | {"__version__"} == set(vicinal.__all__)
    assert len(vicinal.__all__) == len(set(vicinal.__all__))
    header = PACKAGE.parents[1] / "cpp" / "include" / "vicinal" / "version.h"
    if header.is_file():
        assert f'"{vicinal.__version__}"' in header.read_text()


def public_callables() -> Iterator[tuple[str, Any]]:
    for name in vicinal.__all__:
        value = getattr(vicinal, name)
        if inspect.isclass(value):
            yield name, value
            for method, member in inspect.getmembers(value, inspect.isroutine):
                owner = getattr(member, "__module__", None) or ""
                if not method.startswith("_") and owner.startswith("vicinal"):
                    yield f"{name}.{method}", member
        elif callable(value):
            yield name, value


@pytest.mark.parametrize(("name", "value"), list(public_callables()))
def test_every_public_name_is_described(name: str, value: Any) -> None:
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    if inspect.isclass(value) or not inspect.isfunction(value):
        return
    parameters = [p for p in inspect.signature(value).parameters if p != "self"]
    section = text.split("Parameters\n---")[1] if "Parameters\n---" in text else ""
    if name.endswith((".to_dict", ".from_dict", ".from_params")):
        return
    for parameter in parameters:
        assert re.search(rf"^\s*([\w, ]*\b)?{parameter}\b[\w, ]*( :|$)", section, re.MULTILINE), (
            f"{name} does not describe {parameter}"
        )
