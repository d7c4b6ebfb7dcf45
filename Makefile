# Every target works on a bare machine with Python 3.11 or newer and pip.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export PYTHONDONTWRITEBYTECODE =
.DEFAULT_GOAL := help
.PHONY: help demo test check unit torture schema bench browser-installed clean

help:
	@echo "make demo      the whole loop on real flights (EXIT=1 ends by itself)"
	@echo "make test      everything that CI runs"
	@echo "make check     lint, types, floors, unit tests (EXPLORE=1 tries new examples in property tests)"
	@echo "make torture   long repetitions; writes benchmarks/torture.json"
	@echo "make bench     benchmarks against peers"
	@echo "make schema    the schema of new installations, after a revision was written"

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "installing Loopline and the example's libraries into $(VENV)"
	@$(PIP) -e '.[example]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "installing Loopline with all that tests need into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.demo

browser-installed:
	@sh tests/system_packages.sh

demo: $(VENV)/.demo
	@$(BIN)/python examples/late-arrival/demo.py $(if $(EXIT),--exit)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 -m unit

test: $(VENV)/.dev browser-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 --dist loadfile -m "(unit or integration) and not torture" --durations=25
	$(BIN)/pytest -q -m "(journey or browser) and not torture" --durations=10

torture: $(VENV)/.dev
	$(BIN)/pytest tests -m torture --torture-results=benchmarks/torture.json

schema: $(VENV)/.dev
	$(BIN)/python -m loopline.app.migrations.fresh

bench: $(VENV)/.dev
	@for bench in pipelines/bench pipelines/releases serving/beside serving/engines serving/record serving/swaps monitoring/beside monitoring/drift monitoring/looks monitoring/estimates monitoring/profiles monitoring/realized monitoring/blame monitoring/gates monitoring/windows monitoring/lasting tracking/bench; do \
		echo "== $$bench"; $(BIN)/python benchmarks/$$bench.py || exit 1; done

clean:
	rm -rf $(VENV) .demo .peers .mypy_cache .ruff_cache .pytest_cache
