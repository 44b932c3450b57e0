"""Runs the examples in the docstrings of the installed package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import vicinal

FOUND = [found.name for found in pkgutil.walk_packages(vicinal.__path__, "vicinal.")]
MODULES = ["vicinal", *(name for name in FOUND if not name.endswith(("__main__", "._core")))]


def examples(name: str) -> list[doctest.DocTest]:
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for test in examples(name):
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_the_main_classes_have_examples() -> None:
    with_examples = {test.name for name in MODULES for test in examples(name)}
    for wanted in (
        "vicinal",
        "vicinal.flat.FlatIndex",
        "vicinal.hnsw.HNSWIndex",
        "vicinal.ivf.IVFIndex",
    ):
        assert wanted in with_examples, f"{wanted} shows no example"
