# Every target does its own set-up: a machine with Python 3.11 (venv) and a C compiler is enough.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
ARGS ?=

RUN := $(VENV)/bin/
INSTALLED := $(VENV)/.installed
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))
# One thread per test worker: two workers that each start a thread per core only get in each
# other's way.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)python -m pytest -q

.DEFAULT_GOAL := help
.PHONY: help install demo test test-faults test-long bench

help:
	@echo "make install      build $(VENV) with the pinned versions"
	@echo "make demo         the whole journey on screen; ARGS=--no-serve stops before serving"
	@echo "make test         lint, types, floors and tests"
	@echo "make test-faults  kills, power losses, full disks, fuzzing"
	@echo "make test-long    the tests that take hours"
	@echo "make bench        every script in benchmarks/, one by one"

install: $(INSTALLED)

# The stamp is written last, so that an interrupted installation is taken up again;
# a folder without a working pip is made anew.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is missing or older than Python 3.11."; \
		echo "Install Python 3.11 or newer, or name it: make PYTHON=python3.11"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) has no venv."; \
		echo "Install it (on Debian: apt-get install python3-venv)."; exit 1; } >&2
	$(RUN)python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(RUN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(RUN)honeyguide demo $(ARGS)

test: install
	$(RUN)ruff check
	$(RUN)ruff format --check
	$(RUN)mypy src $(wildcard benchmarks/*.py)
	$(RUN)lint-imports
	$(PYTEST) -n $(WORKERS) $(ARGS)

# Not in parallel: these measure memory, fill disks and kill processes.
test-faults: install
	$(PYTEST) -m faults --timeout 1800 $(ARGS)

test-long: install
	$(PYTEST) -m long --timeout 0 $(ARGS)

bench: install
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(RUN)python "$$script"; done
