"""Tails of the usual distributions over whole arrays, with numpy alone. Imports numpy: import it only where it is used.

Incomplete gamma and beta functions by series and continued fractions (Abramowitz and Stegun 6.5.29, 6.5.31; DLMF
8.17.22, both by Lentz's method), the normal quantile by Wichura's AS 241 (1988), all to about 1e-10 relative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TINY = 1e-300
_TURNS = 2000
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip


def log_gamma(x: Any) -> Floats:
    """The logarithm of the gamma function for x > 0 (Lanczos 1964, g = 7)."""
    x = np.asarray(x, dtype=np.float64) - 1
    total = np.full(x.shape, _LANCZOS[0])
    for place, factor in enumerate(_LANCZOS[1:], 1):
        total = total + factor / (x + place)
    base = x + 7.5
    return np.asarray(0.5 * np.log(2 * np.pi) + (x + 0.5) * np.log(base) - base + np.log(total))


def gamma_tail(shape: Any, x: Any) -> Floats:
    """P(X > x) of a gamma variable of that shape and scale 1. Chi-square with k degrees: shape k / 2, x / 2."""
    a, x = (np.asarray(part, dtype=np.float64) for part in np.broadcast_arrays(shape, np.maximum(x, 0.0)))
    found = np.ones(a.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        front = np.exp(-x + a * np.log(np.maximum(x, _TINY)) - log_gamma(a))
        low = (x > 0) & (x < a + 1)
        high = (x >= a + 1) & np.isfinite(x)
        found[low] = 1 - front[low] * _gamma_series(a[low], x[low])
        found[high] = front[high] * _gamma_fraction(a[high], x[high])
    found[np.isinf(x)] = 0.0
    return np.asarray(np.clip(found, 0.0, 1.0))


def beta_part(a: Any, b: Any, x: Any) -> Floats:
    """The regularized incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1."""
    a, b, x = (np.asarray(part, dtype=np.float64) for part in np.broadcast_arrays(a, b, np.clip(x, 0.0, 1.0)))
    turned = x >= (a + 1) / (a + b + 2)
    first, second, at = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, 1 - x, x)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        logs = log_gamma(a + b) - log_gamma(a) - log_gamma(b)
        front = np.exp(logs + first * np.log(np.maximum(at, _TINY)) + second * np.log1p(-np.minimum(at, 1 - 1e-16)))
        found = np.where(at > 0, front / first * _beta_fraction(first, second, at), 0.0)
    return np.asarray(np.clip(np.where(turned, 1 - found, found), 0.0, 1.0))


def f_tail(x: Any, above: Any, below: Any) -> Floats:
    """P(F > x) with `above` and `below` degrees of freedom. The square of Student's t with k degrees is F(1, k)."""
    x = np.maximum(np.asarray(x, dtype=np.float64), 0.0)
    return beta_part(np.asarray(below) / 2, np.asarray(above) / 2, below / (below + above * x))


def normal_tails(z: Any) -> Floats:
    """P(|Z| > |z|), both sides."""
    return gamma_tail(0.5, np.square(np.asarray(z, dtype=np.float64)) / 2)


def kolmogorov_tail(x: Any) -> Floats:
    """P(K > x) of Kolmogorov's law, of sqrt(n) times the largest difference from a continuous distribution (1933)."""
    x = np.maximum(np.asarray(x, dtype=np.float64), 1e-3)[..., None]
    order = np.arange(1, 41)
    large = 2 * (np.where(order % 2, 1.0, -1.0) * np.exp(-2 * np.square(order * x))).sum(axis=-1)
    odd = np.square(2 * order[:10] - 1)
    small = 1 - np.sqrt(2 * np.pi) / x[..., 0] * np.exp(-odd * np.pi**2 / (8 * np.square(x))).sum(axis=-1)
    return np.asarray(np.clip(np.where(x[..., 0] < 1, small, large), 0.0, 1.0))


