# make demo   the main job from end to end on this machine, shown with curl; needs no root
# make test   everything from nothing: system packages (as root), environment, tests
# make test-long    soaks and growth curves
# make test-kernel  systemd booted in a container, with our units, and with slapd and SSSD; NFS, quotas and davfs2 in User-Mode Linux; needs root
# make bench  Teapot beside nginx and XRootD, a table of ratios; needs root; ARGS=alise: the speed of ALISE
#
# The environment is made once and again when pyproject.toml changes; Teapot is installed into it, not linked, and installed again
# when its sources change. Root's lies outside the checkout, because the service accounts of the tests must be able to execute it, and
# a checkout often lies in a private home.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

checkout := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
root := $(filter 0,$(shell id -u))
place := $(if $(root),/var/cache/teapot-dev/$(shell printf %s '$(checkout)' | sha256sum | cut -c1-12),$(checkout)/.venv)
venv := $(place)/venv
export PYTHON := $(shell for each in /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$each"; break; }; done)

packages := $(wildcard teapot common alise)
sources := $(shell find $(packages) -type f -not -name '*.pyc')
description := $(wildcard pyproject.toml README.md LICENSE)
pytest := $(venv)/bin/pytest --import-mode=append
ARGS ?=
JOBS ?= 2

.PHONY: help demo test test-long test-kernel bench lint clean environment test-environment system-packages

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile; echo "also: make lint, clean; ARGS='-k name' goes to pytest, JOBS=1 runs one test at a time"

demo: GROUP := demo
demo: environment
	@echo "== demo"
	@$(venv)/bin/python -I -m teapot.demo.run

test: GROUP := test
test: test-environment
	@echo "== tests"
	@$(pytest) -n $(JOBS) --dist loadfile -m "not long and not kernel" $(ARGS)

test-long: GROUP := test
test-long: test-environment
	@echo "== soaks and growth curves"
	@$(pytest) -m "long and not kernel" $(ARGS)

test-kernel: GROUP := kernel
test-kernel: test-environment
	@echo "== on machines of their own"
	@$(pytest) -m kernel $(ARGS)

bench: GROUP := bench
bench: test-environment
	@echo "== benchmarks"
	@$(venv)/bin/python -m benchmarks.run $(ARGS)

lint: GROUP := demo
lint: test-environment
	@echo "== ruff"
	@$(venv)/bin/ruff check $(packages) tests $(wildcard benchmarks)
	@echo "== mypy"
	@$(venv)/bin/mypy --cache-dir $(place)/mypy $(packages)

# What the system must have beside Python; says what is missing when it cannot install it.
system-packages:
	@[ "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed (on Debian: apt-get install python3)." >&2; exit 1; }
	@.ci/system-packages $(or $(GROUP),test)

environment: system-packages
	@$(MAKE) $(place)/installed

test-environment: system-packages
	@$(MAKE) $(place)/installed $(place)/test-tools

# 'umask 022': what root's environment holds is there for the service accounts to read.
$(place)/environment: pyproject.toml
	@echo "== making the environment $(venv) with $(PYTHON)"
	@umask 022; rm -rf $(venv); mkdir -p $(place); $(PYTHON) -m venv $(venv)
	@echo $(checkout) >$@

# From a copy: the build leaves its folders beside the sources, and they would bring back modules that were deleted.
$(place)/installed: $(place)/environment $(sources) $(description)
	@echo "== installing Teapot into $(venv)"
	@umask 022; rm -rf $(place)/source; mkdir $(place)/source; cp -R $(description) $(packages) $(place)/source
	@umask 022; $(venv)/bin/python -m pip install -q --disable-pip-version-check --no-warn-script-location $(place)/source
	@rm -rf $(place)/source; touch $@

$(place)/test-tools: $(place)/installed
	@[ -e $@ ] && [ $@ -nt $(place)/environment ] || { echo "== installing what the tests need"; umask 022; \
		$(venv)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["test"], sep="\n")' \
		>$(place)/test-requirements; $(venv)/bin/python -m pip install -q --disable-pip-version-check -r $(place)/test-requirements; }
	@touch $@

clean:
	@echo "== removing $(place) and what was built in the checkout"
	@rm -rf $(place) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find $(packages) tests -name __pycache__ -prune -exec rm -rf {} +
