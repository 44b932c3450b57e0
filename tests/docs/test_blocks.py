"""Runs the code that the documentation shows, page by page, in a folder with the files it names."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import vicinal
import vicinal.io

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """Line, language and text of each block that is meant to be run."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language, code = match.groups()
        if language == "python" or code.startswith("vicinal "):
            found.append((text[: match.start()].count("\n") + 2, language, code))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a reader: the first rows of the demo's definitions, and words to look up."""
    data = Path(vicinal.__file__).parent / "data" / "wordnet-10k.npz"
    with np.load(data) as demo:
        base, queries = demo["base"][:3000], demo["queries"][:200]
    for name in ("embeddings.npy", "vectors.npy"):
        np.save(tmp_path / name, base)
    np.save(tmp_path / "queries.npy", queries)
    ids = np.arange(len(base), dtype=np.int64) * 7 % 100_003
    vicinal.io.write_table(
        tmp_path / "embeddings.parquet", base.astype(np.float32), key="embedding", ids=ids
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda p: p.name)
def test_code_on_page_runs(page: Path, folder: Path) -> None:
    names: dict[str, object] = {"__name__": page.stem}
    scripts = sysconfig.get_path("scripts")
    env = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    for line, language, code in blocks(page):
        if language == "python":
            # Blank lines before it make a traceback point at the line on the page.
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
        else:
            for command in code.splitlines():
                done = subprocess.run(
                    command, shell=True, cwd=folder, env=env, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}{done.stderr}"
                assert done.stdout.strip(), f"{page.name}: {command} printed nothing"


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(index.split("```{toctree}")[1].split("```")[0].split())
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= listed, f"not in the table of contents: {sorted(pages - listed)}"


def test_links_between_files_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_commands_are_marked_for_ci() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("demo", "tests"):
        found = re.findall(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", readme)
        assert len(found) == 1, f"README must show the {name} command once, on one line"
