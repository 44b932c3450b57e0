"""What the processor can do, and how many threads to use."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vicinal import _core
from vicinal.errors import ConfigError

__all__ = ["CPUInfo", "cpu_info", "default_threads", "set_default_threads"]

_MOST_THREADS = 1024


@dataclass(frozen=True)
class CPUInfo:
    """The processor as the kernels see it.

    Attributes
    ----------
    brand : str
        As the processor names itself; may be empty.
    features : tuple of str
        The instruction sets that kernels ask for, of those that are present.
    available : tuple of str
        Levels of kernels that run here, best first.
    active : str
        The level in use.
    forced : bool
        The environment variable VICINAL_ISA chose it.
    """

    brand: str
    features: tuple[str, ...]
    available: tuple[str, ...]
    active: str
    forced: bool

    def __str__(self) -> str:
        why = "forced by VICINAL_ISA" if self.forced else "the best that runs here"
        return "\n".join(
            (
                f"processor  {self.brand or 'unknown'}",
                f"level      {self.active} ({why})",
                f"available  {', '.join(self.available)}",
                f"features   {', '.join(self.features) or 'none'}",
            )
        )


def cpu_info() -> CPUInfo:
    """Tell which kernels run here.

    Returns
    -------
    CPUInfo

    Raises
    ------
    ConfigError
        VICINAL_ISA names a level that is unknown or that this processor lacks.
    """
    brand, features, available, active, forced = _core.cpu_info()
    return CPUInfo(brand, tuple(features), tuple(available), active, forced)


def default_threads() -> int:
    """Threads a call uses when it is not told: one per usable processor unless set otherwise."""
    return _core.default_threads()


def set_default_threads(threads: int | None) -> None:
    """Set how many threads a call uses when it is not told.

    Results never depend on it. The environment variable VICINAL_THREADS sets it at import.

    Parameters
    ----------
    threads : int or None
        1 to 1024; None returns to one per usable processor.

    Raises
    ------
    ArgumentError
        Fewer or more than that. A ``ValueError``.
    """
    if threads is None:
        _core.set_default_threads(0)
        return
    if threads == 0:
        raise _core.ArgumentError(f"threads must be from 1 to {_MOST_THREADS}, got 0")
    _core.set_default_threads(threads)


def _read_environment() -> None:
    value = os.environ.get("VICINAL_THREADS")
    if not value:
        return
    try:
        set_default_threads(int(value))
    except ValueError:
        raise ConfigError(
            f"VICINAL_THREADS must be a whole number from 1 to {_MOST_THREADS}, got {value!r}"
        ) from None


_read_environment()
