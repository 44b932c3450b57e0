"""Revisions and their files, taken from git without touching the checkout.

Files go straight from git's store to a folder of their own. There is no second worktree for git to
remember, so an interrupted run leaves nothing to tidy up in the repository.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import CompareError

WORKING_TREE = "."


@dataclass(frozen=True)
class Revision:
    """Files as git knows them. Equal files have equal trees, whatever their commits say."""

    asked: str
    tree: str  # git's hash of all files
    title: str


class Repository:
    """Read-only use of a git repository; ``folder`` receives all that has to be written."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder

    def resolve(self, asked: str) -> Revision:
        """A commit, tag or branch; "." is the working tree with all that is not committed."""
        if asked == WORKING_TREE:
            return self._working_tree()
        try:
            commit = self._git("rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}")
        except CompareError:
            raise CompareError(f"{asked!r} is no revision of {self.root}") from None
        tree = self._git("rev-parse", "--verify", f"{commit}^{{tree}}")
        return Revision(asked, tree, self._git("log", "-1", "--format=%h %s", commit))

    def export(self, revision: Revision) -> Path:
        """Write the files to ``folder/<tree>/source``, unless an earlier run did; return that."""
        home = self.folder / revision.tree[:12]
        source = home / "source"
        if source.is_dir():
            return source
        home.mkdir(parents=True, exist_ok=True)
        # Under another name until all is there, so that half of it is never taken for the whole.
        with tempfile.TemporaryDirectory(dir=home, prefix="part-") as part, self._index() as extra:
            self._git("read-tree", revision.tree, **extra)
            self._git("checkout-index", "--all", f"--prefix={part}/files/", **extra)
            with contextlib.suppress(OSError):  # another run beside this one was quicker
                (Path(part) / "files").rename(source)
        if not source.is_dir():
            raise CompareError(f"cannot write {source}")
        return source

    def _working_tree(self) -> Revision:
        with self._index() as extra:
            mine = self.root / self._git("rev-parse", "--git-path", "index")
            if mine.exists():
                # What git knows of unchanged files spares reading them again. With the time of the
                # original: git looks twice at files changed in the second the index was written.
                shutil.copy2(mine, extra["GIT_INDEX_FILE"])
            self._git("add", "--all", ".", **extra)
            tree = self._git("write-tree", **extra)
        base = self._git("log", "-1", "--format=%h")
        changed = len(self._git("status", "--porcelain", "--untracked-files=all").splitlines())
        what = f"{changed} files changed" if changed != 1 else "1 file changed"
        return Revision(WORKING_TREE, tree, f"working tree: {base}, {what}")

    @contextlib.contextmanager
    def _index(self) -> Iterator[dict[str, str]]:
        """An index and an object store of our own; the repository's objects are only read."""
        objects = self.folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        theirs = (self.root / self._git("rev-parse", "--git-path", "objects")).resolve()
        with tempfile.TemporaryDirectory(prefix="vicinal-compare-") as folder:
            yield {
                "GIT_INDEX_FILE": str(Path(folder) / "index"),
                "GIT_OBJECT_DIRECTORY": str(objects.resolve()),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(theirs),
            }

    def _git(self, *words: str, **extra: str) -> str:
        # No refresh of the user's index on the side, not even by "status".
        env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", **extra}
        try:
            done = subprocess.run(
                ["git", *words], cwd=self.root, env=env, capture_output=True, text=True
            )
        except FileNotFoundError:
            raise CompareError("git is not installed") from None
        if done.returncode != 0:
            raise CompareError(f"git {words[0]} failed in {self.root}", done.stderr.strip())
        return done.stdout.strip("\n")
