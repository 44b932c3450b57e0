"""Building a revision: Release, with its benchmarks and its Python extension."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .errors import CompareError, tail

PROJECT = Path(__file__).resolve().parent / "native"
TARGETS = {
    "kernels": "vicinal_kernels_bench",
    "recall": "_core",
    "instructions": "vicinal_count",
}


@dataclass(frozen=True)
class Build:
    """Programs of one revision; those of parts that were not asked for may not be there."""

    name: str
    folder: Path

    @property
    def kernels(self) -> Path:
        return self.folder / "bin" / TARGETS["kernels"]

    @property
    def count(self) -> Path:
        return self.folder / "bin" / TARGETS["instructions"]

    @property
    def python(self) -> Path:
        """For PYTHONPATH: holds the package vicinal."""
        return self.folder / "python"

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"


def lacking(part: str) -> str | None:
    """What this part needs and this machine does not have; None if all is there."""
    if part == "instructions" and shutil.which("valgrind") is None:
        return "valgrind is not installed (Debian and Ubuntu: apt-get install valgrind)"
    if part == "recall":
        absent = [name for name in ("numpy", "pybind11") if importlib.util.find_spec(name) is None]
        if absent:
            return f"this Python lacks {' and '.join(absent)} (pip install {' '.join(absent)})"
    return None


def configure(name: str, source: Path, parts: Collection[str]) -> Build:
    """Prepare a build folder beside the source; an earlier run's is used again."""
    if shutil.which("cmake") is None:
        raise CompareError("cmake is not on the PATH")
    build = Build(name, source.parent / f"build-{_tools(source)}")
    build.log.write_text("")
    command = ["cmake", "-S", str(PROJECT), "-B", str(build.folder), "-DCMAKE_BUILD_TYPE=Release"]
    command += [f"-DVICINAL_SOURCE={source}", "-DVICINAL_BENCH=ON", "-DVICINAL_TESTS=OFF"]
    command += [f"-DVICINAL_PYTHON={'ON' if 'recall' in parts else 'OFF'}"]
    if shutil.which("ninja") and not (build.folder / "CMakeCache.txt").exists():
        command += ["-G", "Ninja"]
    if "recall" in parts:
        import pybind11

        command += [f"-DPython_EXECUTABLE={sys.executable}"]
        command += [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"]
    _run(build, "configured", command)
    return build


def make(build: Build, source: Path, part: str, jobs: int) -> None:
    """Build what a part needs; with nothing changed there is little to do."""
    command = ["cmake", "--build", str(build.folder), "-j", str(jobs), "-t", TARGETS[part]]
    _run(build, f"built ({TARGETS[part]})", command)
    if part == "recall":
        # Anew each time: it is small, and nothing of an earlier run stays behind.
        shutil.rmtree(build.python, ignore_errors=True)
        shutil.copytree(source / "python" / "vicinal", build.python / "vicinal")
        for module in (build.folder / "module").glob("_core*"):
            shutil.copy2(module, build.python / "vicinal")


def _tools(source: Path) -> str:
    """Eight characters that change when another compiler, flags or Python would be used.

    And when folders have moved, for CMake would refuse to use its cache again.
    """
    words = [os.environ.get(key, "") for key in ("CXX", "CXXFLAGS", "LDFLAGS")]
    words += [str(PROJECT), str(source), sys.executable, sys.version]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]


def _run(build: Build, done: str, command: list[str]) -> None:
    # Seen from the build folder every revision has the same paths, so that ccache compiles a file
    # that both revisions share once.
    home = str(build.folder.parent.parent.resolve())
    env = {"CCACHE_BASEDIR": home, "CCACHE_NOHASHDIR": "1", **os.environ}
    with build.log.open("a") as file:
        print("$", *command, file=file, flush=True)
        code = subprocess.run(command, stdout=file, stderr=file, env=env).returncode
    if code != 0:
        text = tail(build.log.read_text(), 30)
        raise CompareError(f"{build.name} cannot be {done}; see {build.log}", text)
