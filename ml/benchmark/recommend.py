"""What recommendations are compared with."""

from __future__ import annotations

from ml.benchmark.farming import COMPARISONS as FARMING

COMPARISONS = FARMING
