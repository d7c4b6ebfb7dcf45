"""Student's t distribution with nothing but the standard library."""

from __future__ import annotations

import math
from functools import lru_cache


def t_upper_tail(value: float, degrees: float) -> float:
    """P(T > value) for `degrees` of freedom (incomplete beta function, Abramowitz and Stegun 26.7.1)."""
    if degrees <= 0:
        raise ValueError("degrees of freedom must be positive")
    half = 0.5 * _incomplete_beta(degrees / (degrees + value * value), degrees / 2, 0.5)
    return half if value >= 0 else 1 - half


@lru_cache(maxsize=512)
def t_quantile(probability: float, degrees: float) -> float:
    """The value below which T lies with `probability`; bisection on the upper tail, good to 1e-9."""
    if not 0 < probability < 1:
        raise ValueError("a probability lies between 0 and 1")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_upper_tail(high, degrees) > 1 - probability and high < 1e12:
        low, high = high, high * 2
    while high - low > 1e-10 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if t_upper_tail(middle, degrees) > 1 - probability else (low, middle)
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(x, a, b) / a
    return 1 - front * _continued_fraction(1 - x, b, a) / b


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method for the continued fraction of the incomplete beta function (DLMF 8.17.22)."""
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    result = d
    for m in range(1, 400):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d or tiny)
            c = 1 + factor / c or tiny
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return result
