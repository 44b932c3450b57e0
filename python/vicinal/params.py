"""What shapes an index: small frozen values that print, compare and turn into dicts."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vicinal.errors import ArgumentError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vicinal._types import Metric, Progress
    from vicinal.codecs import TrainedCodec

__all__ = [
    "PQ",
    "RQ",
    "SQ4",
    "SQ8",
    "Codec",
    "FlatParams",
    "Float8",
    "Float16",
    "Float32",
    "HNSWParams",
    "IVFParams",
    "Int8",
    "RaBitQ",
    "SQ4x8",
    "SignBits",
    "Uint8",
]


@dataclass(frozen=True)
class Codec:
    """How vectors are stored that a search looks at; use one of the classes below it.

    Every codec has a short text (``str(codec)``), which is taken wherever a codec is: in
    arguments, settings files and on the command line.
    """

    name: ClassVar[str] = ""

    def key(self) -> tuple[str, int, int, int, int]:
        """Name, parts, bits, variant and seed, as the core takes them."""
        return (self.name, 0, 0, 0, 0)

    def __str__(self) -> str:
        return self.name

    def train(
        self,
        vectors: npt.ArrayLike,
        *,
        metric: Metric | str = "l2",
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> TrainedCodec:
        """Learn from vectors what this codec needs, and return it ready to encode and decode.

        Parameters
        ----------
        vectors : array_like, shape (n, dim)
            Rows spread evenly over them are learned from: 10,000 where means suffice, 65,536 for
            PQ and RQ.
        metric : {"l2", "ip", "cosine"}
            What the codes shall serve; under cosine vectors are made unit length first.
        threads : int, optional
            The result does not depend on it.
        progress : callable, optional
            As for :meth:`vicinal.FlatIndex.add`.

        Returns
        -------
        TrainedCodec

        Raises
        ------
        ArgumentError
            Too few vectors, not so many dimensions, NaN, infinity. A ``ValueError``.
        """
        from vicinal.codecs import TrainedCodec

        return TrainedCodec.train(self, vectors, metric=metric, threads=threads, progress=progress)


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


@dataclass(frozen=True)
class SQ4x8(Codec):
    """SQ4, and 8 bits per dimension for what it leaves over: graphs walk the first level only.

    References
    ----------
    As SQ8: its two-level form.
    """

    name: ClassVar[str] = "sq4x8"


@dataclass(frozen=True)
class Float8(Codec):
    """1 byte per dimension: e4m3 floats with a scale per vector."""

    name: ClassVar[str] = "float8"


@dataclass(frozen=True)
class PQ(Codec):
    """Product quantization: one of 256 (or 16) centroids for each of some parts of the vector.

    Parameters
    ----------
    parts : int
        Sub-vectors, 1 to the number of dimensions; the first ``dim % parts`` are one wider.
    bits : {8, 4}
        Per part. Codes of 4 bits are scanned by look-ups in registers.
    anisotropic : bool
        Learn for inner products: errors along the vector count more than those across it.

    References
    ----------
    Jegou, Douze and Schmid, IEEE TPAMI 33(1), 2011; Andre, Kermarrec and Le Scouarnec, PVLDB
    9(4), 2015 (look-ups in registers); Guo et al., ICML 2020 (anisotropic).
    """

    name: ClassVar[str] = "pq"
    parts: int
    bits: int = 8
    anisotropic: bool = False

    def __post_init__(self) -> None:
        _whole(self, "parts", 1, 32768)
        _one_of("bits", self.bits, (8, 4))

    def key(self) -> tuple[str, int, int, int, int]:  # noqa: D102
        return (self.name, self.parts, self.bits, int(self.anisotropic), 0)

    def __str__(self) -> str:
        return f"pq{self.parts}x{self.bits}{'+anisotropic' if self.anisotropic else ''}"


@dataclass(frozen=True)
class RQ(Codec):
    """Residual quantization: a sum of one of 256 centroids from each of some levels.

    Parameters
    ----------
    levels : int
        Bytes per vector, before one more that is about its length.
    beam : int
        Codes kept while encoding, 1 to 64: more finds nearer sums, in proportionally more time.

    References
    ----------
    Chen, Guan and Wang, Sensors 10(12), 2010; beam search as in Babenko and Lempitsky, CVPR 2014.
    """

    name: ClassVar[str] = "rq"
    levels: int
    beam: int = 5

    def __post_init__(self) -> None:
        _whole(self, "levels", 1, 256)
        _whole(self, "beam", 1, 64)

    def key(self) -> tuple[str, int, int, int, int]:  # noqa: D102
        return (self.name, self.levels, 8, self.beam, 0)

    def __str__(self) -> str:
        return f"rq{self.levels}{'' if self.beam == 5 else f'+beam{self.beam}'}"


_LEVELS = ("auto", "uniform", "normal")


@dataclass(frozen=True)
class RaBitQ(Codec):
    """Codes of 1 to 8 bits per dimension of the rotated vector, whose inner products are unbiased.

    Parameters
    ----------
    bits : int
        1 to 8.
    levels : {"auto", "uniform", "normal"}
        Where the values lie: evenly (RaBitQ), or where a normal distribution has them (EDEN).
        auto takes what measured better at so many bits.
    seed : int
        Of the rotation.

    References
    ----------
    Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025 (more than one bit); Vargaftik et al., ICML
    2022 (EDEN).
    """

    name: ClassVar[str] = "rabitq"
    bits: int = 1
    levels: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _whole(self, "bits", 1, 8)
        _one_of("levels", self.levels, _LEVELS)
        _whole(self, "seed", 0, 2**63 - 1)

    def key(self) -> tuple[str, int, int, int, int]:  # noqa: D102
        return (self.name, 0, self.bits, _LEVELS.index(self.levels), self.seed)

    def __str__(self) -> str:
        levels = "" if self.levels == "auto" else f"+{self.levels}"
        return f"rabitq{self.bits}{levels}{f'+seed{self.seed}' if self.seed else ''}"


_THRESHOLDS = ("zero", "mean", "median", "rotated")


@dataclass(frozen=True)
class SignBits(Codec):
    """One bit per dimension: above a threshold or not. A bit stands for the mean of its side.

    Parameters
    ----------
    threshold : {"zero", "mean", "median", "rotated"}
        Of each dimension; "rotated": the signs after a random rotation about the mean.
    seed : int
        Of the rotation.
    """

    name: ClassVar[str] = "signs"
    threshold: str = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("threshold", self.threshold, _THRESHOLDS)
        _whole(self, "seed", 0, 2**63 - 1)

    def key(self) -> tuple[str, int, int, int, int]:  # noqa: D102
        return (self.name, 0, 1, _THRESHOLDS.index(self.threshold), self.seed)

    def __str__(self) -> str:
        threshold = "" if self.threshold == "zero" else f"+{self.threshold}"
        return f"signs{threshold}{f'+seed{self.seed}' if self.seed else ''}"


def _whole(params: object, what: str, least: int, most: int) -> None:
    """Make an int of whatever is one, as numpy's are."""
    value = getattr(params, what)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be a whole number, got {type(value).__name__} {value!r}")
    number = operator.index(value)
    if not least <= number <= most:
        raise ArgumentError(f"{what} must be {least} to {most}, got {number}")
    object.__setattr__(params, what, number)


