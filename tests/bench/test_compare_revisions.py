"""bench/compare and git: every kind of revision, and nothing of the user's touched."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from bench.comparison.errors import CompareError
from bench.comparison.revisions import Repository


def git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    done = subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)
    return done.stdout.decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two commits, a tag, and then changes of every kind that nobody has committed."""
    root = tmp_path / "checkout"
    (root / "cpp").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / ".gitignore").write_text("/build*/\n")
    (root / "cpp" / "a.cpp").write_text("one\n")
    (root / "gone.txt").write_text("here\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "First")
    git(root, "tag", "v1")
    (root / "cpp" / "a.cpp").write_text("two\n")
    git(root, "commit", "--quiet", "--all", "-m", "Second")
    (root / "cpp" / "a.cpp").write_text("three\n")
    (root / "gone.txt").unlink()
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    (root / "new file.txt").write_text("untracked\n")
    (root / "build").mkdir()
    (root / "build" / "object.o").write_text("ignored\n")
    return root


@pytest.fixture
def repository(root: Path, tmp_path: Path) -> Repository:
    return Repository(root, tmp_path / "kept")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("asked", "line"), [("v1", "one"), ("main", "two"), ("HEAD", "two"), ("HEAD~1", "one")]
)
def test_commits_tags_and_branches(repository, asked, line):
    revision = repository.resolve(asked)
    assert revision.title.endswith("First" if line == "one" else "Second")
    assert files(repository.export(revision)) == {
        ".gitignore": b"/build*/\n",
        "cpp/a.cpp": f"{line}\n".encode(),
        "gone.txt": b"here\n",
    }


def test_the_working_tree_has_all_that_is_not_committed(repository):
    revision = repository.resolve(".")
    assert revision.title.startswith("working tree: ")
    assert revision.title.endswith("4 files changed")
    assert files(repository.export(revision)) == {
        ".gitignore": b"/build*/\n",
        "cpp/a.cpp": b"three\n",
        "new file.txt": b"untracked\n",
        "staged.txt": b"staged\n",
    }


def test_the_users_repository_stays_as_it_was(root, repository):
    def state():
        return (
            files(root),
            git(root, "worktree", "list"),
            git(root, "count-objects", "-v"),
            git(root, "status", "--porcelain"),
        )

    git(root, "status")  # its own refreshing of the index is done before
    before = state()
    for asked in (".", "v1", "HEAD"):
        repository.export(repository.resolve(asked))
    # What git has in .git, down to the last file: no objects, no locks, no second worktree.
    assert state() == before


def test_equal_files_are_exported_once(root, repository):
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "Third")
    committed, tree = repository.resolve("HEAD"), repository.resolve(".")
    assert committed.tree == tree.tree
    source = repository.export(committed)
    (source / "mark").write_text("kept")
    assert repository.export(tree) == source
    assert (source / "mark").exists()


def test_a_change_in_the_second_of_the_commit_is_seen(root, repository):
    """Same size, same second: git tells such a file only by the time of its index."""
    path = root / "cpp" / "a.cpp"
    same_second = False
    while not same_second:
        path.write_text("old\n")
        git(root, "add", "--all")
        path.write_text("new\n")
        index = (root / ".git" / "index").stat()
        same_second = int(index.st_mtime) == int(path.stat().st_mtime)
    time.sleep(1.1 - time.time() % 1)
    source = repository.export(repository.resolve("."))
    assert (source / "cpp" / "a.cpp").read_text() == "new\n"


def test_an_interrupted_export_is_not_taken_for_the_whole(repository, monkeypatch):
    revision = repository.resolve("v1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            repository.export(revision)
    home = repository.folder / revision.tree[:12]
    assert list(home.iterdir()) == []
    assert (repository.export(revision) / "cpp" / "a.cpp").read_text() == "one\n"


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("asked", ["nosuch", "", "main:cpp", "-v", "v1..main"])
def test_a_bad_revision_is_named(repository, asked):
    with pytest.raises(CompareError, match="is no revision of") as error:
        repository.resolve(asked)
    assert repr(asked) in str(error.value)


def test_a_folder_without_git(tmp_path):
    with pytest.raises(CompareError):
        Repository(tmp_path, tmp_path / "kept").resolve(".")
