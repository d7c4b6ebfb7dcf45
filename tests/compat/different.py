"""Where Loopline answers otherwise than MLflow's own server, on purpose: by story and answer, with the reason."""

from __future__ import annotations

from typing import Any

_INVALID = {"refused": "INVALID_PARAMETER_VALUE"}
_TAKEN = {"accepted": "list"}

WANTED: dict[str, dict[str, Any]] = {
    "tracking": {
        "metric key 'a\\n'": _INVALID,  # a line end is no part of a name
    },
    "searching": {
        # a run that ended has an end, also when the client named none
        "where attributes.end_time > 0": ["ant", "bee", "cat", "elk"],
        "by ['attributes.end_time DESC']": ["elk", "cat", "bee", "ant", "fox", "dog"],
        "wrong metrics.loss IS NULL": _TAKEN,  # the grammar is larger
        "wrong params.model IN ('a')": _TAKEN,
        "wrong    ": _TAKEN,  # blanks are no filter
        "wrong metrics. = 1": _INVALID,  # MLflow reads what it cannot understand as something else
        "wrong AND params.model = 'a'": _INVALID,
        "wrong order ['metrics.loss', 'metrics.loss DESC']": _INVALID,  # MLflow answers 500
    },
    "registry": {
        "numbers begin again": "5",  # a version's name stands for one thing for ever
    },
    "artifacts": {
        "list None": [
            ["data.json", False, 29],
            ["empty.txt", False, 0],  # MLflow's client cannot tell an empty file's size
            ["figures", True, None],
            ["large.bin", False, 5120000],
            ["single", True, None],
            ["table.json", False, 54],
            ["texts", True, None],
            ["whole", True, None],
        ],
    },
    "logged_models": {
        "where status = 'READY'": ["first"],  # MLflow compares its number with the word
    },
}

THROUGH_THE_PLUGIN: dict[str, dict[str, Any]] = {
    # no protobuf message and no HTTP library stands before the check, so both refuse in MLflow's own way
    "tracking": {"metric of text": _INVALID},
    "artifacts": {"outside": _INVALID, "absolute": _INVALID},
}
