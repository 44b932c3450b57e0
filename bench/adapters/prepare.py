"""Put vicinal into a checkout of ann-benchmarks or VIBE.

usage: python -m bench.adapters.prepare CHECKOUT [--revision REVISION]

Copies the adapter to its place there and, since no package index has vicinal yet, an archive of its
source at a revision of this repository (HEAD unless told) to where the container's recipe looks
for it. Which project it is shows by its folders. What is not committed is not in the archive.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Project:
    """Where things go in a checkout."""

    name: str
    adapter: str
    archive: str
    """Where the recipe of the container expects the source, seen from the checkout."""
    install: str


PROJECTS = (
    Project(
        "ann_benchmarks",
        "ann_benchmarks/algorithms/vicinal",
        # Docker builds in the root of the checkout.
        "ann_benchmarks/algorithms/vicinal/vicinal.tar.gz",
        "python install.py --algorithm vicinal",
    ),
    Project(
        "vibe",
        "vibe/algorithms/vicinal",
        # install.sh builds in images/, and there only the recipe is copied.
        "images/vicinal.tar.gz",
        "./install.sh --algorithm vicinal",
    ),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.adapters.prepare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT")
    parser.add_argument("--revision", default="HEAD", help="of vicinal (default HEAD)")
    args = parser.parse_args(arguments)
    try:
        project, commit = prepare(args.checkout, args.revision)
    except (OSError, ValueError) as error:
        sys.exit(f"{args.checkout}: {error}")
    print(
        f"vicinal {version(args.revision)} at {commit}: adapter in {project.adapter}, "
        f"source in {project.archive}\nnext, in {args.checkout}: {project.install}"
    )


def prepare(checkout: Path, revision: str = "HEAD") -> tuple[Project, str]:
    """Copy adapter and source; gives the project and the commit."""
    project = recognise(checkout)
    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    target = checkout / project.adapter
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted((HERE / project.name / "vicinal").iterdir()):
        if file.is_file():
            shutil.copyfile(file, target / file.name)
    archive = (checkout / project.archive).resolve()
    archive.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"vicinal-{version(revision)}/"
    git("archive", "--format=tar.gz", f"--prefix={prefix}", f"--output={archive}", commit)
    return project, commit


def recognise(checkout: Path) -> Project:
    for project in PROJECTS:
        if (checkout / project.adapter).parent.is_dir():
            return project
    wanted = " or ".join(str(Path(project.adapter).parent) for project in PROJECTS)
    raise ValueError(f"no folder {wanted} there: neither ann-benchmarks nor VIBE")


def version(revision: str) -> str:
    """Version of vicinal at a revision: the one place it is written."""
    text = git("show", f"{revision}:cpp/include/vicinal/version.h")
    return text.split('#define VICINAL_VERSION "')[1].split('"')[0]


def git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode != 0:
        raise ValueError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
