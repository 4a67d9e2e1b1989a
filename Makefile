# Every target sets up what it needs; `make lab` and `make test` are all a fresh clone wants.
.DEFAULT_GOAL := help
SHELL := bash
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
STAMP := .venv/.opentas-setup
# OPENTAS_MYPYC=1: every target runs on the compiled core, built anew when a source has changed.
CORE := .venv/opentas-compiled/manifest.json
READY := $(STAMP) $(if $(filter 1,$(OPENTAS_MYPYC)),$(CORE))
TAS ?= 2
MEDIA ?= 2
BROKERS ?= 2
# Without cached bytecode every process of a lab compiles 2,000 modules at its start.
unexport PYTHONDONTWRITEBYTECODE
# Worker processes of the fast tests.
JOBS ?= auto

.PHONY: help setup lab test test-fast test-native test-compiled test-system check format bench load fuzz clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(STAMP): pyproject.toml uv.lock setup.py scripts/setup.sh $(wildcard mediaserver/native/*.[ch] mediaserver/engine/*.pyx)
	@bash scripts/setup.sh

$(CORE): $(STAMP) scripts/compile_core.py common/service/compiled.py $(shell find tas common -name '*.py')
	@$(PY) -m scripts.compile_core

setup: $(READY) ## Install what is missing (apt as root, else it names the line), build the engine; see OPENTAS_MYPYC=1
	@$(if $(filter 1,$(OPENTAS_MYPYC)),,rm -rf $(dir $(CORE)))

lab: $(READY) ## Run the whole lab in the foreground: make lab TAS=3 MEDIA=5
	@exec .venv/bin/tasctl lab --tas $(TAS) --media $(MEDIA) --brokers $(BROKERS)

test: test-fast test-native test-system ## All tests that need no root

test-fast: $(READY) ## Unit tests, virtual-clock scenarios, conformance, short fuzzing
	$(PYTEST) -n $(JOBS) --dist worksteal tests/unit tests/scenarios tests/conformance tests/fuzz

test-native: $(STAMP) ## The media engine's C files under AddressSanitizer, UBSan and ThreadSanitizer
	$(PYTEST) -n $(JOBS) --dist loadfile tests/native

test-compiled: $(STAMP) ## The same tests of the TAS on a compiled core of their own, in build/
	$(PY) -m scripts.compile_core
	$(PYTEST) -n $(JOBS) --dist worksteal tests/unit/test_compiled_core.py tests/unit/tas tests/scenarios tests/conformance tests/fuzz
test-compiled: export OPENTAS_MYPYC := 1
test-compiled: export OPENTAS_MYPYC_FOLDER := $(CURDIR)/build/compiled

test-system: $(READY) ## Real processes, SIPp, baresip, PostgreSQL, mosquitto
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

bench: $(READY) ## Benchmarks with their floors; also var/bench.json (make bench ONLY=sip_parser for one)
	$(PY) -m tests.bench.run $(ONLY)

LOAD = $(if $(CALLS),--calls $(CALLS)) $(if $(RATE),--rate $(RATE)) $(if $(AGENTS),--agents $(AGENTS)) \
  $(if $(HOLD),--hold $(HOLD)) $(if $(NUMBER),--number $(NUMBER)) $(if $(LAB),--lab $(LAB))

load: $(READY) ## SIPp load with a report: make load CALLS=1000 RATE=20 AGENTS=30 HOLD=1; on a running lab: LAB=var
	@$(PY) -m loadtest.app $(LOAD)

fuzz: $(READY) ## Long fuzzing (make fuzz ROUNDS=500000)
	OPENTAS_FUZZ_ROUNDS=$(or $(ROUNDS),100000) $(PYTEST) --timeout 3600 tests/fuzz

clean: ## Remove what tests and builds left; keeps .venv and var
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
