"""What shapes an index: small frozen values that print, compare and turn into dicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vicinal.errors import ArgumentError

__all__ = [
    "SQ4",
    "SQ8",
    "Codec",
    "FlatParams",
    "Float16",
    "Float32",
    "HNSWParams",
    "Int8",
    "Uint8",
]


@dataclass(frozen=True)
class Codec:
    """How the vectors are stored that a search looks at; use one of the classes below it."""

    name: ClassVar[str] = ""


@dataclass(frozen=True)
class Float32(Codec):
    """4 bytes per dimension: what came in, rounded to float32."""

    name: ClassVar[str] = "float32"


@dataclass(frozen=True)
class Float16(Codec):
    """2 bytes per dimension, 11 significant bits; magnitudes up to 65504."""

    name: ClassVar[str] = "float16"


@dataclass(frozen=True)
class Int8(Codec):
    """1 byte per dimension: whole numbers from -128 to 127, kept exactly."""

    name: ClassVar[str] = "int8"


@dataclass(frozen=True)
class Uint8(Codec):
    """1 byte per dimension: whole numbers from 0 to 255, kept exactly."""

    name: ClassVar[str] = "uint8"


@dataclass(frozen=True)
class SQ8(Codec):
    """1 byte per dimension and a few per vector: 256 steps between its own least and greatest.

    References
    ----------
    Aguerrebere et al., "Similarity search in the blink of an eye with compressed indices",
    PVLDB 16(11), 2023: locally-adaptive vector quantization.
    """

    name: ClassVar[str] = "sq8"


@dataclass(frozen=True)
class SQ4(Codec):
    """Half a byte per dimension and a few bytes per vector: 16 steps instead of 256. See SQ8."""

    name: ClassVar[str] = "sq4"


_CODECS: dict[str, Codec] = {
    codec.name: codec for codec in (Float32(), Float16(), Int8(), Uint8(), SQ8(), SQ4())
}
_REFINES = ("none", "float16", "float32")


def as_codec(value: object) -> Codec:
    """Make a codec of itself, its class or its name."""
    if isinstance(value, type) and issubclass(value, Codec):
        value = value.name
    if isinstance(value, Codec):
        value = value.name
    if not isinstance(value, str):
        raise TypeError(
            f"codec must be one such as SQ8() or its name, got {type(value).__name__} {value!r}"
        )
    if value not in _CODECS:
        raise ArgumentError(f"codec must be one of {', '.join(map(repr, _CODECS))}, got {value!r}")
    return _CODECS[value]


def as_refine(value: object) -> str | None:
    """Make None, "float16" or "float32"; "none" counts as None, for formats that have no null."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"refine must be None or a string, got {type(value).__name__} {value!r}")
    if value is None or value == "none":
        return None
    if value not in _REFINES:
        raise ArgumentError(
            f"refine must be None or one of {', '.join(map(repr, _REFINES))}, got {value!r}"
        )
    return value


def _known(cls: type[Any], values: Mapping[str, object]) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(cls)]
    for key in values:
        if key not in names:
            raise ArgumentError(f"{cls.__name__} has no {key!r}; it has {', '.join(names)}")
    return dict(values)


@dataclass(frozen=True)
class FlatParams:
    """What shapes a :class:`~vicinal.FlatIndex`.

    Parameters
    ----------
    codec : Codec or str
        Float32, Float16, Int8, Uint8 or SQ8.
    """

    codec: Codec = dataclasses.field(default_factory=Float32)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", as_codec(self.codec))

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers, as TOML and JSON hold them."""
        return {"codec": self.codec.name}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> FlatParams:
        """Undo :meth:`to_dict`; what is left out has its default, an unknown key is an error."""
        return cls(**_known(cls, values))


@dataclass(frozen=True)
class HNSWParams:
    """What shapes an :class:`~vicinal.HNSWIndex`.

    Parameters
    ----------
    codec : Codec or str
        What the walk looks at: Float32, Float16, SQ8 or SQ4.
    refine : None, "float16" or "float32"
        Finer rows kept beside the codes, which re-rank the last candidates.
    links : int
        Edges per node above the base layer, 2 to 512; twice that on it.
    build_ef : int
        Candidates weighed per insertion.
    seed : int
        The only source of randomness.
    """

    codec: Codec = dataclasses.field(default_factory=Float32)
    refine: str | None = None
    links: int = 16
    build_ef: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", as_codec(self.codec))
        object.__setattr__(self, "refine", as_refine(self.refine))

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers, as TOML and JSON hold them; no refine store is "none"."""
        return {
            "codec": self.codec.name,
            "refine": self.refine or "none",
            "links": self.links,
            "build_ef": self.build_ef,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> HNSWParams:
        """Undo :meth:`to_dict`; what is left out has its default, an unknown key is an error."""
        return cls(**_known(cls, values))
