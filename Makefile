# Everything below needs only Python 3.11+, git and make: the environment is made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: run test lint check bench

run: $(READY)
	$(BIN)/steer ui

# Three processes, a file at a time, a thread each: half of the browser's tests is waiting. In the
# order of the folders the short files come last, where two processes wait for the third.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

check: lint test

bench: $(READY)
	$(BIN)/python -m benchmarks

# The stamp is newer than what it was installed from, or the environment is brought up to date.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@
