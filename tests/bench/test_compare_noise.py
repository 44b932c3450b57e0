"""What bench/compare calls a change, on timings made up with a known truth."""

from __future__ import annotations

import itertools
import math
import os
import random

import pytest
from bench.comparison import noise
from bench.comparison.rounds import SIDES, Rounds, interleave, pinned

TRIALS = 200


def made_up(draw: random.Random, count: int, slower: float = 1.0, sigma: float = 0.02) -> Rounds:
    """Drift from round to round, noise of each pass, and a burst of 50% now and then."""
    out = Rounds()
    for _ in range(count):
        drift = math.exp(draw.gauss(0, 0.05))
        for side in SIDES:
            burst = 1.5 if draw.random() < 0.05 else 1.0
            seconds = 1e-6 * drift * burst * math.exp(draw.gauss(0, sigma))
            getattr(out, side).append(seconds * (slower if side == "head" else 1.0))
    return out


def test_noise_alone_is_reported_in_no_more_than_one_run_of_twenty():
    draw = random.Random(1)
    wrong = 0
    for _ in range(TRIALS):
        samples = {str(name): made_up(draw, 15) for name in range(20)}
        wrong += any(v.p <= noise.ALPHA for v in noise.judge(samples))
    # 10 expected at the promised 5%; 99% of binomial(200, 0.05) lies at or below 18.
    assert wrong <= 18


def test_noise_alone_never_reaches_the_report_with_the_least_change():
    draw = random.Random(2)
    for _ in range(TRIALS):
        samples = {str(name): made_up(draw, 15, sigma=0.01) for name in range(20)}
        assert not any(v.moved for v in noise.judge(samples))


def test_single_p_values_are_as_frequent_as_they_say():
    draw = random.Random(3)
    p = [noise.p_value(made_up(draw, 15)) for _ in range(4000)]
    for level in (0.01, 0.05, 0.2, 0.5):
        share = sum(x <= level for x in p) / len(p)
        # Never more than promised (and three standard errors), nor much less: sums take steps.
        assert 0.6 * level <= share <= level + 3 * math.sqrt(level * (1 - level) / len(p))


@pytest.mark.parametrize("factor", [1.10, 1 / 1.10])
def test_ten_percent_is_reported_among_hundreds_of_unchanged_ones(factor):
    draw = random.Random(4)
    found = 0
    for _ in range(20):
        samples = {str(name): made_up(draw, 15) for name in range(300)}
        samples["changed"] = made_up(draw, 15, factor)
        verdicts = {v.name: v for v in noise.judge(samples)}
        moved = [v.name for v in verdicts.values() if v.moved]
        assert set(moved) <= {"changed"}
        found += moved == ["changed"]
        assert verdicts["changed"].change == pytest.approx(factor - 1, abs=0.04)
        assert verdicts["changed"].slower == (verdicts["changed"].moved and factor > 1)
    assert found >= 15  # measured: 19 slower, 17 faster; 5% of all passes are bursts


def test_a_clear_change_below_the_least_is_not_reported():
    draw = random.Random(5)
    samples = {"x": made_up(draw, 15, 1.012, sigma=0.0005)}
    (verdict,) = noise.judge(samples)
    assert verdict.p < 0.001
    assert not verdict.moved
    assert noise.judge(samples, least=0.005)[0].moved


def test_a_change_within_the_spread_of_base_is_not_reported():
    rounds = Rounds()
    for number in range(15):  # BASE against itself differs by 20% and more, HEAD lies just above
        low, high = (1.0, 1.3) if number % 2 else (1.3, 1.0)
        rounds.base.append(low)
        rounds.again.append(high)
        rounds.head.append(1.31)
    (verdict,) = noise.judge({"x": rounds})
    assert verdict.p < 0.001
    assert verdict.change > 0.1
    assert not verdict.moved


def test_p_value_equals_the_count_over_all_orders():
    draw = random.Random(6)
    for ties in (False, True):
        rounds = Rounds()
        for _ in range(5):
            values = [draw.choice([1, 1, 2, 3]) if ties else draw.random() for _ in SIDES]
            for side, value in zip(SIDES, values, strict=True):
                getattr(rounds, side).append(float(value))

        def places(head, others):
            return sum(o < head for o in others) - sum(o > head for o in others)

        threes = list(zip(rounds.base, rounds.head, rounds.again, strict=True))
        seen = abs(sum(places(b, (a, c)) for a, b, c in threes))
        outcomes = [
            abs(sum(places(t[i], t[:i] + t[i + 1 :]) for t, i in zip(threes, pick, strict=True)))
            for pick in itertools.product(range(3), repeat=5)
        ]
        want = sum(outcome >= seen for outcome in outcomes) / len(outcomes)
        assert noise.p_value(rounds) == pytest.approx(want)


def test_holm_by_hand():
    assert noise.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert noise.holm([0.5, 0.9]) == [1.0, 1.0]
    assert noise.holm([]) == []


def test_median_interval_by_binomial_tables():
    # Places 2 and 9 of ten cover the median with 97.9%, places 4 and 12 of fifteen with 96.5%.
    assert noise.median_interval(range(1, 11)) == (2, 9)
    assert noise.median_interval(range(1, 16)) == (4, 12)
    assert noise.median_interval([3, 1, 2]) == (1, 3)


def test_rounds_needed_is_the_first_that_can_report():
    for benchmarks in (1, 9, 146, 438):
        needed = noise.rounds_needed(benchmarks)
        for rounds, can in ((needed, True), (needed - 1, False)):
            apart = Rounds([1.0] * rounds, [2.0] * rounds, [1.001] * rounds)
            assert (noise.p_value(apart) * benchmarks <= noise.ALPHA) == can


def test_going_first_is_no_advantage():
    """Whoever runs first in a round takes 10% longer: that is no property of HEAD."""
    passes = itertools.count()
    counts = dict.fromkeys(SIDES, 0)

    def measure(side):
        first = next(passes) % 3 == 0
        counts[side] += first
        return {"x": (1.1 if first else 1.0) * (1 + 1e-4 * draw.random())}

    draw = random.Random(7)
    samples = interleave(measure, 60)
    assert min(counts.values()) >= 10  # of 60, 20 expected
    assert not noise.judge(samples)[0].moved


def test_interleave_keeps_rounds_together():
    calls = []

    def measure(side):
        calls.append(side)
        return {"x": float(len(calls)), "y": 1.0}

    samples = interleave(measure, 4, seed=3)
    assert [sorted(calls[i : i + 3]) for i in range(0, 12, 3)] == [sorted(SIDES)] * 4
    for number, three in enumerate(
        zip(samples["x"].base, samples["x"].head, samples["x"].again, strict=True)
    ):
        assert sorted(three) == [3 * number + 1, 3 * number + 2, 3 * number + 3]


def test_pinned_gives_the_processors_back():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("processes cannot be pinned here")
    before = os.sched_getaffinity(0)

    def interrupted():
        with pinned() as processor:
            assert os.sched_getaffinity(0) == {processor}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.sched_getaffinity(0) == before
