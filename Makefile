# Needs Python >= 3.11 and make, nothing else. `make run PYTHON=python3.12` takes another Python.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
COMPILED := .venv/compiled
# Where it is set, each process, and there are hundreds in the tests, compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install run test check audit format scorecard faults soak fuzz bench

install: $(COMPILED)
	@:

# The constraints hold for what builds the package as well; the second name is newer pips'.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "This Python lacks venv or ensurepip: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@echo "1/3 creating .venv"
	@$(PYTHON) -m venv .venv
	@PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
		$(BIN)/python packaging/progress.py "2/3 installing packages, half a minute to a minute" \
		.venv/install.log $(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

# The analysis as machine code beside its sources; without a C compiler it runs interpreted.
$(COMPILED): $(STAMP) packaging/compile.py $(wildcard app/analysis/*.py app/analysis/patterns/*.py app/storage/tick/*.py)
	@$(BIN)/python packaging/compile.py
	@touch $(COMPILED)

# exec: with no shell in between the run ends when make is killed.
run: $(COMPILED)
	@case "$$ORDERFLOW_FEED" in *:*) $(BIN)/python packaging/feed_extras.py || exit 1;; esac; \
		exec $(BIN)/python -m app.operations.supervisor --end-with-parent

# First what computes, then what starts processes, one more at a time than there are cores, since in each
# some only wait; then alone what looks at the time: fault plans and what others wrote.
# At most five: a container may have fewer cores than the machine that is counted.
JOBS = $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count(), 4) + 1)')
# Where tests start processes: other folders are not collected a second time (tests/contract/test_stages.py).
SYSTEM := tests/system tests/cli tests/feeds
test: $(COMPILED)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not system and not faults and not outside"
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "system and not faults and not outside" $(SYSTEM)
	@$(BIN)/python -m pytest -m "faults or outside" tests/faults tests/outside
endif

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Asks a service for known vulnerabilities; says so, and passes, where it can't be asked.
audit: $(STAMP)
	@$(BIN)/python packaging/audit.py

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# With labelled tapes as well: make scorecard ARGS="--tape Q --trades T --labels DIR".
scorecard: $(COMPILED)
	@$(BIN)/python -m app scorecard --definitions tests.reference:Reference $(ARGS)

# Seeded; make faults ARGS="--plans 20 --seed 7" runs others.
faults: $(COMPILED)
	@$(BIN)/python -m tests.faults $(ARGS)

# Half an hour; make soak ARGS="--minutes 8" takes less.
soak: $(COMPILED)
	@$(BIN)/python -m tests.soak $(ARGS)

# Coverage-guided; make fuzz ARGS="--target record --seconds 600" takes one for longer.
fuzz: $(COMPILED)
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(ARGS)

# Half an hour on a machine that does nothing else; make bench ARGS=--quick takes ten minutes.
bench: $(COMPILED)
	@$(BIN)/python -m benchmarks $(or $(WHAT),all) $(ARGS)
