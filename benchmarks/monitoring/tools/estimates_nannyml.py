"""NannyML's CBPE with its defaults: `census FOLDER` writes the census table that it ships; `estimate FILE` reads a question
(reference and analysis as Parquet with moment, chance, called and, in the reference, truth; how to cut) and prints estimates."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import nannyml  # noqa: E402
import pandas  # noqa: E402


def census(folder: Path) -> None:
    """Reference and analysis rows, one below the other, with their truth and which of both they are."""
    reference, analysis, truth = nannyml.load_us_census_ma_employment_data()
    analysis = analysis.merge(truth, on="id")
    whole = pandas.concat([reference.assign(part="reference"), analysis.assign(part="analysis")], ignore_index=True)
    for name in whole.columns:
        if str(whole[name].dtype) in ("category", "object"):
            whole[name] = whole[name].astype(str)
    whole.to_parquet(folder / "census.parquet")


def estimate(question: dict[str, str]) -> None:
    reference, analysis = (pandas.read_parquet(question[part]) for part in ("reference", "analysis"))
    cut = {"chunk_period": "W"} if question["cut"] == "week" else {"chunk_size": int(question["cut"])}
    found = nannyml.CBPE(
        y_pred_proba="chance", y_pred="called", y_true="truth", timestamp_column_name="moment",
        problem_type="classification_binary", metrics=["roc_auc", "f1"], **cut,
    ).fit(reference)  # fmt: skip
    told = found.estimate(analysis).filter(period="analysis").to_df()
    values = {metric: told[name]["value"].tolist() for metric, name in (("auc", "roc_auc"), ("f1", "f1"))}
    starts = [str(start)[:10] for start in told["chunk"]["start_date"]]
    print("ANSWER " + json.dumps({"starts": starts, **values}))


if sys.argv[1] == "census":
    census(Path(sys.argv[2]))
else:
    estimate(json.loads(Path(sys.argv[2]).read_text()))
sys.stdout.flush()
os._exit(0)  # one of its libraries aborts when the interpreter ends
