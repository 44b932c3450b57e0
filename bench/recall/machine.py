"""What this machine is, and what vicinal_machine measures of it."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Object = dict[str, Any]


def facts() -> Object:
    """The machine, as the first line of a results file tells it."""
    return {
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory(),
        "l2_bytes": _cache(2),
        "l3_bytes": _cache(3),
        "system": platform.platform(terse=True),
        "load": _busy(),
        "python": platform.python_version(),
        **_vicinal(),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def _busy(seconds: float = 1.0) -> float:
    """Processors at work now. The system's load average still counts what ended minutes ago."""
    try:
        before = _ticks()
        time.sleep(seconds)
        used, passed = (now - then for now, then in zip(_ticks(), before, strict=True))
    except (OSError, ValueError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return round((os.cpu_count() or 1) * used / max(1, passed), 2)


def _ticks() -> tuple[int, int]:
    """Ticks at work, and all ticks, of all processors together."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _cache(level: int) -> int | None:
    """Bytes of a cache of the first processor, as Linux tells them."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            if int((folder / "level").read_text()) == level:
                return int((folder / "size").read_text().strip().removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    return None


def _vicinal() -> Object:
    """The level vicinal uses here, and the compiler its object file names."""
    try:
        import vicinal
        from vicinal import _core
    except ImportError:
        return {"compiler": None, "level": None}
    names = re.findall(
        rb"GCC: \([^)\0]*\) [0-9.]+|clang version [0-9.]+", Path(_core.__file__).read_bytes()
    )
    return {
        "compiler": names[0].decode() if names else None,
        "level": vicinal.cpu_info().active,
    }


def measure(program: Path, dims: Sequence[int] | None = None) -> Object:
    """What vicinal_machine prints as JSON; without dimensions, no kernels."""
    asked = [str(dim) for dim in dims] if dims else ["--no-kernels"]
    command = [str(program.resolve()), "--json", *asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    numbers: Object = json.loads(done.stdout)
    return numbers


def kernels(numbers: Object) -> list[Object]:
    """Each kernel beside its bound, in the unit of what bounds it: bytes read, or operations."""
    lines = []
    for run in numbers["kernels"]:
        dim, rate, bound = run["dim"], run["vectors_per_s"], run["bound_vectors_per_s"]
        if not bound:
            continue
        integer = run["rows"].endswith("integer") or run["rows"] in ("int8", "uint8")
        peak = numbers["byte_mac_per_s"] if integer else numbers["fma_flop_per_s"]
        # Multiply-adds count as one for bytes in that peak, as two for floats.
        arithmetic = (peak or 0) / (dim if integer else 2 * dim)
        # The bound is the smaller of two rates: equal to this one, it is arithmetic's.
        by_memory = not arithmetic or bound < 0.9999 * arithmetic
        size = run["bytes_per_s"] / rate if by_memory else 2.0 * dim
        lines.append(
            {
                "name": f"{run['kernel']} {run['rows']} {dim}",
                "level": numbers["kernel_level"],
                "where": run["place"].lower().replace(",", ""),
                "reached": rate * size / 1e9,
                "bound": bound * size / 1e9,
                "unit": "GB/s" if by_memory else "GFLOP/s",
                "bound_by": "memory" if by_memory else "arithmetic",
            }
        )
    return lines
