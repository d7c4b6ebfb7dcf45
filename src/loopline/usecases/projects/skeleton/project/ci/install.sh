#!/bin/sh
# Installs what the checks need: what the lock names, else what pyproject.toml asks for. Without a virtual environment it
# makes one in .venv, which the other scripts find.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ]; then
    python3 -m venv .venv
    . .venv/bin/activate
fi
if [ -f requirements.lock ]; then
    python -m pip install --require-hashes -r requirements.lock
fi
python -m pip install '.[dev]'