def _one_of(what: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ArgumentError(f"{what} must be one of {', '.join(map(repr, choices))}, got {value!r}")


_CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (Float32(), Float16(), Int8(), Uint8(), SQ8(), SQ4(), SQ4x8(), Float8())
}
_TEXTS = "'pq48x8', 'pq96x4', 'rq16', 'rabitq4', 'signs'"
_TEXT = re.compile(r"(pq(\d+)(?:x(\d+))?|rq(\d+)|rabitq(\d+)|signs)((?:\+[a-z]+\d*)*)")


def _parse(text: str) -> Codec | None:
    """Make a codec of its text, or None if it is not one."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    whole, parts, bits, levels, rabitq, options = found.groups()
    more: dict[str, Any] = {}
    for option in options.split("+")[1:]:
        number = option.lstrip("abcdefghijklmnopqrstuvwxyz")
        word = option.removesuffix(number)
        if option == "anisotropic" and parts:
            more["anisotropic"] = True
        elif word == "beam" and number and levels:
            more["beam"] = int(number)
        elif word == "seed" and number and (rabitq or whole == "signs"):
            more["seed"] = int(number)
        elif rabitq and option in _LEVELS:
            more["levels"] = option
        elif whole == "signs" and option in _THRESHOLDS:
            more["threshold"] = option
        else:
            return None
    if parts:
        return PQ(int(parts), int(bits or 8), **more)
    if levels:
        return RQ(int(levels), **more)
    return RaBitQ(int(rabitq), **more) if rabitq else SignBits(**more)


def codec_of(key: tuple[str, int, int, int, int]) -> Codec:
    """Undo :meth:`Codec.key`."""
    name, parts, bits, variant, seed = key
    if name == PQ.name:
        return PQ(parts, bits, bool(variant))
    if name == RQ.name:
        return RQ(parts, variant)
    if name == RaBitQ.name:
        return RaBitQ(bits, _LEVELS[variant], seed)
    if name == SignBits.name:
        return SignBits(_THRESHOLDS[variant], seed)
    return _CODECS[name]


_REFINES = ("none", "float16", "float32", "sq8")


def as_codec(value: object) -> Codec:
    """Make a codec of itself, its class or its text."""
    if isinstance(value, type) and issubclass(value, Codec) and value.name in _CODECS:
        value = value.name
    if isinstance(value, Codec):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f"codec must be one such as SQ8() or its text, got {type(value).__name__} {value!r}"
        )
    codec = _CODECS.get(value) or _parse(value)
    if codec is None:
        raise ArgumentError(
            f"codec must be one of {', '.join(map(repr, _CODECS))}, or such as {_TEXTS}, "
            f"got {value!r}"
        )
    return codec


def as_refine(value: object) -> str | None:
    """Make None, "float16", "float32" or "sq8"; "none" counts as None, as TOML has no null."""
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
        Any.
    """

    codec: Codec = dataclasses.field(default_factory=Float32)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", as_codec(self.codec))

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers, as TOML and JSON hold them."""
        return {"codec": str(self.codec)}

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
        What the walk looks at: any but Int8 and Uint8.
    refine : None, "float16" or "float32"
        Finer rows kept beside the codes, which re-rank the last candidates.
    links : int
        Edges per node above the base layer, 2 to 512; twice that on it.
    build_ef : int
        Effort: candidates weighed for the links of a vector.
    seed : int
        The only source of randomness.
    builder : {"auto", "batch", "insert"}
        Whether the first vectors are linked all at once or one by one.
    """

    codec: Codec = dataclasses.field(default_factory=Float32)
    refine: str | None = None
    links: int = 16
    build_ef: int = 200
    seed: int = 0
    builder: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", as_codec(self.codec))
        object.__setattr__(self, "refine", as_refine(self.refine))

    def to_dict(self) -> dict[str, Any]:
        """Plain strings and numbers, as TOML and JSON hold them; no refine store is "none"."""
        return {
            "codec": str(self.codec),
            "refine": self.refine or "none",
            "links": self.links,
            "build_ef": self.build_ef,
            "seed": self.seed,
            "builder": self.builder,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> HNSWParams:
        """Undo :meth:`to_dict`; what is left out has its default, an unknown key is an error."""
        return cls(**_known(cls, values))


@dataclass(frozen=True)
class IVFParams:
    """What shapes an :class:`~vicinal.IVFIndex`.

    Parameters
    ----------
    codec : Codec or str
        What a search looks at: any but Int8 and Uint8.
    refine : None, "float16", "float32" or "sq8"
        Finer rows kept beside the codes, which re-rank the candidates.
    lists : int or None
        None: chosen from the first vectors, about four times the square root of their number.
    residual : bool
        Codes hold what the centroid of the list leaves over of a vector.
    soar : bool
        Each vector in a second list too.
    spill : float
        With `soar`: what a second residual along the first costs, 0 to 1000.
    balance : float
        0: every vector in the list of its nearest centroid. From 1 to 1000: no list takes more
        than so many times the mean while one of the nearest few has room.
    seed : int
        The only source of randomness.
    """

    codec: Codec = dataclasses.field(default_factory=SQ8)
    refine: str | None = None
    lists: int | None = None
    residual: bool = True
    soar: bool = False
    spill: float = 1.0
    balance: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", as_codec(self.codec))
        object.__setattr__(self, "refine", as_refine(self.refine))
        for name in ("residual", "soar"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                got = f"{type(value).__name__} {value!r}"
                raise TypeError(f"{name} must be True or False, got {got}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as TOML and JSON hold them; no refine store is "none", no lists are 0."""
        return {
            "codec": str(self.codec),
            "refine": self.refine or "none",
            "lists": self.lists or 0,
            "residual": self.residual,
            "soar": self.soar,
            "spill": self.spill,
            "balance": self.balance,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> IVFParams:
        """Undo :meth:`to_dict`; what is left out has its default, an unknown key is an error."""
        known = _known(cls, values)
        known["lists"] = known.get("lists") or None
        return cls(**known)
