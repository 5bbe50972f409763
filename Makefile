# `make demo` and `make test` are all a newcomer needs: Python 3.10+ with pip, no Docker.
PYTHON ?= python3
BIN := .venv/bin
# Tests wait more than they compute, so more workers than cores; each has a server of its own.
WORKERS ?= 4
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# Tests start many interpreters: what one has compiled, the others need not compile again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types contracts tests coverage test-exhaustive test-servers test-container test-image test-dashboards test-viewer test-agui test-postgresql test-deploy test-install test-matrix bench screens viewer-screens recording man vendor docs dist clean

demo: .venv/.demo  ## An agent talks, is killed, resumes; its history is shown and proved
	@$(BIN)/session-log demo

test: lint types contracts tests  ## Everything a change must pass

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: .venv/.dev
	$(BIN)/lint-imports

tests: .venv/.dev
	$(PYTEST)

test-exhaustive: .venv/.dev  ## What is left of large corpora and matrices, of which the default run takes samples
	$(PYTEST) -q -m exhaustive

coverage: .venv/.dev  ## Which branches no test takes: a table here, every line in .coverage-html
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n $(WORKERS) --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report

# What starts servers of its own, or needs none, is the same whichever is chosen.
SUITES := contract fundamentals event_log audit encryption evidence exports retention seals session_manager recorder live storage tail replay cli moving server \
	streaming forward search mcp_server agui testcases
ON_SERVERS := $(addprefix tests/,$(SUITES) subscription consumers otel) \
	--deselect tests/cli/test_demo.py --deselect tests/moving/test_moving_out.py \
	--deselect tests/recorder/test_recorder.py \
	--deselect tests/server/test_embedded.py --deselect tests/server/test_roles.py --deselect tests/server/test_server_checks.py \
	--deselect tests/evidence/test_fuzzed_bundles.py --deselect tests/evidence/test_tampering.py \
	--deselect tests/evidence/test_verifier.py --deselect tests/evidence/test_bundle_memory.py \
	--deselect tests/encryption/test_fuzzed.py --deselect tests/seals/test_merkle.py

test-servers: .venv/.dev  ## The same log on every kind of server that can be installed here
	.ci/install-servers
	for server in valkey8 redis7 cluster; do $(PYTEST) -q $(ON_SERVERS) --server=$$server || exit 1; done

# Without what starts its servers itself here, too, and without what readers make of junk, whichever server it lies on.
IN_CONTAINERS := $(filter-out tests/subscription tests/consumers,$(ON_SERVERS)) tests/faults \
	--deselect tests/server/test_sentinel_and_tls.py --deselect tests/faults/test_memory.py \
	--deselect tests/faults/test_failover_behind_an_address.py --deselect tests/faults/test_tail_moves.py \
	--deselect tests/faults/test_junk_bodies.py --deselect tests/faults/test_junk_directory.py \
	--deselect tests/faults/test_junk_keys.py --deselect tests/faults/test_junk_snapshots.py
IMAGE ?= valkey/valkey:9

test-container: .venv/.dev  ## The same log, and its faults, in containers of Valkey's own image (Docker; or Debian, as root)
	.ci/install-container
	IMAGE=$(IMAGE) PYTHON=$(BIN)/python .ci/with-engine $(PYTEST) -q $(IN_CONTAINERS) --server=container:$(IMAGE)

test-image: .venv/.dev  ## The image for services: built, and run as it should be (Docker; or Debian, as root)
	.ci/install-container
	PYTHON=$(BIN)/python .ci/with-engine .ci/service-image

test-dashboards: .venv/.dev  ## Every query on a real Prometheus, the rules by promtool, the JSON by Grafana's types
	.ci/install-dashboards
	$(BIN)/pytest -q tests/dashboards -m dashboards
	[ ! -x .venv/prometheus3/usr/bin/prometheus ] || \
		PATH="$(CURDIR)/.venv/prometheus3/usr/bin:$$PATH" $(BIN)/pytest -q tests/dashboards -m dashboards -k "not grafana"

test-viewer: .venv/.dev  ## The viewer in a real browser: Debian's Chromium; axe-core and TypeScript of npm
	.ci/install-browser
	$(PYTEST) -q tests/viewer -m viewer

test-agui: .venv/.dev  ## Runs followed by the official client of AG-UI, in Node and in Chromium; it comes by npm
	.ci/install-browser
	$(PYTEST) -q tests/agui -m agui

test-postgresql: .venv/.dev  ## What may be kept in PostgreSQL, on one that is installed for it
	.ci/install-postgresql
	$(BIN)/pytest -q tests/search tests/examples -m postgresql

test-deploy: .venv/.dev  ## Files for systemd, Kubernetes and compose, by what reads them; where that is not here, it is skipped
	$(INSTALL) 'kubernetes-validate>=1.30'
	$(BIN)/pytest -q tests/deploy -m deploy

test-matrix:  ## Every Python there is here, and the lowest supported dependencies
	.ci/test-matrix

screens: .venv/.dev  ## The screens of docs/cli.md, written anew from what the commands print
	PYTHONPATH=tests $(BIN)/python -m support.screens

viewer-screens: .venv/.dev  ## The pictures of docs/viewer.md, taken anew from the demo's conversations
	PYTHONPATH=tests $(BIN)/python -m support.pictures

recording: .venv/.dev  ## The moving pictures of the README, recorded anew from the demo and from an agent that is followed word by word
	PYTHONPATH=tests $(BIN)/python -m support.recording

man: .venv/.dev  ## docs/man/session-log.1, written anew from what the commands say of themselves
	PYTHONPATH=tests $(BIN)/python -m support.manual

dist: .venv/.dev  ## Wheel and sdist of what is committed, built twice and compared, and the SBOM of an installation
	PYTHON=$(BIN)/python .ci/build

test-install: dist  ## The wheel of make dist, as people install it: by pip, pipx and uv, each in an environment of its own
	PYTHON=$(BIN)/python .ci/installations

vendor: .venv/.dev  ## The scripts of others that the viewer serves, anew from npm, as viewer/vendor.toml names them
	PYTHONPATH=tests $(BIN)/python -m support.vendor

bench: .venv/.bench .venv/.peers  ## What the log costs beside the least it could cost, and beside others; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench

docs: .venv/.dev  ## The documentation as a site, in .site; warnings, and links that lead nowhere, are errors
	$(BIN)/mkdocs build --quiet --strict --config-file .ci/mkdocs.yml

clean:
	rm -rf .site .venv .venv-matrix .coverage .coverage.* .coverage-html tests/dashboards/schema/node_modules tests/viewer/axe/node_modules tests/agui/client/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "$(PYTHON) is older than 3.10: name a newer one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml
	@echo "Installing into .venv (once; about a minute)"
	$(INSTALL) --editable '.[embedded,cli]'
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml
	@echo "Installing into .venv (once; about a minute)"
	$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/.demo

.venv/.bench: .venv/bin/python pyproject.toml
	@echo "Installing into .venv (once; about a minute)"
	$(INSTALL) --editable '.[bench]'
	@touch $@ .venv/.dev .venv/.demo

# Their dependencies would change ours. What cannot be installed is not measured, and the page says so.
.venv/.peers: .venv/bin/python tests/bench/peers.txt
	@echo "Installing other frameworks into .venv/peers (once; about a minute)"
	-$(PYTHON) -m venv .venv/peers
	-.venv/peers/bin/pip install --quiet --disable-pip-version-check --requirement tests/bench/peers.txt && touch $@
