"""The arithmetic of the comparison: recall, brackets, interpolation, intervals, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench.recall import datasets, explore, machine, peers
from bench.recall.peers.base import power_of_two, probes
from bench.recall.ratios import interval, paired, student
from bench.recall.rounds import REPEATS, WIDE, Result, _unsure
from bench.recall.sweep import Point, at_recall, brackets, levels_off


def line_of(*rows: list[float]) -> datasets.Dataset:
    base = np.array(rows, np.float32)
    truth = np.argsort(((base - base[0]) ** 2).sum(axis=1), kind="stable")[None, :]
    return datasets.Dataset("rows", "l2", base, base[:1].copy(), truth.astype(np.int64))


def test_a_tie_with_the_last_neighbour_counts() -> None:
    data = line_of([0, 0], [1, 0], [0, 1], [5, 5])
    kth = datasets.kth_distance(data, 2)
    for ids in ([0, 1], [0, 2], [2, 0]):
        assert datasets.recall(data, np.array([ids]), kth) == 1.0


@pytest.mark.parametrize("wrong", [3, -1, 4, 2**40, -(2**40)])
def test_far_rows_and_ids_of_no_row_do_not_count(wrong: int) -> None:
    data = line_of([0, 0], [1, 0], [0, 1], [5, 5])
    kth = datasets.kth_distance(data, 2)
    assert datasets.recall(data, np.array([[0, wrong]]), kth) == 0.5


def test_a_row_named_twice_counts_once() -> None:
    data = line_of([0, 0], [1, 0], [0, 1], [5, 5])
    assert datasets.recall(data, np.array([[0, 0]]), datasets.kth_distance(data, 2)) == 0.5


def test_the_first_queries_are_the_same_for_everybody(tmp_path: object) -> None:
    path = f"{tmp_path}/set.npz"
    rows = np.arange(40, dtype=np.uint8).reshape(20, 2)
    np.savez(path, base=rows, query=rows, gt=np.arange(20)[:, None], metric=np.array("l2"))
    few, all_of_them = datasets.load(path, max_queries=7), datasets.load(path)
    assert np.array_equal(few.query, all_of_them.query[:7])
    assert np.array_equal(few.truth, all_of_them.truth[:7])
    # Truth goes where its query went.
    assert np.array_equal(all_of_them.base[all_of_them.truth[:, 0]], all_of_them.query)
    assert not np.array_equal(all_of_them.query, all_of_them.base)


def test_brackets_are_the_neighbours_of_each_target() -> None:
    recalls = [0.5, 0.8, 0.91, 0.94, 0.96, 0.98, 0.995, 1.0]
    assert brackets(recalls, [0.90, 0.95, 0.99]) == [1, 2, 3, 4, 5, 6]
    assert brackets([0.97, 0.98], [0.90, 0.99]) == [0, 1]
    assert brackets([0.97], [0.90, 0.99]) == [0]


def test_a_curve_that_levels_off_is_left() -> None:
    assert not levels_off([0.1, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert not levels_off([0.5, 0.6, 0.7, 0.8, 0.81, 0.82, 0.83])
    assert levels_off([0.5, 0.6, 0.7, 0.8, 0.8001, 0.8002, 0.8003])


def points(*pairs: tuple[float, list[float]]) -> list[Point]:
    return [Point({"ef": i}, recall, rates) for i, (recall, rates) in enumerate(pairs)]


def test_throughput_lies_between_the_neighbours_of_a_target() -> None:
    curve = points((0.90, [1000.0]), (0.96, [250.0]), (0.98, [100.0]))
    found = at_recall(curve, 0.93)
    assert found is not None
    assert found.rate == pytest.approx(500.0)  # half way in recall: the geometric mean
    assert (found.recall, found.above) == (0.93, False)
    first = at_recall(curve, 0.85)
    assert first is not None
    assert (first.rate, first.recall, first.above) == (1000.0, 0.90, True)
    assert at_recall(curve, 0.99) is None


def test_ratios_are_of_the_same_round() -> None:
    # The second round is ten times slower for both: the ratio does not see it.
    mine = points((0.90, [300.0, 30.0, 300.0]), (0.96, [300.0, 30.0, 300.0]))
    theirs = points((0.80, [100.0, 10.0, 100.0]), (0.99, [100.0, 10.0, 100.0]))
    ratio = paired(mine, theirs, 0.95)
    assert ratio is not None
    assert (ratio.ratio, ratio.low, ratio.high) == pytest.approx((3.0, 3.0, 3.0))
    assert ratio.rounds == 3
    assert paired(mine, theirs, 0.99) is None
    turns = paired(mine[:1] * 2, theirs, 0.85, 2)
    assert turns is not None
    assert turns.rounds == 2  # two repeats, and one that was the last


def test_a_ratio_is_unsure_where_its_interval_is_wide() -> None:
    contender = peers.Contender("it", "numpy", "graph", peers.Adapter)
    base = points((0.85, [100.0] * 4 * REPEATS), (0.97, [100.0] * 4 * REPEATS))

    def unsure(spread: float, rounds: int = 4) -> bool:
        rates = [300 * math.exp(spread * sign) for sign in (-1, 1, -1, 1) for _ in range(REPEATS)]
        some = rates[: rounds * REPEATS]
        mine = points((0.85, some), (0.97, some))
        return _unsure(Result(contender, points=mine, beside=base))

    # Four rounds, each of equal repeats: the interval reaches 3.182 standard errors of
    # 2 spread / sqrt(3) / 2.
    edge = WIDE / 3.182 * math.sqrt(3)
    assert not unsure(0)
    assert not unsure(0.99 * edge)
    assert unsure(1.01 * edge)
    assert not unsure(1.0, rounds=1)
    assert not _unsure(Result(contender, points=base))  # the reference: nothing was beside it


def test_the_interval_holds_what_it_says() -> None:
    """Of 95% intervals of noise with a known mean, 95% hold that mean."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(4000):
        found = interval(list(random.normal(math.log(2.0), 0.1, size=5)))
        held += found.low <= 2.0 <= found.high
    # Five standard deviations of a binomial share of 4,000.
    assert held / 4000 == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize(
    ("freedom", "wanted"), [(1, 12.706), (4, 2.776), (11, 2.201), (20, 2.086), (120, 1.980)]
)
def test_students_quantiles_are_those_of_the_books(freedom: int, wanted: float) -> None:
    assert student(freedom) == pytest.approx(wanted, rel=1.1e-3)


