"""What README and docs/ say was measured: from the results kept here, and by a named command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "bench" / "results").glob("*.jsonl"))
PUBLISHED = [ROOT / "README.md", ROOT / "docs" / "performance.md"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What a column of measurements is called; a table of bytes in a file format is none.
MEASURED = re.compile(
    r"q/s|queries/s|\b(ratio|recall|build s|seconds|MB|MiB|GB/s|GFLOP/s|ms|ns)\b|×|%"
)
COMMAND = re.compile(r"`[^`\n]*\b(python3? -m bench\.|vicinal (bench|eval|demo)|vicinal_machine)")
FENCED_COMMAND = re.compile(
    r"^```bash\n(?:.*\n)*?.*\b(python3? -m bench\.|vicinal (bench|eval|demo)|vicinal_machine)", re.M
)
TABLE = re.compile(r"(?:^\|.*\|[ \t]*\n)+", re.M)
FENCE = re.compile(r"^```(?:text|console)?\n(.*?)^```$", re.M | re.S)


def generated(page: Path) -> str:
    """What stands between the markers of a page; empty if nothing does."""
    match = re.search(
        r"^<!-- results -->\n(.*?)^<!-- /results -->$",
        page.read_text(encoding="utf-8"),
        re.M | re.S,
    )
    return match.group(1) if match else ""


def test_published_numbers_are_those_of_the_results() -> None:
    if not RESULTS:
        written = [page.name for page in PUBLISHED if tables(generated(page))]
        assert not written, f"{written} show results, but bench/results holds none"
        return
    names = [path.relative_to(ROOT).as_posix() for path in RESULTS]
    done = subprocess.run(
        [sys.executable, "-m", "bench.publish", "--check", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr}\npython -m bench.publish would mend it"
    )


@pytest.mark.parametrize("page", PUBLISHED, ids=lambda page: page.name)
def test_published_section_shows_tables_and_their_command(page: Path) -> None:
    inside = generated(page)
    assert bool(tables(inside)) == bool(RESULTS), "results without a table, or a table without any"
    if RESULTS:
        names = " ".join(path.relative_to(ROOT).as_posix() for path in RESULTS)
        assert f"python -m bench.publish {names}" in inside
        assert "python -m bench.recall" in inside


def tables(text: str) -> list[str]:
    """Tables of measurements: a heading that names a measured quantity, digits below it."""
    found = [match.group(0) for match in TABLE.finditer(text)]
    found += [match.group(1) for match in FENCE.finditer(text)]
    return [
        table
        for table in found
        if MEASURED.search(table.partition("\n")[0]) and re.search(r"\d", table.partition("\n")[2])
    ]


def sections(text: str) -> list[str]:
    """A text cut at its headings of the first two levels, outside of fences."""
    parts: list[list[str]] = [[]]
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"##? ", line):
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) + "\n" for part in parts]


def unexplained(text: str) -> list[str]:
    """The first lines of tables of measurements in sections that name no command."""
    return [
        table.partition("\n")[0]
        for part in sections(text)
        if not (COMMAND.search(part) or FENCED_COMMAND.search(part))
        for table in tables(part)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_of_measurements_names_its_command(page: Path) -> None:
    found = unexplained(page.read_text(encoding="utf-8"))
    assert found == [], f"{page.name}: no command prints these tables"


def test_a_table_without_a_command_is_found() -> None:
    table = "| contender | q/s |\n|---|---:|\n| one | 12 |\n"
    command = "Printed by `python -m bench.recall DATA`.\n"
    assert unexplained(f"## Speed\n\n{table}") == ["| contender | q/s |"]
    assert unexplained(f"## Speed\n\n{command}\n{table}") == []
    assert unexplained(f"## Speed\n\n```bash\npython -m bench.recall a.npz\n```\n\n{table}") == []
    assert unexplained(f"## How\n\n{command}\n## Speed\n\n{table}") == ["| contender | q/s |"]
    assert unexplained(f"## Speed\n\n{command}\n### One\n\n{table}") == []
    assert unexplained("## Speed\n\n```text\ncontender  q/s\none  12\n```\n") == ["contender  q/s"]
    assert unexplained("## Bytes\n\n| at | what |\n|---|---|\n| 0 | magic |\n") == []


def test_pictures_on_pages_are_kept_small() -> None:
    for path in (ROOT / "docs").glob("figures/*.svg"):
        assert path.stat().st_size < 150_000, f"{path.name} is too large"
