"""Settings in TOML files: dataclasses written and read again, with every mistake named."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def dumps(settings: Any) -> str:
    """Write a dataclass as TOML.

    Parameters
    ----------
    settings : dataclass instance
        Fields of str, bool, int, float, path, lists and tuples of these, and dataclasses. A field
        that is None is left out: TOML has no such value.

    Returns
    -------
    str
        Keys are the names of the fields with ``-`` for ``_``, as flags are spelt.
    """
    import tomli_w

    return tomli_w.dumps(_plain(settings))


def loads(kind: type[T], text: str, *, source: str = "TOML") -> T:
    """Read a dataclass from TOML.

    Parameters
    ----------
    kind : type
        The dataclass.
    text : str
    source : str
        What to call the text in errors, for example the file's name.

    Returns
    -------
    kind
        Fields without a key keep their default.

    Raises
    ------
    ValueError
        Not TOML; a key that ``kind`` does not have (the nearest one it has is named); a value of
        another type; a field without a default and without a key.
    """
    try:
        table = _parse(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or nested too deeply
        raise ValueError(f"{source}: not TOML: {error}") from error
    return _build(kind, table, source)


def save(path: str | os.PathLike[str], settings: Any) -> None:
    """Write a dataclass to a TOML file; it appears whole or not at all."""
    from vicinal.io._check import replacing_file

    with replacing_file(path) as file:
        file.write(dumps(settings).encode())


def load(kind: type[T], path: str | os.PathLike[str]) -> T:
    """Read a dataclass from a TOML file; raises as `loads`, and OSError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not UTF-8 at byte {error.start}") from error
    return loads(kind, text, source=os.fspath(path))


def _parse(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    table: dict[str, Any] = tomllib.loads(text)
    return table


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "to_dict"):
            plain: dict[str, Any] = value.to_dict()
            return {name.replace("_", "-"): _plain(v) for name, v in plain.items()}
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name.replace("_", "-"): _plain(v) for name, v in pairs if v is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"cannot write {type(value).__name__} as TOML: {value!r}")


def _build(kind: type[T], table: dict[str, Any], source: str, prefix: str = "") -> T:
    fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    own_way = getattr(kind, "from_dict", None)  # as HNSWParams has
    hints = {} if own_way else typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        # A name with _ is taken as well: it is what the field is called in Python.
        spelt = key.replace("_", "-")
        if spelt not in fields:
            near = difflib.get_close_matches(spelt, fields, n=1, cutoff=0.0)
            hint = f"; the nearest is {prefix + near[0]!r}" if near else ""
            raise ValueError(f"{source}: unknown key {prefix + key!r}{hint}")
        name = fields[spelt].name
        if name in values:
            raise ValueError(f"{source}: key {prefix + spelt!r} is given twice")
        values[name] = value if own_way else _convert(hints[name], value, source, prefix + spelt)
    if own_way:
        try:
            made: T = own_way(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: {prefix}{error}") from error
        return made
    for key, field in fields.items():
        absent = field.default is dataclasses.MISSING
        if field.name not in values and absent and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{source}: key {prefix + key!r} is missing")
    return kind(**values)


def _convert(hint: Any, value: Any, source: str, key: str) -> Any:
    """Return the value as ``hint`` wants it, or raise ValueError naming the key."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        choices = [a for a in args if a is not type(None)]
        if len(choices) == 1:
            return _convert(choices[0], value, source, key)
        for choice in choices:
            with contextlib.suppress(ValueError):
                return _convert(choice, value, source, key)
    elif origin is typing.Literal:
        if value in args:
            return value
        wanted = ", ".join(repr(a) for a in args)
        raise ValueError(f"{source}: key {key!r} is {value!r}, wanted one of {wanted}")
    elif origin in (list, tuple):
        if isinstance(value, list) and (origin is list or args[-1:] == (...,)):
            return origin(_convert(args[0], item, source, key) for item in value)
        if isinstance(value, list) and len(value) == len(args):
            pairs = zip(args, value, strict=True)
            return tuple(_convert(a, item, source, key) for a, item in pairs)
    elif dataclasses.is_dataclass(hint):
        if isinstance(value, dict):
            return _build(hint, value, source, f"{key}.")  # type: ignore[arg-type]
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif hint is Path:
        if isinstance(value, str):
            return Path(value)
    elif isinstance(hint, type) and type(value) is hint:  # so that true is not an int
        return value
    wanted = hint.__name__ if isinstance(hint, type) else str(hint)
    raise ValueError(f"{source}: key {key!r} is {value!r}, wanted {wanted}")
