# Every target sets up what it needs; `make lab` and `make test` are all a fresh clone wants.
.DEFAULT_GOAL := help
SHELL := bash
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
STAMP := .venv/.opentas-setup
TAS ?= 2
MEDIA ?= 2
BROKERS ?= 2
# Without cached bytecode every process of a lab compiles 2,000 modules at its start.
unexport PYTHONDONTWRITEBYTECODE
# Worker processes of the fast tests.
JOBS ?= auto

.PHONY: help setup lab test test-fast test-native test-system check format bench load fuzz clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(STAMP): pyproject.toml uv.lock setup.py scripts/setup.sh $(wildcard mediaserver/native/*.[ch] mediaserver/engine/*.pyx)
	@bash scripts/setup.sh

setup: $(STAMP) ## Install what is missing (apt as root, else it names the line) and build the media engine

lab: $(STAMP) ## Run the whole lab in the foreground: make lab TAS=3 MEDIA=5
	@exec .venv/bin/tasctl lab --tas $(TAS) --media $(MEDIA) --brokers $(BROKERS)

test: test-fast test-native test-system ## All tests that need no root

test-fast: $(STAMP) ## Unit tests, virtual-clock scenarios, conformance, short fuzzing
	$(PYTEST) -n $(JOBS) --dist worksteal tests/unit tests/scenarios tests/conformance tests/fuzz

test-native: $(STAMP) ## The media engine's C files under AddressSanitizer, UBSan and ThreadSanitizer
	$(PYTEST) -n $(JOBS) --dist loadfile tests/native

test-system: $(STAMP) ## Real processes, SIPp, baresip, PostgreSQL, mosquitto
	$(PYTEST) tests/integration tests/system

check: $(STAMP) ## Lint, types, import rules, sizes
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) tests/unit/test_house_numbers.py

format: $(STAMP) ## Format and fix what can be fixed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: $(STAMP) ## Benchmarks with their floors; also var/bench.json (make bench ONLY=sip_parser for one)
	$(PY) -m tests.bench.run $(ONLY)

LOAD = $(if $(CALLS),--calls $(CALLS)) $(if $(RATE),--rate $(RATE)) $(if $(AGENTS),--agents $(AGENTS)) \
  $(if $(HOLD),--hold $(HOLD)) $(if $(NUMBER),--number $(NUMBER)) $(if $(LAB),--lab $(LAB))

load: $(STAMP) ## SIPp load with a report: make load CALLS=1000 RATE=20 AGENTS=30 HOLD=1; on a running lab: LAB=var
	@$(PY) -m loadtest.app $(LOAD)

fuzz: $(STAMP) ## Long fuzzing (make fuzz ROUNDS=500000)
	OPENTAS_FUZZ_ROUNDS=$(or $(ROUNDS),100000) $(PYTEST) --timeout 3600 tests/fuzz

clean: ## Remove what tests and builds left; keeps .venv and var
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
