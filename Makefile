# make demo   set up, run the whole pipeline on this machine, print the summary
# make test   set up, lint, test
# make test-gpu    the tests of a machine with a CUDA GPU, four minutes
# make gpu-wheels  what those need beside torch and numpy, as wheels in build/gpu-wheels for a machine without a network
# make lint   the linters only
# make docs   build the documentation into build/docs, strictly
# make venv   set up only: .venv from requirements.lock
# make lock   make requirements.lock anew from the versions that pyproject.toml allows
# make clean  remove caches; .venv and results/ stay

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
# Any Python from 3.11 on; `make PYTHON=/path/to/python3` chooses one.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)) python3)

.PHONY: help demo test test-gpu gpu-wheels lint docs venv lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo: venv
	@$(BIN)/snakemake --no-hooks
	@$(BIN)/hat report >/dev/null
	@$(BIN)/hat table

test: lint
	@$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-gpu: venv
	@$(BIN)/pytest -m gpu tests/gpu

# Versions are the lock's; of the three that are not pure Python, the wheels for GPU_PYTHON on x86-64.
GPU_PYTHON ?= 3.12
GPU_PACKAGES := annotated-doc annotated-types hypothesis iniconfig markdown-it-py mdurl packaging pluggy pydantic \
    pydantic_core Pygments pytest PyYAML regex rich shellingham sortedcontainers tqdm typer typing-inspection \
    typing_extensions
gpu-wheels: venv
	@rm -rf build/gpu-wheels
	@for name in $(GPU_PACKAGES); do grep -i "^$$name==" requirements.lock || { \
	    echo "make: $$name is not in requirements.lock" >&2; exit 1; }; done > build/gpu-wheels.txt
	@$(BIN)/python -m pip download -qq --disable-pip-version-check --no-deps --only-binary=:all: \
	    --python-version $(GPU_PYTHON) --implementation cp --platform manylinux_2_28_x86_64 \
	    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d build/gpu-wheels -r build/gpu-wheels.txt
	@$(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w build/gpu-wheels .
	@echo "build/gpu-wheels: $$(ls build/gpu-wheels | wc -l) wheels for Python $(GPU_PYTHON)"

lint: venv
	@$(BIN)/ruff check hat tests
	@$(BIN)/ruff format --check hat tests
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/mypy

docs: venv
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

venv: $(STAMP)

# The stamp comes last: a set-up that was interrupted starts again from nothing.
$(STAMP): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || { \
	    echo "make: $(PYTHON) is missing or older than Python 3.11; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	    name=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu install the package $$name" >&2; exit 1; }
	@echo "Setting up $(VENV); this takes a few minutes once."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# torch is held at the version that the project was measured with. Local version labels and the packages that
# torch needs on some platforms only are left out, so that the lock installs everywhere.
lock:
	@"$(PYTHON)" -m venv --clear build/lock
	@build/lock/bin/python -m pip install -qq --disable-pip-version-check '.[workflow,cluster,cost,test]' 'torch==2.13.0' 'setuptools>=77'
	@{ echo "# Exact versions of everything that .venv holds; made by \`make lock\`."; \
	    build/lock/bin/python -m pip freeze --all --exclude hat --exclude pip | sed 's/+[a-z0-9.]*$$//' \
	    | grep -Ev '^(nvidia-[^m]|cuda-|triton)' | LC_ALL=C sort -f; } > build/requirements.lock
	@mv build/requirements.lock requirements.lock

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find hat tests -name __pycache__ -prune -exec rm -rf {} +
