"""The names of performance metrics, and which of them are losses."""

from __future__ import annotations

from typing import Literal

BinaryMetric = Literal[
    "auc", "pr_auc", "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc", "log_loss",
    "brier", "ece", "cost",
]  # fmt: skip
RegressionMetric = Literal["mae", "mse", "rmse", "mape", "bias", "r2"]
ClassMetric = Literal["accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "cost"]
RankingMetric = Literal["ndcg", "mrr", "map", "hit_rate"]
PerformanceMetric = Literal[
    "auc", "pr_auc", "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc", "log_loss",
    "brier", "ece", "cost", "mae", "mse", "rmse", "mape", "bias", "r2", "macro_precision", "macro_recall", "macro_f1",
    "ndcg", "mrr", "map", "hit_rate",
]  # fmt: skip
LOSSES = frozenset({"log_loss", "brier", "ece", "cost", "mae", "mse", "rmse", "mape"})
