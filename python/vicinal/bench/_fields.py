"""Values of a JSON object, each checked when it is taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vicinal.errors import FormatError

#: Nothing that is measured; what is made of it stays finite.
LARGEST = 1e30
_NAMES = {str: "text", bool: "true or false", dict: "an object", list: "a list"}


def bad_line(path: str, line: int, what: str) -> FormatError:
    """Make the error for a damaged line; it carries ``path`` and ``line`` as attributes."""
    error = FormatError(f"{path}: line {line}: {what}")
    error.path = path
    error.line = line  # type: ignore[attr-defined]
    return error


def parse_line(text: str, path: str, line: int) -> Fields:
    """Read one line of a results file as an object."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON number")

    try:
        values = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise bad_line(path, line, "nested too deeply") from None
    except json.JSONDecodeError as error:
        what = f"not a whole JSON object ({error.msg} at column {error.colno})"
        raise bad_line(path, line, what) from None
    except ValueError as error:  # a constant refused above, or a number of too many digits
        raise bad_line(path, line, str(error)) from None
    if not isinstance(values, dict):
        raise bad_line(path, line, f"holds {_shown(values)}, wanted an object")
    return Fields(values, path, line)


class Fields:
    """One object of a line; every getter says where and what is wrong with a value.

    Parameters
    ----------
    values : mapping
    path, line : str, int
        Where it stands, for errors.
    place : str
        What leads to it inside the line: ``build.`` or ``points[2].``
    """

    def __init__(self, values: Mapping[str, Any], path: str, line: int, place: str = "") -> None:
        self._values = values
        self._path = path
        self._line = line
        self._place = place

    @property
    def where(self) -> tuple[str, int]:
        """File and line."""
        return self._path, self._line

    def problem(self, what: str) -> FormatError:
        """Make an error that names this file and line."""
        return bad_line(self._path, self._line, what)

    def has(self, name: str) -> bool:
        """Whether there is such a value and it is not null."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text."""
        value: str = self._typed(name, str)
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None where it is missing or null."""
        return self.text(name) if self.has(name) else None

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return one of the texts allowed."""
        value = self.text(name)
        if value not in allowed:
            raise self._wrong(name, f"one of {', '.join(allowed)}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false where it is missing."""
        return bool(self._typed(name, bool)) if self.has(name) else False

    def number(self, name: str, low: float = 0, high: float = LARGEST) -> float:
        """Return a finite number within the bounds."""
        value = self._take(name)
        return self._number(name, value, low, high)

    def number_or_none(self, name: str, low: float = 0, high: float = LARGEST) -> float | None:
        """Return a number, or None where it is missing or null."""
        return self.number(name, low, high) if self.has(name) else None

    def whole(self, name: str, low: int = 0) -> int:
        """Return a whole number."""
        value = self.number(name, low)
        if value != int(value):
            raise self._wrong(name, "a whole number")
        return int(value)

    def whole_or_none(self, name: str, low: int = 0) -> int | None:
        """Return a whole number, or None where it is missing or null."""
        return self.whole(name, low) if self.has(name) else None

    def numbers(self, name: str, low: float = 0) -> tuple[float, ...]:
        """Return a list of numbers; empty where it is missing or null."""
        if not self.has(name):
            return ()
        values = self._typed(name, list)
        return tuple(
            self._number(f"{name}[{i}]", value, low, LARGEST) for i, value in enumerate(values)
        )

    def fields(self, name: str) -> Fields:
        """Return the object inside, to take values from."""
        inner = self._typed(name, dict)
        return Fields(inner, self._path, self._line, f"{self._place}{name}.")

    def list_of_fields(self, name: str) -> list[Fields]:
        """Return the objects of a list; empty where it is missing or null."""
        if not self.has(name):
            return []
        out = []
        for i, value in enumerate(self._typed(name, list)):
            place = f"{name}[{i}]"
            if not isinstance(value, dict):
                raise self.problem(f"{self._place}{place} is {_shown(value)}, wanted an object")
            out.append(Fields(value, self._path, self._line, f"{self._place}{place}."))
        return out

    def plain(self, name: str) -> dict[str, Any]:
        """Return an object as it stands; empty where it is missing or null."""
        return dict(self._typed(name, dict)) if self.has(name) else {}

    def _take(self, name: str) -> Any:
        if name not in self._values:
            raise self.problem(f"{self._place}{name} is missing")
        return self._values[name]

    def _typed(self, name: str, kind: type) -> Any:
        value = self._take(name)
        if not isinstance(value, kind):
            raise self._wrong(name, _NAMES[kind])
        return value

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        wanted = f"a number from {low:g}" + (f" to {high:g}" if high < LARGEST else "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, wanted, value)
        try:
            number = float(value)
        except OverflowError:
            raise self._wrong(name, wanted, value) from None
        if not (math.isfinite(number) and low <= number <= high):
            raise self._wrong(name, wanted, value)
        return number

    def _wrong(self, name: str, wanted: str, value: Any = None) -> FormatError:
        found = self._values.get(name) if value is None else value
        return self.problem(f"{self._place}{name} is {_shown(found)}, wanted {wanted}")


def _shown(value: Any) -> str:
    """Show a value as it stands in the file, cut to what fits a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # an int of more digits than Python converts
        return "a number too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."
