"""Evidence that may be looked at after every observation. Pure Python: the router of the data plane imports it.

An e-value is the wealth of a bet against a claim: if the claim holds, the chance that it ever reaches 1/a is at most a
(Ville 1939; Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023). So one
may look as often as one likes, and stop when one likes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ODDS = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)
SMALLEST = 1e-6


def log_evidence_above(hits: int, trials: int, most: float) -> float:
    """Natural log of the e-value against "each trial hits with a probability of at most `most`, whatever came before".

    An equal mixture of likelihood ratios to the odds of `most` times 1.2 to 1000 (the mixture SPRT of Robbins 1970).
    Only the counts matter. `most` below 1e-6 counts as 1e-6; from 1 on nothing speaks against the claim.
    """
    if most >= 1.0 or trials <= 0:
        return 0.0
    claim = max(most, SMALLEST)
    logs = []
    for factor in ODDS:
        odds = factor * claim / (1 - claim)
        other = odds / (1 + odds)
        missed = (trials - hits) * (math.log1p(-other) - math.log1p(-claim))
        logs.append(hits * (math.log(other) - math.log(claim)) + missed)
    return log_sum(logs) - math.log(len(logs))


def log_evidence_shares(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Natural log of the e-value against "each unit falls to arm i with probability shares[i]": the Dirichlet mixture of
    Lindon and Malek, "Anytime-valid inference for multinomial count data" (2022), with one pseudo-count spread as the
    shares are. A sample-ratio mismatch shows here. ValueError for a share that is not above 0."""
    if any(share <= 0 for share in shares):
        raise ValueError("each arm needs a share above 0")
    weight = 1.0
    found = math.lgamma(weight) - math.lgamma(weight + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = weight * share
        found += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return found


def upper_share(hits: int, trials: int, error: float) -> float:
    """The largest probability of a hit that `hits` in `trials` do not contradict: exceeded by the true one with
    probability at most `error` (Chernoff's bound). 1 when there were no trials."""
    if trials <= 0 or hits >= trials:
        return 1.0
    share, bound = hits / trials, -math.log(error) / trials
    low, high = share, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if divergence(share, middle) > bound:
            high = middle
        else:
            low = middle
    return high


def divergence(first: float, second: float) -> float:
    """The Kullback-Leibler divergence of two coins, in nats."""
    found = 0.0
    for mine, theirs in ((first, second), (1 - first, 1 - second)):
        if mine > 0:
            found += mine * math.log(mine / theirs) if theirs > 0 else math.inf
    return found


def log_sum(logs: Sequence[float]) -> float:
    """The log of the sum of exponentials."""
    top = max(logs)
    return top + math.log(sum(math.exp(each - top) for each in logs))
