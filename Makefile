# The two commands: `make run` retrains and promotes a real model, `make test` checks everything.
# One version of uv: the machine's own where it is that one, or else one installed from deploy/uv.txt by its hash.
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' deploy/uv.txt)
UV ?= $(if $(filter $(UV_VERSION),$(shell uv --version 2>/dev/null)),uv,.uv/bin/uv)
export UV_COMPILE_BYTECODE := 1
RUN_EXTRAS := --extra pipeline --extra serve
BIN := .venv/bin
HOME_DIR := $(or $(TRADEWIND_HOME),.tradewind)

.PHONY: help reference run up down clean test check bench setup setup-dev

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup  ## Set everything up, retrain and promote through Airflow, show what is live
	@$(BIN)/tradewind run

up: setup  ## Start the embedded stack and leave it running
	@$(BIN)/tradewind up

down:  ## Stop all that `make run` started
	@test ! -x $(BIN)/tradewind || $(BIN)/tradewind down

clean: down  ## Stop and forget data, versions and secrets
	@test ! -x $(BIN)/tradewind || $(BIN)/tradewind clean --yes

setup: .venv/.run-ready

setup-dev: .venv/.dev-ready

.venv/.run-ready: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --frozen --quiet --inexact --no-dev $(RUN_EXTRAS)
	@touch $@

.venv/.dev-ready: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --frozen --quiet --inexact --group dev --group bench $(RUN_EXTRAS) $(TRADEWIND_TEST_EXTRAS)
	@touch $@ .venv/.run-ready

.uv/bin/uv: deploy/uv.txt
	@python3 -m venv .uv && .uv/bin/pip install --quiet --require-hashes -r deploy/uv.txt && touch $@

check: setup-dev  ## Lint, formatting, types, import rules, audit of the dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python deploy/audit.py
	@$(BIN)/python deploy/reference.py --check

reference: setup-dev  ## Write docs/reference from the code
	@$(BIN)/python deploy/reference.py

bench: setup-dev  ## Compare with what a shop would use instead: make bench USE_CASE=… (data: TRADEWIND_DATA_DIR)
	@$(BIN)/tradewind bench $(USE_CASE) $(if $(DATA),--data $(DATA)) $(if $(ONLY),--only $(ONLY))

test: check  ## check, then the tests
	@$(BIN)/pytest -n 2 --dist loadfile
