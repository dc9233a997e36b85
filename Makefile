# make serve and make test need only Python and make. Everything they install goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
# Arguments of `headwater serve`, for example: make serve SERVE="--port 7900 --data-dir /tmp/headwater"
SERVE ?=
# Arguments of pytest, for example: make test TESTS="tests/mcp_server -x"
TESTS ?= -n 2 --dist loadfile --no-loadscope-reorder

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --compile
RUNTIME := .venv/.runtime-installed
DEVELOPMENT := .venv/.development-installed

.PHONY: setup serve test check format bench witness conformance chaos lock clean

setup: $(DEVELOPMENT)

serve: $(RUNTIME)
	@exec $(BIN)/headwater serve $(SERVE)

# The tests start many processes; each would compile everything anew where the environment forbids to keep what was compiled.
test: $(DEVELOPMENT)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(TESTS)

check: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! grep -n '://' requirements.lock requirements-dev.lock || { echo 'A lock file holds an address; see CONTRIBUTING.'; exit 1; }

format: $(DEVELOPMENT)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(RUNTIME)
	@$(BIN)/python -m tests.bench

# Other people's clients; WITNESS=all tries every one, otherwise the most used ones are.
witness: $(DEVELOPMENT)
	WITNESS=$(WITNESS) $(BIN)/python -m pytest tests/witness -m witness

# The protocol's own conformance suite, against flows that carry the names it calls; needs npm.
conformance: $(DEVELOPMENT)
	@$(BIN)/python -m tests.conformance

# Kills, starves and floods real servers, for some minutes; CHAOS=short is CI's form of it.
chaos: $(DEVELOPMENT)
	PYTHONDONTWRITEBYTECODE= CHAOS=$(CHAOS) $(BIN)/python -m pytest tests/chaos -m chaos -x --durations=10

lock: $(DEVELOPMENT)
	$(BIN)/uv --version >/dev/null 2>&1 || $(INSTALL) uv
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header \
		--extra postgres --group build -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header \
		--extra dev --group build -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv

# The stamps hold what was installed; a changed lock or pyproject.toml installs again.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Headwater needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another one with: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv || { echo 'Python cannot make a virtual environment; on Debian and Ubuntu install the package python3-venv.'; exit 1; }
	@touch $@

$(RUNTIME): .venv/.made requirements.lock pyproject.toml
	@echo 'Installing what Headwater needs into .venv (once)...'
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q mcp_server rest_adapter projects storage client_configs
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements-dev.lock
	@echo 'Installing what tests and checks need into .venv (once)...'
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
