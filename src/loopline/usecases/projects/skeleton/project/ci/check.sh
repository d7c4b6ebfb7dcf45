#!/bin/sh
# What every change must pass, the same here and on every CI: style, tests, a loopline.yaml that can be applied, and a
# lock that is not stale.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ] && [ -f .venv/bin/activate ]; then . .venv/bin/activate; fi
python -m ruff check .
python -m ruff format --check .
python -m pytest -q
python -m loopline plan
if [ -f requirements.lock ]; then python -m loopline lock --check; fi
