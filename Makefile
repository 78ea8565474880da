# Every target sets up what it needs. Two environments: one with the dependencies, shared by all checkouts and keyed by
# a hash of pyproject.toml's lists of them, and a thin one of this checkout that sees the first and holds symbench itself.
#   make demo     run suites/quick.yaml and write its report
#   make test     everything that CI runs, in WORKERS=2 processes
#   make quick-test   the half of them that runs no suite, in a minute
#   make studies   run every suite in suites/studies and write what it answers, under RESULTS=results/studies
#   make study-full-NAME   the large size of one of them, for a GPU: hours
#   VENV=DIR      put this checkout's environment elsewhere
PYTHON ?= python3
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/symbench
PROJECT := import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; x = p["optional-dependencies"]
LIST := $(PROJECT); print("\n".join(p["dependencies"] + x["dev"]))
# whose tests run where these can be installed
WHERE_POSSIBLE := molecules graphs volumes documents
EXTRAS := $(PROJECT); print("\n".join(y for e in sys.argv[1:] for y in x[e]))
KEY := $(shell { $(PYTHON) -c '$(LIST)' && $(PYTHON) -c '$(EXTRAS)' $(WHERE_POSSIBLE) && $(PYTHON) -c 'import sys; print(sys.version, sys.prefix)'; } 2>/dev/null | sha256sum | cut -c1-16)
DEPS := $(CACHE)/dependencies-$(KEY)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(KEY)-$(shell sha256sum pyproject.toml | cut -c1-8)

WORKERS ?= 2
# one thread each: more would wait for one another
# and files in the order of tests/conftest.py, not those with most tests first
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# groups and actions, numbers and statistics, suites and the store: what needs no run
QUICK := architecture actions groups similarity lie metrics label_metrics statistics bounded tasks targets suite store \
  wrappers pixels layer_tests

RESULTS ?= results/studies
STUDIES := $(basename $(notdir $(wildcard suites/studies/*.yaml)))
FULL := $(basename $(notdir $(wildcard suites/studies/full/*.yaml)))

.PHONY: demo studies $(STUDIES:%=study-%) $(FULL:%=study-full-%) test quick-test check format bench clean setup
.DELETE_ON_ERROR:

setup: $(STAMP)

$(DEPS)/.complete:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "symbench needs Python 3.11 or later; name one with PYTHON=..."; exit 1; }
	rm -rf $(DEPS)
	$(PYTHON) -m venv $(DEPS)
	$(PYTHON) -c '$(LIST)' > $(DEPS)/requirements.txt
	$(DEPS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(DEPS)/requirements.txt
	@for extra in $(WHERE_POSSIBLE); do \
	  $(PYTHON) -c '$(EXTRAS)' $$extra > $(DEPS)/$$extra.txt; \
	  $(DEPS)/bin/python -m pip install --quiet --disable-pip-version-check -c $(DEPS)/requirements.txt -r $(DEPS)/$$extra.txt || \
	    echo "The extra $$extra could not be installed: its tests and suites will be skipped"; done
	touch $@

$(STAMP): $(DEPS)/.complete
	$(PYTHON) -m venv --without-pip $(VENV)
	$(DEPS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth"
	$(DEPS)/bin/python -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/symbench run suites/quick.yaml
	$(BIN)/symbench report > /dev/null

studies: $(STUDIES:%=study-%)

# a folder each: the newest run of a folder is the one that is reported
$(STUDIES:%=study-%): study-%: setup
	$(BIN)/symbench run suites/studies/$*.yaml --results $(RESULTS)/$*
	$(BIN)/symbench report --results $(RESULTS)/$* --output $(RESULTS)/$*/report > /dev/null

# of the sizes that want a GPU, and fetch their images
$(FULL:%=study-full-%): study-full-%: setup
	$(BIN)/symbench run suites/studies/full/$*.yaml --results $(RESULTS)/full/$*
	$(BIN)/symbench report --results $(RESULTS)/full/$* --output $(RESULTS)/full/$*/report > /dev/null

test: check
	$(PYTEST) --durations=10

quick-test: setup
	$(PYTEST) -m "not slow" $(QUICK:%=tests/test_%.py)

check: setup
	$(BIN)/python -m ruff format --check symbench tests
	$(BIN)/python -m ruff check symbench tests
	$(BIN)/python -m mypy

format: setup
	$(BIN)/python -m ruff format symbench tests
	$(BIN)/python -m ruff check --fix symbench tests

bench: setup
	PYTHONPATH=tests $(BIN)/python -m bench

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find symbench tests -name __pycache__ -type d -prune -exec rm -rf {} +
