#!/usr/bin/env python3
"""Builds vicinal and runs all of its tests; needs Python 3.10, a C++17 compiler and the network.

Everything it makes lies under build/. The standard library is all it imports: CMake, Ninja and the
test requirements come from pip, into an environment of its own. GoogleTest comes from the system,
or is downloaded (third_party/googletest.cmake).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PARTS = ("cpp", "package", "python")
SANITIZERS = {"address": "asan", "thread": "tsan"}
EMULATORS = {"aarch64": ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")}
SHARES = 4  # processes of C++ tests for each that runs at a time: some take longer than others
LONGEST = 1200  # seconds
ON_WINDOWS = os.name == "nt"
BIN = "Scripts" if ON_WINDOWS else "bin"
EXE = ".exe" if ON_WINDOWS else ""
Command = list[str | Path]
ROOMS = ("base", "kernels", "quantizers", "clustering", "storage", "indexes")
# Everything runs at the best level. At the plainest what has kernels does, from Python what stands
# on them; between the two the rooms whose tests compare a level's kernels with the plain ones.
ROOMS_WITH_KERNELS = ("kernels", "quantizers", "clustering", "indexes")
ROOMS_OF_KERNELS = ROOMS_WITH_KERNELS[:3]
FILES_WITH_KERNELS = (
    "tests/python/test_binary.py",
    "tests/python/test_build.py",
    "tests/python/test_contracts.py",
    "tests/python/test_flat.py",
    "tests/python/test_ivf.py",
)


class StepError(Exception):
    """A step did not do what it should; the message is for the person at the terminal."""


class Counts(NamedTuple):
    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


class Environment:
    """The virtual environment of the tests, made on first use and kept between runs."""

    def __init__(self) -> None:
        self.path = BUILD / f"venv-{sys.version_info.major}.{sys.version_info.minor}"
        self.python = self.path / BIN / f"python{EXE}"

    def make(self) -> None:
        if not self.python.exists():
            made = run([sys.executable, "-m", "venv", self.path], check=False, quiet=True)
            if made != 0:
                shutil.rmtree(self.path, ignore_errors=True)
                raise StepError(
                    "this Python cannot make virtual environments with pip in them.\n"
                    "On Debian and Ubuntu: apt-get install python3-venv"
                )
        requires = self._ask(
            "import sys\n"
            "try:\n    import tomllib\n"
            "except ModuleNotFoundError:\n    from pip._vendor import tomli as tomllib\n"
            "with open(sys.argv[1], 'rb') as f:\n"
            "    print('\\n'.join(tomllib.load(f)['build-system']['requires']))",
            ROOT / "pyproject.toml",
        )
        self.pip("install", "cmake>=3.21", "ninja", *requires.split("\n"))

    def pip(self, *args: str | Path) -> None:
        common = ["-qq", "--disable-pip-version-check"]
        run([self.python, "-m", "pip", args[0], *common, *args[1:]], env=self.env())

    def tool(self, name: str) -> Path:
        return self.path / BIN / f"{name}{EXE}"

    def env(self, **extra: str) -> dict[str, str]:
        env = {**os.environ, "VIRTUAL_ENV": str(self.path), **extra}
        env["PATH"] = f"{self.path / BIN}{os.pathsep}{env.get('PATH', '')}"
        env.pop("PYTHONPATH", None)  # the installed wheel is what is tested
        env.pop("PYTHONHOME", None)
        return env

    def _ask(self, code: str, *args: Path) -> str:
        command = [str(self.python), "-c", code, *map(str, args)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()


def run(
    command: Command,
    env: dict[str, str] | None = None,
    check: bool = True,
    quiet: bool = False,
) -> int:
    """Show the command and run it from the root of the repository."""
    words = [str(word) for word in command]
    if not quiet:
        print("  $", " ".join(words), flush=True)
    output = subprocess.DEVNULL if quiet else None
    code = subprocess.run(words, cwd=ROOT, env=env, stdout=output, stderr=output).returncode
    if check and code != 0:
        raise StepError(f"exit status {code} from: {' '.join(words)}")
    return code


def read_counts(report: Path) -> Counts:
    """Counts of a JUnit file, as GoogleTest and pytest write it."""
    root = ElementTree.parse(report).getroot()
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    if not suites:
        raise StepError(f"{report} names no test")

    def total(key: str) -> int:
        return sum(int(suite.get(key) or 0) for suite in suites)

    failed, skipped = total("failures") + total("errors"), total("skipped") + total("disabled")
    return Counts(total("tests") - failed - skipped, failed, skipped)


def ran(counts: Counts, what: str) -> Counts:
    if counts.passed + counts.failed == 0:
        raise StepError(f"{what}: no test ran")
    return counts


def build_wheel(env: Environment, tree: Path, with_cpp_tests: bool, jobs: int) -> None:
    """Compile once: the tree that makes the wheel also makes the C++ tests and the package."""
    wheels = BUILD / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    settings = {
        "build-dir": str(tree),
        "build.targets": "all" if with_cpp_tests else "_core",
        "cmake.define.VICINAL_TESTS": "ON" if with_cpp_tests else "OFF",
        "cmake.define.VICINAL_INSTALL": "ON",
    }
    options = [f"-C{key}={value}" for key, value in settings.items()]
    os.environ.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(jobs))
    env.pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, *options, ROOT)
    (wheel,) = wheels.glob("*.whl")
    env.pip("install", f"{wheel}[test]")
    env.pip("install", "--force-reinstall", "--no-deps", wheel)


def build_preset(env: Environment, preset: str, args: argparse.Namespace) -> None:
    run([env.tool("cmake"), "--preset", preset], env=env.env())
    command: Command = [env.tool("cmake"), "--build", "--preset", preset, f"-j{args.jobs}"]
    if args.room:
        command += ["--target", *(f"vicinal_{room}_tests" for room in args.room)]
    run(command, env=env.env())


def build_consumer(env: Environment, tree: Path, consumer: Path) -> None:
    """Install the CMake package, then build the tiny project that uses it."""
    cmake, prefix = env.tool("cmake"), BUILD / "prefix"
    shutil.rmtree(prefix, ignore_errors=True)
    shutil.rmtree(consumer.parent, ignore_errors=True)
    run([cmake, "--install", tree, "--component", "devel", "--prefix", prefix], env=env.env())
    command: Command = [cmake, "-S", ROOT / "tests" / "package", "-B", consumer.parent]
    command += ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={prefix}"]
    run(command, env=env.env())
    run([cmake, "--build", consumer.parent], env=env.env())


def levels_here(consumer: Path) -> list[str]:
    env = {key: value for key, value in os.environ.items() if key != "VICINAL_ISA"}
    said = subprocess.run([consumer, "levels"], check=True, capture_output=True, text=True, env=env)
    return said.stdout.split()


def run_gtest(
    env: Environment, tree: Path, level: str | None, rooms: Sequence[str], args: argparse.Namespace
) -> Counts:
    """The C++ tests of some rooms, each handed to one of a few processes.

    A process for each of them costs a second time as much as most of them do.
    """
    extra = {"VICINAL_ISA": level} if level else {}
    # Leaks are reported through ptrace, which containers often forbid; then only they go unseen.
    extra["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:" + os.environ.get("ASAN_OPTIONS", "")
    extra["UBSAN_OPTIONS"] = "print_stacktrace=1:" + os.environ.get("UBSAN_OPTIONS", "")
    extra["TSAN_OPTIONS"] = "halt_on_error=1:" + os.environ.get("TSAN_OPTIONS", "")
    variables, before = env.env(**extra), list(EMULATORS.get(tree.name, []))
    if tree.name == "tsan" and shutil.which("setarch"):
        # GCC 12's runtime cannot place its shadow memory where newer kernels randomise widely.
        before = ["setarch", platform.machine(), "-R"]
    reports = tree / f"gtest-{level or 'default'}"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    work: list[tuple[list[str], Path]] = []
    for room in rooms:
        program = [*before, str(tree / "tests" / "cpp" / f"vicinal_{room}_tests{EXE}")]
        names = [name for name in list_tests(program, variables) if wanted(name, tree, args.filter)]
        parts = min(len(names), SHARES * args.jobs)
        for part in range(parts):
            some = f"--gtest_filter={':'.join(names[part::parts])}"
            report = reports / f"{room}-{part}.xml"
            output = [f"--gtest_output=xml:{report}", "--gtest_brief=1"]
            work.append(([*program, some, *output], report))
    print(f"  $ {len(work)} processes of {', '.join(rooms)}", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        counts = list(pool.map(lambda share: run_share(share[0], share[1], variables), work))
    total = (sum(column) for column in zip(Counts(0, 0, 0), *counts, strict=True))
    return ran(Counts(*total), "C++ tests")


def list_tests(program: list[str], variables: dict[str, str]) -> list[str]:
    """Full names, as GoogleTest lists them: suites, and indented their tests."""
    command = [*program, "--gtest_list_tests"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    if done.returncode != 0:
        raise StepError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    names, suite = [], ""
    for line in done.stdout.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith(" "):
            names.append(suite + word)
        elif word.endswith("."):
            suite = word
    return names


def wanted(name: str, tree: Path, pattern: str) -> bool:
    # The emulator cannot fork beside threads, start itself anew, or map a giant file; and it takes
    # minutes over the largest comparisons, of which smaller ones are left.
    cannot, slow = "ForkedChild|DeathTest|Killed|SparseGiant", "SameAnswersHowever|WholeNumbers"
    if tree.name in EMULATORS and re.search(f"{cannot}|{slow}", name):
        return False
    return re.search(pattern, name) is not None


def run_share(command: list[str], report: Path, variables: dict[str, str]) -> Counts:
    """Some tests in one process; one that dies counts as one failure beside what it reported."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=variables,
            timeout=LONGEST,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        said, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        said, code = f"{late.stdout!r}\nnot done after {LONGEST} s", -1
    counts = read_counts(report) if report.exists() else Counts(0, 0, 0)
    if code == 0 and counts.failed == 0 and report.exists():
        return counts
    print(f"{said}\nended with {code}: {' '.join(command)}", flush=True)
    return counts if counts.failed else counts._replace(failed=1)


