"""Settings in TOML: round trips, and mistakes that are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal import SQ8, HNSWParams, config


@dataclass(frozen=True)
class Inner:
    weight: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    build_ef: int = 200
    metric: Literal["l2", "ip"] = "l2"
    fast: bool = False
    place: Path | None = None
    efs: list[int] = field(default_factory=list)
    pair: tuple[int, str] = (0, "")
    either: int | str = 0
    inner: Inner = Inner()


def test_round_trip(tmp_path: Path) -> None:
    want = Settings(7, "ip", True, Path("a/b"), [3, 4], (1, "x"), "y", Inner(0.5, ("é", "")))
    text = config.dumps(want)
    assert "build-ef = 7" in text
    assert config.loads(Settings, text) == want
    config.save(tmp_path / "a.toml", want)
    assert config.load(Settings, tmp_path / "a.toml") == want


def test_what_is_left_out_has_its_default() -> None:
    assert config.loads(Settings, "") == Settings()
    assert config.loads(Settings, config.dumps(Settings())) == Settings()  # None is left out


def test_names_with_underscores_are_taken_too() -> None:
    assert config.loads(Settings, "build_ef = 9").build_ef == 9
    with pytest.raises(ValueError, match="'build-ef' is given twice"):
        config.loads(Settings, "build_ef = 9\nbuild-ef = 9")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("build-fe = 1", "a.toml: unknown key 'build-fe'; the nearest is 'build-ef'"),
        ("zzz = 1", "unknown key 'zzz'; the nearest is"),
        ("[inner]\nwieght = 1", "unknown key 'inner.wieght'; the nearest is 'inner.weight'"),
        ("build-ef = '1'", "key 'build-ef' is '1', wanted int"),
        ("build-ef = true", "key 'build-ef' is True, wanted int"),
        ("build-ef = 1.0", "key 'build-ef' is 1.0, wanted int"),
        ("fast = 1", "key 'fast' is 1, wanted bool"),
        ("metric = 'x'", "key 'metric' is 'x', wanted one of 'l2', 'ip'"),
        ("efs = [1, 'x']", "key 'efs' is 'x', wanted int"),
        ("pair = [1]", "key 'pair' is [1], wanted tuple[int, str]"),
        ("place = 3", "key 'place' is 3, wanted Path"),
        ("either = 1.5", "key 'either' is 1.5, wanted int | str"),
        ("inner = 3", "key 'inner' is 3, wanted Inner"),
        ("inner.weight = true", "key 'inner.weight' is True, wanted float"),
        ("x = ", "a.toml: not TOML"),
        ("x = " + "[" * 5000, "a.toml: not TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=r"a\.toml") as caught:
        config.load(Settings, tmp_path / "a.toml")
    assert said in str(caught.value)


def test_a_key_without_a_default_is_missed() -> None:
    @dataclass
    class Needy:
        path: str

    with pytest.raises(ValueError, match="key 'path' is missing"):
        config.loads(Needy, "")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ValueError, match="not UTF-8 at byte 5"):
        config.load(Settings, tmp_path / "a.toml")


def test_what_toml_cannot_hold_is_refused() -> None:
    @dataclass
    class Odd:
        value: Any = object

    with pytest.raises(TypeError, match="cannot write"):
        config.dumps(Odd())


def test_parameters_of_an_index() -> None:
    want = HNSWParams(SQ8(), "float16", links=24)
    text = config.dumps(want)
    assert 'codec = "sq8"' in text
    assert config.loads(HNSWParams, text) == want
    with pytest.raises(ValueError, match="unknown key 'linsk'; the nearest is 'links'"):
        config.loads(HNSWParams, "linsk = 3")
    with pytest.raises(ValueError, match="codec must be one of"):
        config.loads(HNSWParams, "codec = 'sq9'")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        Settings,
        build_ef=st.integers(-(2**63), 2**63 - 1),
        fast=st.booleans(),
        efs=st.lists(st.integers(0, 1000)),
        pair=st.tuples(st.integers(0, 9), TEXT),
        either=st.integers(0, 9) | TEXT,
        inner=st.builds(Inner, weight=st.floats(allow_nan=False), names=st.lists(TEXT).map(tuple)),
    )
)
def test_anything_comes_back(want: Settings) -> None:
    assert config.loads(Settings, config.dumps(want)) == want
