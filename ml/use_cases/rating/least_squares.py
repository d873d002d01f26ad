"""Ordinary least squares: the closed form, solved by a QR decomposition, with intervals of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Coefficients of y = b₀ + Σ bⱼ xⱼ, intercept first, each with its interval."""

    coefficients: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    sigma: float
    """Standard deviation of what is not explained."""


def least_squares(x: NDArray[np.float64], y: NDArray[np.float64], confidence: float) -> Fit:
    """Return the coefficients that minimise Σ (y − Xb)².

    With X = QR the solution is b = R⁻¹Qᵀy; the normal equations' XᵀX, whose condition is that of X squared, is never
    formed. Intervals are b ± t(n − p) · s · √diag(R⁻¹R⁻ᵀ) (Draper and Smith 1998, ch. 5).

    Args:
        x: `(n_rows, n_inputs)`, without a column for the intercept.
        y: `(n_rows,)`
        confidence: Level of the intervals (0..1).

    Raises:
        ValueError: There are too few rows, or one input is a combination of the others.
    """
    from scipy import linalg, stats

    design = np.column_stack([np.ones(len(x)), x])
    freedom = len(design) - design.shape[1]
    if freedom < 1:
        raise ValueError(f"Expected more than {design.shape[1]} rows. Received {len(design)}. Bring more data.")
    q, r = linalg.qr(design, mode="economic")
    diagonal = np.abs(np.diag(r))
    if diagonal.min() <= diagonal.max() * np.finfo(np.float64).eps * len(design):
        raise ValueError("Expected inputs that vary on their own. Received one that follows from the others. Drop it.")
    solved = linalg.solve_triangular(r, q.T @ y)
    inverse = linalg.solve_triangular(r, np.eye(len(r)))
    sigma = float(np.sqrt(((y - design @ solved) ** 2).sum() / freedom))
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * sigma * np.sqrt((inverse**2).sum(axis=1))
    return Fit(coefficients=solved, low=solved - reach, high=solved + reach, sigma=sigma)