def run_pytest(
    env: Environment, tree: Path, level: str, everything: bool, args: argparse.Namespace
) -> Counts:
    report = BUILD / f"pytest-{level}.xml"
    report.unlink(missing_ok=True)
    what = [ROOT / "tests"] if everything else [ROOT / file for file in FILES_WITH_KERNELS]
    command: Command = [env.python, "-m", "pytest", "-q", f"--junitxml={report}", *what]
    if args.jobs > 1:
        command += ["-n", str(min(args.jobs, 8)), "--dist", "loadfile"]
    if args.filter:
        command += ["-k", args.filter]
    # Some tests read the machine code that was built.
    extra = {"VICINAL_ISA": level, "VICINAL_BUILD_DIR": str(tree)}
    code = run(command, env=env.env(**extra), check=False)
    if not report.exists():
        raise StepError(f"pytest ended with {code} and wrote no report")
    return ran(read_counts(report), "Python tests")


def check_wheel(env: Environment) -> Counts:
    run([env.python, ROOT / "tests" / "wheel" / "smoke.py"], env=env.env())
    return Counts(1, 0, 0)


def check_package(env: Environment, consumer: Path) -> Counts:
    run([consumer, consumer.parent / "grid.vicinal"], env=env.env())
    return Counts(1, 0, 0)