def test_one_round_has_no_interval() -> None:
    assert math.isnan(interval([0.0]).low)
    assert math.isnan(interval([0.0]).high)


class Curve:
    """Recall and speed as a formula, and who asked for what."""

    def __init__(self, most: float) -> None:
        self.most, self.asked = most, []

    def __call__(self, params: peers.Params, queries: int | None) -> tuple[float, float]:
        self.asked.append((params["ef"], queries))
        # The scouts are a little too hopeful.
        recall = self.most * (1 - 3 / params["ef"]) + (0.002 if queries else 0.0)
        return recall, 1e5 / params["ef"]


def test_exploring_brackets_every_target_with_few_full_measurements() -> None:
    curve = Curve(1.0)
    found = explore.explore([[{"ef": ef} for ef in peers.rising(10)]], curve, 1.0)
    recalls = [point.recall for point, _ in found]
    for target in (0.90, 0.95, 0.99):
        below, above = [r for r in recalls if r < target], [r for r in recalls if r >= target]
        assert below
        assert above
    efs = [point.params["ef"] for point, _ in found]
    grid = peers.rising(10)
    for target in (0.90, 0.95, 0.99):
        right = next(ef for ef, r in zip(efs, recalls, strict=True) if r >= target)
        assert right == next(ef for ef in grid if 1 - 3 / ef >= target)
    assert sum(queries is None for _, queries in curve.asked) <= 10
    # It went no farther than it had to: the next ef after the scouts' 0.995 was not tried.
    assert max(ef for ef, _ in curve.asked) < 2000


def test_exploring_gives_up_where_a_curve_levels_off() -> None:
    curve = Curve(0.93)
    found = explore.explore([[{"ef": ef} for ef in peers.rising(10)]], curve, 1.0)
    assert max(ef for ef, _ in curve.asked) < 3000
    recalls = [point.recall for point, _ in found]
    assert max(recalls) < 0.95
    assert min(r for r in recalls if r >= 0.90) < 0.93


def test_exploring_ends_where_searches_become_too_slow() -> None:
    curve = Curve(0.97)
    found = explore.explore([[{"ef": ef} for ef in peers.rising(10)]], curve, 1000.0)
    assert max(ef for ef, _ in curve.asked) < 130  # 1e5 / ef passes 1000 at 100
    assert max(point.recall for point, _ in found) < 0.95


def test_exploring_two_settings_takes_the_fastest_family_of_each_target() -> None:
    def attempt(params: peers.Params, queries: int | None) -> tuple[float, float]:
        nprobe, depth = params["nprobe"], params["depth"]
        return (1 - 0.3 / nprobe) * (1 - 1 / depth), 1e6 / (10 * nprobe + depth)

    families = probes(1024, "depth", (5, 15, 60, 240, 960))
    found = [point for point, _ in explore.explore(families, attempt, 1.0)]
    for point in found:
        point.rates = [attempt(point.params, None)[1]]
    for target, depth in ((0.90, 60), (0.95, 60), (0.99, 240)):
        best = max(
            (m.rate, family[0]["depth"])
            for family in families
            if (m := at_recall([Point(p, *_one(attempt(p, None))) for p in family], target))
        )
        assert best[1] == depth
        matched = at_recall(found, target)
        assert matched is not None
        assert matched.rate == pytest.approx(best[0])


