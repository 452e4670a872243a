# `make` lists the targets. The environment lives in .venv/ and is made again when setup.py or pyproject.toml changes.
PYTHON ?= python3
WORKERS ?= 2
CONFIG ?= qat_configs/synthetic_faces.yaml

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test lint bench data clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY)  ## render faces, train on wrong labels, convert, verify, report
	$(BIN)/python -m pipeline.run --config $(CONFIG)

test: $(READY) data  ## the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(READY)  ## ruff
	$(BIN)/ruff check .

bench: $(READY)  ## cost of a training step, latency and size of the files: docs/results/
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.inference

data: $(READY)
	@$(BIN)/python -m pipeline.data.fetch fashion_mnist

clean:  ## remove the environment and caches; runs/ and tflite_out/ stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find pipeline tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(READY): setup.py pyproject.toml
	@found=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo missing); \
	case $$found in 3.11|3.12) ;; *) \
	  echo "Nibble needs Python 3.11 or 3.12; '$(PYTHON)' is $$found." >&2; \
	  echo "Install one (Debian: apt-get install python3 python3-venv) and name it: make PYTHON=python3.11 ..." >&2; \
	  exit 2;; esac
	@echo "Setting up $(VENV)/: some minutes the first time" >&2
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed. On Debian: apt-get install python3-venv" >&2; \
	  exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,test]'
	@touch $@
