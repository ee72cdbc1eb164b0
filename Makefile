# `make` alone lists the targets. Works with GNU make 3.81, which macOS has.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Files that say which locked requirements are installed.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links
# Tests run in this many processes; `make test JOBS=1` for one, ARGS="-k name" for some.
JOBS ?= auto
ARGS ?=
CASES ?= 100000
SEED ?=
# Of `make chaos`: seconds, which faults (some, all, pairs, bus, or names of them), and one Valkey or a cluster: single, cluster.
DURATION ?= 60
FAULTS ?= some
BUS ?= single
# Of `make chaos-connections`.
COUNT ?= 10000
PEERS := bench/peers/node_modules/.package-lock.json
# The clients that tests run, and Node, live beside the server: their requirements may contradict its own.
CLIENTS := .venv-clients
CLIENTS_PYTHON := $(CLIENTS)/.installed
CLIENTS_NODE := tests/clients/node_modules/.package-lock.json
# `make run DEMO=false` wants its secrets from the environment.
DEMO ?= true

.DEFAULT_GOAL := help
.PHONY: help run test test-browser test-clients campaign-execution chaos chaos-connections check fmt schema sql-schema live-states bench bench-peers bench-check bench-hostile bench-live bench-sql lock clean
.DELETE_ON_ERROR:

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-19s %s\n", $$1, $$2 }'

run: $(RUNTIME) ## Serve a demo network and print what to open; PORT=8123 chooses the port, Ctrl-C stops it.
	@DEMO=$(DEMO) exec $(BIN)/python -m app serve

test: $(DEV) ## Run the tests, on servers and data of their own.
	@exec $(BIN)/python -m pytest -n $(JOBS) -m "not browser and not clients" $(ARGS)

test-browser: $(DEV) ## Run the tests that drive a Chromium (Debian: apt install chromium).
	@exec $(BIN)/python -m pytest -m browser tests/browser $(ARGS)

test-clients: $(DEV) $(CLIENTS_PYTHON) $(CLIENTS_NODE) ## Run the tests in which real clients (Apollo, Relay, urql and others) use the server.
	@exec $(BIN)/python -m pytest -n $(JOBS) -m clients tests/clients $(ARGS)

check: $(DEV) ## Run all static checks: format, lint, types, layout, house rules, migrations.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/houserules
	$(BIN)/squawk sql/migrations/*.sql

fmt: $(DEV) ## Format the code and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(RUNTIME) ## Write schema/schema.graphql from the code.
	@$(BIN)/python -m app schema > schema/schema.graphql.new
	@mv schema/schema.graphql.new schema/schema.graphql

sql-schema: $(RUNTIME) ## Write sql/schema.sql from the migrations.
	@$(BIN)/python -m app dump-schema > sql/schema.sql.new
	@mv sql/schema.sql.new sql/schema.sql

live-states: $(RUNTIME) ## Draw docs/live-states.svg from its text.
	@$(BIN)/python docs/draw_states.py > docs/live-states.svg.new
	@mv docs/live-states.svg.new docs/live-states.svg

campaign-execution: $(DEV) ## Compare the executor with graphql-core on CASES random operations, from SEED on.
	@exec $(BIN)/python -m tests.execution.campaign --cases $(CASES) $(if $(SEED),--seed $(SEED))

chaos: $(DEV) ## Let 200 clients use real servers while things break, for DURATION seconds from SEED on; check what they saw.
	@exec $(BIN)/python -m tests.chaos.campaign --duration $(DURATION) --faults "$(FAULTS)" --bus $(BUS) $(if $(SEED),--seed $(SEED))

chaos-connections: $(DEV) ## Let COUNT connections of every kind come and go at a worker, from SEED on; see that nothing of them stays.
	@exec $(BIN)/python -m tests.chaos.connections --count $(COUNT) $(if $(SEED),--seed $(SEED))

bench: $(DEV) ## Measure operations beside stock Strawberry and the same work by hand.
	@exec $(BIN)/python -m bench $(ARGS)

bench-peers: $(DEV) $(PEERS) ## The same with Mercurius, Yoga and Apollo Server in the run (needs Node 20).
	@exec $(BIN)/python -m bench --peers $(ARGS)

bench-check: $(DEV) ## See that the benchmark works, in short; its figures mean nothing.
	@$(BIN)/python -m bench --quick $(ARGS)
	@$(BIN)/python -m bench.hostile --quick
	@exec $(BIN)/python -m bench.live --quick

bench-hostile: $(DEV) ## Measure what others notice while hostile documents arrive.
	@exec $(BIN)/python -m bench.hostile $(ARGS)

bench-live: $(DEV) $(if $(shell command -v npm),$(PEERS)) ## Measure live events beside stock Strawberry, graphql-ws on Node and a bare socket.
	@exec $(BIN)/python -m bench.live $(ARGS)

bench-sql: $(DEV) ## Measure what a home page costs PostgreSQL, by how many accounts are followed.
	@exec $(BIN)/python -m bench.home_page $(ARGS)

lock: $(DEV) ## Lock the newest requirements that fit, with hashes for all platforms.
	$(LOCK) --upgrade requirements.in -o requirements.txt
	$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt
	$(LOCK) --upgrade requirements-clients.in -o requirements-clients.txt

clean: ## Remove the virtual environments and all caches; the data in .data stays.
	rm -rf bench/peers/node_modules tests/clients/node_modules $(CLIENTS) $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.data/*' -prune -exec rm -rf {} +

$(PEERS): bench/peers/package-lock.json
	@cd bench/peers && npm ci --ignore-scripts --silent
	@touch $@

$(CLIENTS_PYTHON): requirements-clients.txt $(RUNTIME)
	@echo "Installing the clients that tests use, and Node, into $(CLIENTS) …"
	@$(BIN)/python -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-clients.txt
	@touch $@

$(CLIENTS_NODE): tests/clients/package-lock.json $(CLIENTS_PYTHON)
	@cd tests/clients && ../../$(CLIENTS)/bin/npm ci --ignore-scripts --silent
	@touch $@

$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "Maydan needs Python 3.11 or newer with venv (Debian: apt install python3-venv;" \
			"macOS: brew install python); PYTHON=/path/to/python3 chooses another one." >&2; exit 1; }
	@echo "Installing what Maydan needs into $(VENV) …"
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Installing what its tests and checks need …"
	@$(PIP) -r requirements-dev.txt
	@touch $@