def binomial_tails(hits: Any, trials: Any, share: Any) -> tuple[Floats, Floats]:
    """(P(X >= hits), P(X <= hits)) of `trials` trials that each hit with probability `share`.

    Beyond a variance of 2,500 by the normal law with continuity correction.
    """
    hits, trials, share = (np.asarray(part, dtype=np.float64) for part in np.broadcast_arrays(hits, trials, share))
    spread = trials * share * (1 - share)
    many = spread > 2500
    size = np.where(many, 1.0, trials)
    at = np.where(many, 0.0, np.clip(hits, 0, trials))
    above = np.where(at > 0, beta_part(np.maximum(at, 1e-9), size - at + 1, share), 1.0)
    below = np.where(at < size, 1 - beta_part(at + 1, np.maximum(size - at, 1e-9), share), 1.0)
    middle, width = trials * share, np.sqrt(np.maximum(spread, 1e-300))
    return (
        np.where(many, normal_above((hits - 0.5 - middle) / width), above),
        np.where(many, normal_above(-(hits + 0.5 - middle) / width), below),
    )


def normal_above(z: Any) -> Floats:
    """P(Z > z)."""
    both = normal_tails(z)
    return np.asarray(np.where(np.asarray(z) > 0, both / 2, 1 - both / 2))


def normal_quantile(share: Any) -> Floats:
    """The z below which a standard normal variable lies with probability `share` (0 < share < 1)."""
    share = np.asarray(share, dtype=np.float64)
    centred = share - 0.5
    square = 0.180625 - np.square(centred)
    middle = centred * _ratio(square, _A, _B)
    tail = np.sqrt(-np.log(np.maximum(np.minimum(share, 1 - share), _TINY)))
    outer = np.where(tail <= 5, _ratio(tail - 1.6, _C, _D), _ratio(tail - 5, _E, _F))
    return np.asarray(np.where(np.abs(centred) <= 0.425, middle, np.sign(centred) * outer))


def _ratio(x: Floats, above: tuple[float, ...], below: tuple[float, ...]) -> Floats:
    return np.asarray(np.polyval(above[::-1], x) / np.polyval((1.0, *below)[::-1], x))


def _gamma_series(a: Floats, x: Floats) -> Floats:
    term = 1 / a
    total, turn = term.copy(), 0
    while len(a) and turn < _TURNS and bool((term > total * 1e-13).any()):
        turn += 1
        term = term * x / (a + turn)
        total += term
    return total


def _gamma_fraction(a: Floats, x: Floats) -> Floats:
    b = x + 1 - a
    c, d = np.full(a.shape, 1 / _TINY), 1 / b
    total = d.copy()
    for turn in range(1, _TURNS):
        factor = -turn * (turn - a)
        b = b + 2
        d = 1 / _kept(factor * d + b)
        c = _kept(b + factor / c)
        step = c * d
        total *= step
        if not bool((np.abs(step - 1) > 1e-14 * turn + 1e-13).any()):
            break
    return total


def _beta_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """The continued fraction, only for those that have not converged yet: most have after a few turns."""
    whole, found, left = a.shape, np.ones(a.size), np.arange(a.size)
    a, b, x = a.ravel(), b.ravel(), x.ravel()
    c = np.ones(a.shape)
    d = 1 / _kept(1 - (a + b) * x / (a + 1))
    total = d.copy()
    for turn in range(1, _TURNS):
        even = turn * (b - turn) * x / ((a + 2 * turn - 1) * (a + 2 * turn))
        d, c = 1 / _kept(1 + even * d), _kept(1 + even / c)
        total *= c * d
        odd = -(a + turn) * (a + b + turn) * x / ((a + 2 * turn) * (a + 2 * turn + 1))
        d, c = 1 / _kept(1 + odd * d), _kept(1 + odd / c)
        total *= c * d
        if turn % 6 == 0 or turn < 3:
            open_ = np.abs(c * d - 1) > 1e-14 * turn + 1e-13
            found[left] = total
            if not open_.any():
                break
            left = left[open_]
            a, b, x, c, d, total = (part[open_] for part in (a, b, x, c, d, total))
    found[left] = total
    return found.reshape(whole)


def _kept(x: Floats) -> Floats:
    return np.where(np.abs(x) < _TINY, _TINY, x)


_A = (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
      4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3)  # fmt: skip
_B = (4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
      3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3)  # fmt: skip
_C = (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
      1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4)  # fmt: skip
_D = (2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
      1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9)  # fmt: skip
_E = (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
      2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7)  # fmt: skip
_F = (5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
      1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15)  # fmt: skip