def _one(seen: tuple[float, float]) -> tuple[float, list[float]]:
    return seen[0], [seen[1]]


def test_throughput_is_never_between_points_of_two_families() -> None:
    slow = [Point({"n": 1}, 0.80, [90.0], family=0), Point({"n": 2}, 0.96, [80.0], family=0)]
    fast = [Point({"n": 1}, 0.94, [500.0], family=1), Point({"n": 2}, 0.99, [20.0], family=1)]
    found = at_recall(slow + fast, 0.95)
    assert found is not None
    # Between 0.94 and 0.99 of the fast family, which is the faster one there.
    assert found.rate == pytest.approx(500 ** (4 / 5) * 20 ** (1 / 5))


def test_a_first_guess_may_be_wrong_about_families_nearly_as_fast() -> None:
    def attempt(params: peers.Params, queries: int | None) -> tuple[float, float]:
        # As fast as the guess goes: depth 20 first, then 10, then 40.
        cost = {10: 1.1, 20: 1.0, 40: 1.5}[params["depth"]]
        return 1 - 0.5 / params["nprobe"], 1e6 / (params["nprobe"] * cost)

    families = probes(1024, "depth", (10, 20, 40))
    found = [point for point, _ in explore.explore(families, attempt, 1.0)]
    assert {point.params["depth"] for point in found} == {10, 20}
    # The rounds find depth 10 faster by a tenth; one of them, by chance, slower.
    for point in found:
        rate = 1e6 / point.params["nprobe"]
        point.rates = [rate * 1.1, rate * 0.8, rate * 1.1] if point.family == 0 else [rate] * 3
    over_all, second = at_recall(found, 0.95), at_recall(found, 0.95, 1)
    assert over_all is not None
    assert second is not None
    # The family is that of all rounds; its throughput that of the round.
    assert second.rate == pytest.approx(over_all.rate * 0.8 / 1.1)


def test_every_contender_has_one_name_and_a_family() -> None:
    found = peers.known()
    assert len(found) == 29
    assert {c.family for c in found.values()} == {"graph", "lists", "flat"}
    assert set(peers.QUICK) <= set(found)
    everybody = peers.choose(found, "all", [])
    assert set(everybody) == {n for n, c in found.items() if c.family != "flat"}
    assert peers.choose(found, "graphs", []) == [n for n in found if found[n].family == "graph"]
    assert peers.choose(found, "all", ["faiss I"]) == [
        "faiss IVF-PQfs+f32",
        "faiss IVF-RaBitQfs+f32",
    ]
    assert peers.choose(found, "all", ["nobody"]) == []


@pytest.mark.parametrize(("value", "wanted"), [(1, 1), (979.8, 1024), (1372, 1024), (1789, 2048)])
def test_numbers_of_lists_are_powers_of_two(value: float, wanted: int) -> None:
    assert power_of_two(value) == wanted


def test_kernels_are_told_in_the_unit_of_their_bound() -> None:
    kernel = {"kernel": "score_block", "place": "DRAM, random", "dim": 100, "ahead": 0}
    numbers = {
        "kernel_level": "avx2",
        "fma_flop_per_s": 1e11,
        "byte_mac_per_s": 2e11,
        "kernels": [
            # 400 bytes a row at 20 GB/s allow 5e7 rows; arithmetic 5e8.
            {**kernel, "rows": "float32", "vectors_per_s": 4e7, "bytes_per_s": 1.6e10,
             "bound_vectors_per_s": 5e7},
            {**kernel, "rows": "sq8 integer", "vectors_per_s": 1e9, "bytes_per_s": 1e11,
             "bound_vectors_per_s": 2e9},
            {**kernel, "rows": "float32 x 32", "vectors_per_s": 4e8, "bytes_per_s": 0,
             "bound_vectors_per_s": 5e8},
        ],
    }  # fmt: skip
    memory, integer, tile = machine.kernels(numbers)
    assert (memory["unit"], memory["bound_by"], memory["where"]) == (
        "GB/s",
        "memory",
        "dram random",
    )
    assert (memory["reached"], memory["bound"]) == pytest.approx((16.0, 20.0))
    assert (integer["unit"], integer["bound_by"]) == ("GFLOP/s", "arithmetic")
    assert integer["reached"] / integer["bound"] == pytest.approx(0.5)
    assert (tile["reached"], tile["bound"]) == pytest.approx((80.0, 100.0))
