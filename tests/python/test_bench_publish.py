"""``python -m bench.publish``: what it writes, what it leaves alone, what it finds changed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import invented_results as invented
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = "# A library\n\nBefore.\n\n## Measured\n\n<!-- results -->\nAfter.\n\n## More\n"
PERFORMANCE = "# Performance\n\n<!-- results -->\nold\n<!-- /results -->\n\nAfter.\n"


@dataclass
class Tree:
    root: Path
    results: Path

    def publish(self, *words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "bench.publish", *words, "--root", self.root, self.results]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A repository of two documents and invented results."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "bench" / "results").mkdir(parents=True)
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs" / "performance.md").write_text(PERFORMANCE)
    results = tmp_path / "bench" / "results" / "invented.jsonl"
    content = invented.lines() + invented.lines("20000102T000000Z", "invented-two", 3)
    return Tree(tmp_path, invented.write(results, content))


def test_writes_what_the_results_say_and_then_agrees(tree: Tree) -> None:
    status, said = tree.publish("--check")
    assert status == 1
    assert "README.md differs" in said
    assert "docs/figures/recall-invented-128.svg is missing" in said
    assert tree.read("README.md") == README

    status, said = tree.publish()
    assert status == 0, said
    readme, performance = tree.read("README.md"), tree.read("docs/performance.md")
    assert readme.startswith(README.partition("After.")[0])
    assert readme.endswith("\n\n<!-- /results -->\n\nAfter.\n\n## More\n")
    assert performance.endswith("\n\n<!-- /results -->\n\nAfter.\n")
    assert "old" not in performance
    assert tree.publish("--check") == (0, "all as the results say\n")
    assert tree.publish() == (0, "nothing to change\n")
    assert tree.read("README.md") == readme


def test_tables_hold_the_numbers_of_the_file(tree: Tree) -> None:
    assert tree.publish()[0] == 0
    readme, performance = tree.read("README.md"), tree.read("docs/performance.md")
    contenders = [invented.contender_line(number) for number in range(11)]
    reference = contenders[0]["at_recall"]["0.95"]["rate"]
    for line in contenders:
        at = line["at_recall"]["0.95"]
        assert at is not None
        name = line["contender"]
        starts = (f"| {name} |", f"| **{name}** |")
        row = next(row for row in readme.splitlines() if row.startswith(starts))
        assert f"| {at['rate']:,.0f} |" in row
        if line is not contenders[0]:
            assert f"| {at['rate'] / reference:.2f} (" in row
        for other in line["at_recall"].values():
            assert other is None or f"{other['rate']:,.0f}" in performance
    assert "invented: the import ended with SIGILL" in performance
    assert "Invented CPU, 2 CPUs, 8 GiB" in readme
    # The command, without the folders of whoever ran it.
    command = "python -m bench.recall invented-128.npz --json invented.jsonl"
    assert command in readme
    assert command in performance
    assert "/somewhere" not in readme + performance
    for name in ("recall-invented-128", "ratio-invented-128", "recall-invented-two", "roofline"):
        assert f"](figures/{name}.svg)" in performance
        assert (tree.root / "docs" / "figures" / f"{name}.svg").stat().st_size < 150_000
    assert "](docs/figures/recall-invented-128.svg)" in readme


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_a_changed_number_is_found(tree: Tree, name: str) -> None:
    assert tree.publish()[0] == 0
    text = tree.read(name)
    rate = f"{invented.contender_line(0)['at_recall']['0.95']['rate']:,.0f}"
    assert rate in text
    (tree.root / name).write_text(text.replace(rate, "99,999"), encoding="utf-8")
    status, said = tree.publish("--check")
    assert status == 1
    assert f"{name} differs" in said
    assert "99,999" in said


def test_changed_results_are_found_in_documents_and_figures(tree: Tree) -> None:
    assert tree.publish()[0] == 0
    content = invented.lines()
    content[2]["points"][0]["rates"] = [12345.0] * invented.ROUNDS
    invented.write(tree.results, content)
    status, said = tree.publish("--check")
    assert status == 1
    assert "docs/figures/recall-invented-128.svg was drawn from something else" in said
    assert "docs/figures/recall-invented-two.svg belongs to no results" in said
    assert tree.publish()[0] == 0
    assert not (tree.root / "docs" / "figures" / "recall-invented-two.svg").exists()
    assert tree.publish("--check")[0] == 0


def test_names_do_not_become_markup(tree: Tree) -> None:
    content = invented.lines()
    for line in content:
        if line.get("contender") == "hnswlib":
            line["contender"] = "a|b <script>x</script> **c** `d` [e](f)"
        if line["kind"] == "ratio":
            line["reference"] = "a|b <script>x</script> **c** `d` [e](f)"
    invented.write(tree.results, content)
    assert tree.publish()[0] == 0
    for name in ("README.md", "docs/performance.md"):
        text = tree.read(name)
        assert "<script" not in text
        assert r"a\|b &lt;script>x&lt;/script> \*\*c\*\* \`d\` \[e\](f)" in text


def test_what_it_cannot_do_is_said(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "docs" / "performance.md").write_text("# Performance\n")
    status, said = tree.publish()
    assert status == 1
    assert said == (
        "bench.publish: docs/performance.md has no line <!-- results -->: "
        "put it where the results belong\n"
    )
    assert tree.read("README.md") == README, "nothing is written by halves"
    assert not (tree.root / "docs" / "figures").exists()
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    status, said = Tree(outside, tree.results).publish()
    assert status == 1
    assert "is outside the repository: keep what is published in bench/results" in said
