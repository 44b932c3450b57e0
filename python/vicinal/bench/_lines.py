"""A results file, line by line: what each kind of line must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vicinal.bench._fields import Fields
from vicinal.bench.records import (
    TARGETS,
    Build,
    Contender,
    Dataset,
    Kernel,
    Machine,
    Matched,
    Point,
    Ratio,
    Run,
    Settings,
)

FORMAT = "vicinal-bench/1"
_STATUSES = ("ok", "failed", "timeout", "refused")
# Memory that a process held before may be given back meanwhile.
_LOWEST_GROWTH = -(1 << 62)


def _run(fields: Fields) -> Run:
    form = fields.text("format")
    if form != FORMAT:
        raise fields.problem(f"format is {form!r}, wanted {FORMAT!r}")
    machine, settings = fields.fields("machine"), fields.fields("settings")
    return Run(
        fields.text("run"),
        fields.text("command"),
        Machine(
            machine.text("cpu"),
            machine.whole("cpus", 1),
            machine.whole_or_none("memory_bytes"),
            machine.whole_or_none("l2_bytes"),
            machine.whole_or_none("l3_bytes"),
            machine.text("system"),
            machine.number_or_none("load"),
            machine.text_or_none("python"),
            machine.text_or_none("compiler"),
            machine.text_or_none("level"),
        ),
        Settings(
            settings.whole("k", 1),
            settings.whole("rounds", 1),
            settings.whole("build_threads", 1),
            settings.whole("search_threads", 1),
            settings.choice("mode", ("batch", "single")),
            settings.number_or_none("time_limit_s"),
            settings.text_or_none("clock") or "wall",
            settings.whole_or_none("extra_rounds") or 0,
            settings.whole_or_none("repeats") or 1,
        ),
        fields.plain("bounds"),
    )


def _dataset(fields: Fields) -> Dataset:
    return Dataset(
        fields.text("run"),
        fields.text("data"),
        fields.whole("rows", 1),
        fields.whole("dim", 1),
        fields.whole("queries", 1),
        fields.text("metric"),
        fields.text_or_none("sha256") or "",
    )


def _contender(fields: Fields) -> Contender:
    status = fields.choice("status", _STATUSES)
    points = tuple(_point(point) for point in fields.list_of_fields("points"))
    if status == "ok" and not (points or fields.has("build")):
        raise fields.problem("status is ok, but there are neither points nor build")
    if status != "ok" and not fields.has("why"):
        raise fields.problem(f"status is {status}, but why is missing")
    return Contender(
        fields.text("run"),
        fields.text("data"),
        fields.text("contender"),
        fields.text("library"),
        fields.text_or_none("version") or "",
        fields.text_or_none("family") or "",
        fields.plain("flags"),
        status,
        fields.text_or_none("why"),
        _build(fields.fields("build")) if fields.has("build") else None,
        points,
        _matched(fields),
    )


def _build(fields: Fields) -> Build:
    return Build(
        fields.number("seconds"),
        fields.number_or_none("cpu_seconds"),
        fields.whole_or_none("threads"),
        fields.whole_or_none("peak_growth_bytes", _LOWEST_GROWTH),
        fields.whole_or_none("kept_growth_bytes", _LOWEST_GROWTH),
        fields.whole_or_none("index_bytes"),
        fields.whole_or_none("file_bytes"),
        fields.flag("from_cache"),
    )


def _point(fields: Fields) -> Point:
    rates, single_rates = fields.numbers("rates"), fields.numbers("single_rates")
    if not rates or min((*rates, *single_rates)) <= 0:
        raise fields.problem("a point needs rates, all above 0")
    return Point(fields.plain("params"), fields.number("recall", 0, 1), rates, single_rates)


def _matched(fields: Fields) -> dict[str, Matched]:
    found: dict[str, Matched] = {}
    if not fields.has("at_recall"):
        return found
    inner = fields.fields("at_recall")
    for target in TARGETS:
        if inner.has(target):
            at = inner.fields(target)
            rate, recall = at.number("rate"), at.number("recall", 0, 1)
            if rate <= 0:
                raise at.problem(f"at_recall.{target}.rate is {rate:g}, wanted more than 0")
            found[target] = Matched(rate, recall, at.flag("above"))
    return found


def _ratio(fields: Fields) -> Ratio:
    ratio, rounds = fields.number("ratio"), fields.whole("rounds", 1)
    low, high = fields.number_or_none("low"), fields.number_or_none("high")
    if low is None or high is None or rounds == 1:
        low = high = None  # a single round has no interval
    elif low > high:
        raise fields.problem(f"low is {low:g}, more than high, which is {high:g}")
    if ratio <= 0 or low == 0:
        raise fields.problem("ratio and low must be above 0")
    return Ratio(
        fields.text("run"),
        fields.text("data"),
        fields.text("contender"),
        fields.text("reference"),
        fields.number("target", 0, 1),
        ratio,
        low,
        high,
        rounds,
    )


def _kernel(fields: Fields) -> Kernel:
    kernel = Kernel(
        fields.text("run"),
        fields.text("name"),
        fields.text_or_none("level") or "",
        fields.text_or_none("where") or "",
        fields.number("reached"),
        fields.number("bound"),
        fields.text("unit"),
        fields.text_or_none("bound_by") or "",
    )
    if kernel.bound <= 0:
        raise fields.problem("bound is 0, wanted more than 0")
    return kernel


#: For each kind of line: what makes it, and what tells it from others of its kind, the run first.
KINDS: dict[str, tuple[Callable[[Fields], Any], Callable[[Any], tuple[object, ...]]]] = {
    "run": (_run, lambda run: (run.id,)),
    "dataset": (_dataset, lambda d: (d.run, d.name)),
    "contender": (_contender, lambda c: (c.run, c.data, c.name)),
    "ratio": (_ratio, lambda r: (r.run, r.data, r.contender, r.reference, r.target)),
    "kernel": (_kernel, lambda k: (k.run, k.name, k.level, k.where)),
}
