# The portal's commands; `make` lists them. Needs Python 3.11 or newer, nothing else.

PYTHON ?= python3
BIN := .venv/bin
BOOTSTRAP := $(PYTHON) -I config/bootstrap.py
PYTEST := $(BIN)/python -m pytest -q -rs
PARALLEL := -n 2 --dist loadgroup
UV_COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --universal \
	--python-version 3.11
# A start as in production, for the checks that only look at settings.
FRESH = $$($(BIN)/python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())")
AS_IN_PRODUCTION = ENV_FILE=none DEBUG=off ENVIRONMENT_LABEL=LIVE ALLOWED_HOSTS=portal.example \
	PUBLIC_BASE_URL=https://portal.example SECRET_KEY=$(FRESH)$(FRESH) \
	FIELD_ENCRYPTION_KEYS=$(FRESH) SEG_API_URL=https://registry.example \
	METERING_API_URL=https://meters.example METERING_RESULT_ALLOWED_IPS=192.0.2.10 \
	GASQUOTES_API_URL=https://supply-points.example GASQUOTES_API_KEY=$(FRESH) \
	PTS_API_URL=https://pts.example PTS_API_KEY=$(FRESH) PTS_SUBSCRIPTION_KEY=$(FRESH) \
	SIP_API_URL=https://market-messages.example SIP_API_KEY=$(FRESH) \
	SEG_API_USER=portal@example.org SEG_API_TOKEN=$(FRESH)

.DEFAULT_GOAL := help
.PHONY: help run install install-dev test check lint format test-services journeys drill bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: python ## set up everything and start the portal, its worker and the sandbox
	@exec $(BOOTSTRAP) run

install: python ## only the virtual environment with what the portal and its tests need
	@$(BOOTSTRAP) install

install-dev: python
	@$(BOOTSTRAP) install-dev

test: install ## the tests, without PostgreSQL, Redis, a browser or a network
	$(PYTEST) $(PARALLEL) --ignore tests/journeys

check: lint test ## everything that must hold before a change goes in

lint: install-dev ## format, lint, types, import contracts, migrations, production settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	find templates -name '*.html' -exec $(BIN)/djade --check --target-version 5.2 {} +
	$(BIN)/mypy
	$(BIN)/lint-imports
	ENV_FILE=none $(BIN)/python manage.py makemigrations --check --dry-run
	@echo 'manage.py check --deploy under production settings'
	@$(AS_IN_PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: install-dev ## put code and templates into their usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} +

# Not the journeys: they start a portal of their own, on the embedded default whatever is named here.
test-services: install ## the same tests on PostgreSQL and Redis (DATABASE_URL, REDIS_URL)
	$(BIN)/python -m tests.services -q -rs $(PARALLEL) -m 'not journey'

journeys: install-dev ## the journeys in a real browser
	$(PYTEST) tests/journeys

drill: install ## faults and histories that take longer (SHORT=yes leaves out most planted defects)
	$(PYTEST) -m drill $(if $(SHORT),-k 'not defect_on_purpose')

bench: install ## how fast it is, as ratios measured in one run
	$(BIN)/python -m benchmarks

lock: install-dev ## resolve requirements*.in into the locks
	$(UV_COMPILE) requirements.in --output-file requirements.txt
	$(UV_COMPILE) requirements-dev.in --output-file requirements-dev.txt

clean: ## remove the virtual environment and caches; var/ and .env stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) on this machine: install Python 3.11 or newer." >&2; exit 1; }
