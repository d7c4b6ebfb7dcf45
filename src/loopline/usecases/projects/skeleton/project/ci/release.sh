#!/bin/sh
# Seals the pipeline as a release; CI does it on the main branch only. LOOPLINE_HOME, a variable of the CI, is the folder
# of the installation that keeps the release; unset, this proves no more than that it can be made.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ] && [ -f .venv/bin/activate ]; then . .venv/bin/activate; fi
python -m loopline release training
