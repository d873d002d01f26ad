"""What recommendations are compared with."""

from __future__ import annotations

from ml.benchmark.bandit_simulator import SIMULATOR
from ml.benchmark.farming import COMPARISONS as FARMING
from ml.benchmark.open_bandit import OPEN_BANDIT

COMPARISONS = (*FARMING, OPEN_BANDIT, *SIMULATOR)
