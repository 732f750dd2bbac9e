# What a person can do from a checkout; `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup up down status report test lint unit e2e bench docs clean

GROUNDPLAN := .venv/bin/groundplan
PYTEST := .venv/bin/python -m pytest

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make the Python environment from the lock file
	@./scripts/setup

up: setup ## everything: tools, embedded cluster, the e-commerce stack deployed and measured
	@$(GROUNDPLAN) up

down: setup ## take it all down again and leave the machine as it was
	@$(GROUNDPLAN) down

status: setup ## what runs, and whether its promises hold
	@$(GROUNDPLAN) status

report: setup ## show the last report again
	@$(GROUNDPLAN) report

test: lint ## everything that CI runs: lint, types, layers, unit, component, policy and end-to-end tests
	@$(GROUNDPLAN) toolchain install
	@$(PYTEST)

lint: setup ## style, types and layers
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@PYTHONPATH=app:. .venv/bin/mypy --config-file app/mypy.ini app tests/app
	@.venv/bin/lint-imports

unit: setup ## the tests that need neither the Pulumi engine nor the cluster
	@$(PYTEST) -m "not e2e and not engine"

e2e: setup ## the tests against the embedded cluster
	@$(PYTEST) -m "e2e"

bench: setup ## what is timed, side by side with what it is compared with
	@.venv/bin/python -m benchmarks

docs: setup ## write the generated pages anew
	@.venv/bin/python scripts/generate_docs.py

clean: ## remove the Python environment (tools and caches stay)
	@rm -rf .venv
