#!/bin/sh
# Installs what the checks need: what requirements.lock names, where there is one, and what pyproject.toml asks for.
# Without a virtual environment it makes one in .venv, which the other scripts find.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ]; then
    python3 -m venv .venv
    . .venv/bin/activate
fi
python -m pip install 'pip>=25.1'
if [ -f requirements.lock ]; then
    python -m pip install --require-hashes -r requirements.lock
    python -m pip install "loopline==$(sed -n 's/^# loopline: //p' requirements.lock)"
fi
python -m pip install . --group dev
