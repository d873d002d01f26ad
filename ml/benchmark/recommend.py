"""What recommendations are compared with."""

from __future__ import annotations

from ml.benchmark.bandit_simulator import SIMULATOR
from ml.benchmark.farming import COMPARISONS as FARMING
from ml.benchmark.next_basket import COMPARISONS as NEXT_BASKET
from ml.benchmark.open_bandit import OPEN_BANDIT

COMPARISONS = (*NEXT_BASKET, *FARMING, OPEN_BANDIT, *SIMULATOR)
