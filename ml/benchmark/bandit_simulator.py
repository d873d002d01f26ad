"""The bandit where the truth is known: how often intervals cover it, and what learning from one's own log brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from ml.bandit.choice import Choices, Numbers, chances, prefer_base, prefer_best
from ml.bandit.interval import CONFIDENCE
from ml.bandit.learn import Evidence, Log, cross_fitted, joined, learn, logged
from ml.bandit.off_policy import ESTIMATORS, Logged, Terms, doubly_robust, gain, value
from ml.benchmark.bandit_shop import Shop, answer, visit, worth
from ml.benchmark.comparison import Bar, Comparison, Figures, Peer
from ml.evaluation.bootstrap import Estimate

LEARNABLE = Shop(beta=(0.3, 0.6, -0.4, 0.0), bend=-0.3)
RARE = Shop(beta=(0.3, 0.6, -0.4, 0.0), bend=-0.3, level=-5.0)
NOTHING_TO_LEARN = Shop(beta=(0.8, 0.0, 0.0, 0.0), level=-5.0)
KNOWN = (0.3, 0.6, -0.4, 0.0)  # weights of the policy whose value is asked for
EXPLORE = 0.1
LOGGED: dict[str, tuple[Shop, float, int]] = {
    "10 % explored": (LEARNABLE, 0.1, 300),
    "30 % explored": (LEARNABLE, 0.3, 300),
    "all explored": (LEARNABLE, 1.0, 300),
    "rare clicks, 10 % explored": (RARE, 0.1, 1000),
}
"""Shop, share explored and customers of each log."""
COVER_SEEDS = 100
MANY = 50_000  # customers whose expected clicks are the truth: it is known to 0.2 %, intervals are 10 % wide and more
ROUNDS = 8
CUSTOMERS = 2000  # a round
SHARE_EXPLORED = 0.2


def target(choices: Choices) -> Numbers:
    """Return the chances of the policy whose value is asked for."""
    return chances(choices, prefer_best(choices, KNOWN), EXPLORE)


def base(choices: Choices) -> Numbers:
    """Return the chances of the base list: it draws nothing."""
    return chances(choices, prefer_base(choices), 0.0)


@cache
def truth(shop: Shop) -> tuple[float, float]:
    """Return the true clicks a place of `target` and of `base`."""
    many = visit(shop, MANY, np.random.default_rng(0))
    return worth(many, target(many.choices)), worth(many, base(many.choices))


def asked(shop: Shop, explored: float, n_units: int, seed: int) -> tuple[Logged, Logged]:
    """Return a log of the exploring base list as estimators of `target` and of `base` see it."""
    rng = np.random.default_rng(seed)
    visits = visit(shop, n_units, rng)
    log = answer(visits, chances(visits.choices, prefer_base(visits.choices), explored), rng)
    predicted = cross_fitted(log, seed)
    return logged(log, target(log.choices), predicted), logged(log, base(log.choices), predicted)


@cache
def worlds(name: str) -> list[tuple[Logged, Logged]]:
    """Return the log of each seed, for `target` and for `base`; `name` is a key of `LOGGED`."""
    return [asked(*LOGGED[name], seed) for seed in range(1, COVER_SEEDS + 1)]


def covered(terms: Terms, name: str) -> Figures:
    """Return in how many of `COVER_SEEDS` worlds an estimator's intervals hold the truth, and its relative bias."""
    values = [value(one, terms) for one, _ in worlds(name)]
    gains = [gain(one, other, terms) for one, other in worlds(name)]
    return _figures(name, values, gains)


def covered_by_student(name: str) -> Figures:
    """Return the same for doubly robust estimates under Student's interval of the customers' means."""
    terms = [(doubly_robust(one), doubly_robust(other), one.units) for one, other in worlds(name)]
    values = [_student(one, units) for one, _, units in terms]
    return _figures(name, values, [_student(one - other, units) for one, other, units in terms])


def _student(terms: Numbers, units: NDArray[np.generic]) -> Estimate:
    from scipy import stats

    by_unit = terms.reshape(len(np.unique(units)), -1)  # every customer has as many rows, one after the other
    means = by_unit.mean(axis=1)
    low, high = stats.t.interval(CONFIDENCE, len(means) - 1, loc=means.mean(), scale=stats.sem(means))
    return Estimate(value=float(means.mean()), low=float(low), high=float(high))


