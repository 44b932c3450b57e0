"""``python -m bench.publish RESULTS``: README, docs/performance.md and figures from results.

``--check`` writes nothing; it says which files differ from what the results say, and exits with 1.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from vicinal.bench.drawing import svg
from vicinal.bench.figures import Figure
from vicinal.bench.results import read_results

from .documents import FIGURES, Published, PublishError, make, replaced, stamp, stamped

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {"README.md": "readme", "docs/performance.md": "performance"}
MAX_FIGURE_BYTES = 150_000


def command_of(files: Sequence[Path], root: Path) -> str:
    """Say what makes the documents again; the results must be in the repository for that."""
    names = []
    for path in files:
        try:
            names.append(path.resolve().relative_to(root.resolve()).as_posix())
        except ValueError:
            raise PublishError(
                f"{path} is outside the repository: keep what is published in bench/results"
            ) from None
    return " ".join(["python -m bench.publish", *names])


def write(made: Published, root: Path) -> list[str]:
    """Write what differs; its names."""
    texts = {}
    for name, content in _contents(made):  # both are checked before either is written
        texts[name] = replaced((root / name).read_text(encoding="utf-8"), content, name)
    (root / FIGURES).mkdir(parents=True, exist_ok=True)
    changed = []
    for name, figure in made.figures.items():
        if not _is_drawn(root / name, figure):
            drawing = stamped(svg(figure), figure)
            if len(drawing.encode()) > MAX_FIGURE_BYTES:
                raise PublishError(f"{name} has {len(drawing):,} bytes, at most 150,000 wanted")
            (root / name).write_text(drawing, encoding="utf-8")
            changed.append(name)
    for path in _left_over(made, root):
        path.unlink()
        changed.append(path.relative_to(root).as_posix())
    for name, text in texts.items():
        if text != (root / name).read_text(encoding="utf-8"):
            (root / name).write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def differences(made: Published, root: Path) -> list[str]:
    """Say what differs from the results, in words and as a diff."""
    found = []
    for name, content in _contents(made):
        document = (root / name).read_text(encoding="utf-8")
        wanted = replaced(document, content, name)
        if document != wanted:
            diff = difflib.unified_diff(
                document.splitlines(), wanted.splitlines(), name, "the results", lineterm="", n=0
            )
            found.append("\n".join([f"{name} differs:", *list(diff)[:20]]))
    for name, figure in made.figures.items():
        if not (root / name).exists():
            found.append(f"{name} is missing")
        elif not _is_drawn(root / name, figure):
            found.append(f"{name} was drawn from something else, or is too large")
    found += [
        f"{path.relative_to(root).as_posix()} belongs to no results"
        for path in _left_over(made, root)
    ]
    return found


def _contents(made: Published) -> list[tuple[str, str]]:
    return [(name, getattr(made, field)) for name, field in DOCUMENTS.items()]


def _is_drawn(path: Path, figure: Figure) -> bool:
    if not path.exists() or path.stat().st_size > MAX_FIGURE_BYTES:
        return False
    return stamp(figure) in path.read_text(encoding="utf-8")


def _left_over(made: Published, root: Path) -> list[Path]:
    """Figures of ours that nothing shows any more."""
    paths = sorted((root / FIGURES).glob("*.svg"))
    drawn = [path for path in paths if "<!-- drawn from " in path.read_text(encoding="utf-8")]
    return [path for path in drawn if path.relative_to(root).as_posix() not in made.figures]


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args(words)
    try:
        made = make(read_results(args.results), command_of(args.results, args.root))
        if args.check:
            found = differences(made, args.root)
            print("\n".join(found) if found else "all as the results say")
            return 1 if found else 0
        changed = write(made, args.root)
        print("\n".join(changed) if changed else "nothing to change")
    except (PublishError, OSError, ValueError, ImportError) as error:
        print(f"bench.publish: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