class Report:
    """What ran, how long it took, what came out."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, Counts | None]] = []

    def step(self, title: str, work: Callable[[], Counts | None]) -> None:
        print(f"== {title}", flush=True)
        start = time.monotonic()
        counts = work()
        seconds = time.monotonic() - start
        self.rows.append((title, seconds, counts))
        print(f"   {seconds:.0f} s{f', {counts}' if counts else ''}", flush=True)

    def finish(self) -> int:
        tests = [counts for _, _, counts in self.rows if counts]
        total = Counts(*(sum(column) for column in zip(*tests, strict=True)))
        print("\nsummary")
        for title, seconds, counts in self.rows:
            print(f"  {seconds:6.0f} s  {title}{f': {counts}' if counts else ''}")
        print(total)
        return 1 if total.failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, help="run these parts alone (repeatable)")
    add("--level", action="append", help="run at this instruction level alone (repeatable)")
    add("--sanitize", choices=tuple(SANITIZERS), help="C++ tests alone, under this sanitizer")
    add("--preset", help="C++ tests alone, of this preset of CMakePresets.json")
    add("--room", action="append", choices=ROOMS, help="C++ tests of this room alone (repeatable)")
    add("--filter", default="", help="tests to run: a regular expression (C++), -k (Python)")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="compilers and tests at a time")
    args = parser.parse_args()
    if args.sanitize:
        args.preset = SANITIZERS[args.sanitize]
    return args


def main() -> int:
    args = parse_arguments()
    # A shell that starts this in the background has Ctrl-C ignored, and children inherit that; but
    # there are tests that interrupt their own children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    env, report = Environment(), Report()
    parts = {"cpp"} if args.preset else set(args.only or PARTS)
    levels: list[str | None] = list(args.level or [])

    report.step("environment", env.make)
    if "python" in parts:
        tree = BUILD / "test"
        report.step("build", lambda: build_wheel(env, tree, "cpp" in parts, args.jobs))
    else:
        preset = args.preset or "release"
        tree = BUILD / preset
        report.step(f"build {preset}", lambda: build_preset(env, preset, args))

    if args.preset is None:
        consumer = BUILD / "consumer" / f"consumer{EXE}"
        report.step("package: build its user", lambda: build_consumer(env, tree, consumer))
        levels = levels or list(levels_here(consumer))
        if "package" in parts:
            report.step("package: run its user", lambda: check_package(env, consumer))
        if "python" in parts:
            report.step("wheel as installed", lambda: check_wheel(env))
    for level in levels or [None]:
        everything = level is None or level == levels[0]
        between = not everything and level != levels[-1]
        name = f"{level or 'best level'}{'' if everything else ', with kernels'}"
        some = ROOMS_OF_KERNELS if between else ROOMS_WITH_KERNELS
        rooms = args.room or (ROOMS if everything else some)
        if "cpp" in parts:
            report.step(f"C++ tests, {name}", partial(run_gtest, env, tree, level, rooms, args))
        if "python" in parts and level and not between:
            work = partial(run_pytest, env, tree, level, everything, args)
            report.step(f"Python tests, {name}", work)
    return report.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StepError as error:
        print(f"tests/run.py: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
