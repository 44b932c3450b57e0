"""Includes between the rooms point one way: indexes use quantizers, and these use kernels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "cpp" / "src"
PUBLIC = ROOT / "cpp" / "include" / "vicinal"

# What each room may include beside itself and the public headers.
MAY_INCLUDE = {
    "base": set(),
    "kernels": {"base"},
    "quantizers": {"base", "kernels"},
    "clustering": {"base", "kernels"},
    "storage": {"base"},
    "indexes": {"base", "kernels", "quantizers", "clustering", "storage"},
}
INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^>\"]+)", re.MULTILINE)
WIDE_LEVELS = ("avx2", "avx512", "avx512vnni", "avx512vbmi")
# C's headers leave no inline function behind in the objects; table.h only declares with <vector>.
PLAIN_HEADERS = {"cstddef", "cstdint", "cstring", "immintrin.h", "intrin.h", "vector"}


def includes(path: Path) -> list[tuple[str, str]]:
    """Pairs of '<' or '"' and the name that follows it."""
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in {".h", ".cpp"})
    assert found, f"{folder} holds no C++ files"
    return found


def test_every_room_is_known() -> None:
    assert {path.name for path in SOURCES.iterdir() if path.is_dir()} <= set(MAY_INCLUDE)


@pytest.mark.parametrize(
    "room", [room for room in MAY_INCLUDE if any((SOURCES / room).glob("*.*"))]
)
def test_room_includes_only_what_lies_under_it(room: str) -> None:
    allowed = MAY_INCLUDE[room] | {room, "vicinal"}
    for path in files(SOURCES / room):
        for bracket, name in includes(path):
            if bracket == '"':
                target = name.split("/")[0]
                assert target in allowed, f"{path.relative_to(ROOT)} includes {name}"
            else:
                assert not name.startswith("pybind11"), f"{path.relative_to(ROOT)}: {name}"


def test_public_headers_include_public_headers_alone() -> None:
    for path in files(PUBLIC):
        for bracket, name in includes(path):
            if bracket == '"':
                assert name.startswith("vicinal/"), f"{path.relative_to(ROOT)} includes {name}"
            else:
                assert "/" not in name, f"{path.relative_to(ROOT)}: {name} is not standard C++"
                assert "intrin" not in name, f"{path.relative_to(ROOT)} includes {name}"


def test_bindings_use_the_public_headers() -> None:
    folder = ROOT / "python" / "bindings"
    own = {path.name for path in folder.glob("*.h")}
    for path in files(folder):
        for bracket, name in includes(path):
            fine = bracket == "<" or name.startswith("vicinal/") or name in own
            assert fine, f"{path.relative_to(ROOT)} includes {name}"


@pytest.mark.parametrize("level", WIDE_LEVELS)
def test_wide_level_includes_intrinsics_and_kernel_declarations_alone(level: str) -> None:
    seen = set(files(SOURCES / "kernels" / level))
    todo = list(seen)
    while todo:  # their own headers too, and those that these include
        path = todo.pop()
        for bracket, name in includes(path):
            where = f"{path.relative_to(ROOT)} includes {name}"
            if bracket == "<":
                assert name in PLAIN_HEADERS, where
                continue
            assert name.startswith("kernels/"), where
            other = SOURCES / name
            if other not in seen:
                seen.add(other)
                todo.append(other)


def test_no_other_room_names_an_instruction_set() -> None:
    kernels = SOURCES / "kernels"
    for path in [*files(SOURCES), *files(PUBLIC), *files(ROOT / "python" / "bindings")]:
        if kernels in path.parents:
            continue
        found = re.search(r"_mm\d*_|__m\d{3}|avx", path.read_text(encoding="utf-8"), re.IGNORECASE)
        assert found is None, f"{path.relative_to(ROOT)} names {found and found.group()}"


def test_python_modules_do_not_import_the_tests() -> None:
    for path in sorted((ROOT / "python" / "vicinal").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) (tests|bench|pytest)\b", text, re.MULTILINE), path