def _figures(name: str, values: list[Estimate], gains: list[Estimate]) -> Figures:
    of_target, of_base = truth(LOGGED[name][0])
    return {
        f"{name}: covered": _held(values, of_target),
        f"{name}: gain covered": _held(gains, of_target - of_base),
        f"{name}: bias": float(np.mean([one.value for one in values])) / of_target - 1,
    }


def _held(found: list[Estimate], known: float) -> float:
    return float(sum(one.low <= known <= one.high for one in found))


def _coverage(covers: Callable[[str], Figures]) -> Peer:
    return lambda _data, _seed: {key: number for name in LOGGED for key, number in covers(name).items()}


Heed = Callable[[Evidence], bool] | None
"""Whether what was learned is shown; none learns nothing."""


def rounds(shop: Shop, heed: Heed, seed: int, explored: float = SHARE_EXPLORED) -> Iterator[float]:
    """Yield what each round truly earned, relative to the base list: what was logged so far decides the next round."""
    rng, logs, weights = np.random.default_rng(seed), list[Log](), None
    for number in range(ROUNDS):
        visits = visit(shop, CUSTOMERS, rng, first=number * CUSTOMERS)
        choices = visits.choices
        chance = chances(choices, prefer_best(choices, weights) if weights else prefer_base(choices), explored)
        yield worth(visits, chance) / worth(visits, base(choices))
        logs.append(answer(visits, chance, rng))
        if heed is not None:
            found = learn(joined(logs), explored, seed)
            weights = found.weights if heed(found) else None


def _learning(heed: Heed) -> Peer:
    def measure(_data: None, seed: int) -> Figures:
        figures: Figures = {}
        for name, shop in {"learnable": LEARNABLE, "nothing to learn": NOTHING_TO_LEARN}.items():
            earned = list(rounds(shop, heed, seed))
            figures |= {f"{name}: all rounds": float(np.mean(earned)), f"{name}: last": earned[-1]}
            figures[f"{name}: worst"] = min(earned)
        return figures

    return measure


COVERAGE: dict[str, Peer] = {
    **{name: _coverage(partial(covered, terms)) for name, terms in ESTIMATORS.items()},
    "dr, Student's interval": _coverage(covered_by_student),
}
WORST = 1 - SHARE_EXPLORED * 2 / 3  # where no challenger ever earns anything

SIMULATOR = (
    Comparison(
        name="bandit-simulator",
        use_case="recommend",
        title="Intervals of off-policy estimates where the truth is known",
        protocol=(
            "A made-up shop: three arms a place, three places, three visits of each of 300 customers (1,000 where clicks are "
            "rare), moods that make a customer's visits alike. The base list explores a share of its places and logs; asked is "
            "the value of an ε-greedy policy with known weights (ε = 0.1), and its gain over the base list. Covered: in so many of "
            "100 seeds the 95 % interval holds the truth (the expected clicks of 50,000 customers)."
        ),
        peers=COVERAGE,
        ours="dr",
        fixed=frozenset(COVERAGE),
        bars=tuple(
            Bar(figure=f"{name}: {what}", limit=90, side="at least")
            for name in LOGGED
            for what in ("covered", "gain covered")
        ),
    ),
    Comparison(
        name="bandit-rounds",
        use_case="recommend",
        title="What learning from its own log brings a re-ranker",
        protocol=(
            "The same shop over eight rounds of 2,000 new customers; a fifth of the drawn places explores throughout. After each "
            "round a policy is learned from half of all customers so far; `guarded` shows it where the lower end of its doubly "
            "robust gain on the other half is above 0, `unguarded` always, `base` never. Figures are true clicks of the drawn "
            "places, relative to the base list without exploration. In the shop with nothing to learn, whose clicks are rare, "
            "the base list ranks best."
        ),
        peers={
            "guarded": _learning(lambda found: found.is_accepted),
            "unguarded": _learning(lambda _: True),
            "base": _learning(None),
        },
        ours="guarded",
        seeds=tuple(range(1, 11)),
        bars=(
            Bar(figure="learnable: last", limit=1.05, side="at least"),
            Bar(figure="learnable: worst", limit=WORST, side="at least"),
            Bar(figure="nothing to learn: worst", limit=WORST, side="at least"),
        ),
    ),
)
