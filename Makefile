# `make demo` and `make test` need Rust, Python 3.11, a C compiler and, the first time, the network.
# The environment is made again when the lock file changes, the engine when its sources do.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
SYSTEM_PYTHON ?= $(shell command -v python3.11 || command -v python3)
TARGETS ?= x86_64-unknown-linux-gnu
PYTEST_ARGS ?= -n auto --dist loadfile

export VIRTUAL_ENV := $(abspath $(VENV))
export PATH := $(abspath $(VENV))/bin:$(PATH)
# maturin refuses to choose between two environments.
unexport CONDA_PREFIX

REQUIREMENTS := requirements/test.txt
ENVIRONMENT := $(VENV)/.made-from-lock
PEERS := requirements/peers.txt
PEERS_INSTALLED := $(VENV)/.has-peers
PACKAGERS := requirements/package.txt
PACKAGERS_INSTALLED := $(VENV)/.has-packagers
FIGURES := docs/_figures/order.png
EXECUTED := docs/_notebooks/tutorial.ipynb
EXTENSION := python/oceanarrow/_engine.abi3.so
RUST_SOURCES := $(shell find rust -name target -prune -o -type f -print) \
    Cargo.toml Cargo.lock pyproject.toml .cargo/config.toml

.PHONY: demo test lint test-rust test-python test-full docs peers bench bench-kernels wheel test-wheel notebooks lock clean help

demo: $(EXTENSION) ## Train a small network on real sea level, about two minutes; writes demo/sea_level.png
	python demo/fetch.py
	python demo/train.py

test: lint test-rust test-python ## Everything that must hold before a change is merged

lint: $(EXTENSION) ## Format, clippy, ruff, mypy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	ruff check .
	ruff format --check .
	python -m mypy
	@if [ -f python/oceanarrow/_engine.pyi ]; then python -m mypy.stubtest oceanarrow._engine; fi

test-rust: ## Tests of the engine, without Python
	cargo test --locked --workspace --quiet

test-python: $(EXTENSION) ## Tests of the package
	python -m pytest $(PYTEST_ARGS)

test-full: $(EXTENSION) peers ## Also the slow tests and the comparisons with other libraries
	python -m pytest $(PYTEST_ARGS) -m "" --hypothesis-profile=full

docs: $(FIGURES) $(EXECUTED) ## The site, in docs/_build/html; warnings are errors
	python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html

peers: $(PEERS_INSTALLED) ## Install the libraries that test-full and bench compare with

bench: $(ENVIRONMENT) peers ## Measure, side by side with other libraries; ARGS=--quick for a small run
	maturin develop --locked --release
	python benchmarks $(ARGS)
	rm -f $(EXTENSION) # so that the next target takes the development build again

bench-kernels: $(ENVIRONMENT) ## Count the instructions of the inner loops; needs valgrind
	python benchmarks/kernels.py $(ARGS)

# The wheel is built out of the sdist, elsewhere, so that it shows no path of this machine.
wheel: $(PACKAGERS_INSTALLED) ## In dist/: the sdist, and a wheel for any Linux on x86-64, or TARGETS=...; ten minutes
	rm -rf dist
	maturin sdist --out dist
	build=$$(mktemp -d) && trap 'rm -rf "$$build"' EXIT && \
	tar -xzf dist/*.tar.gz -C "$$build" --strip-components 1 && cd "$$build" && \
	cargo=$${CARGO_HOME:-$$HOME/.cargo} && \
	export CARGO_TARGET_DIR=$(CURDIR)/target/wheel CFLAGS="-ffile-prefix-map=$$cargo=/cargo" && \
	export RUSTFLAGS="--remap-path-prefix=$$HOME=/home --remap-path-prefix=$$cargo=/cargo" && \
	for target in $(TARGETS); do maturin build --locked --release --strip --zig --target $$target \
	    --compatibility manylinux_2_17 --out $(CURDIR)/dist; done
	for wheel in dist/*.whl; do auditwheel show $$wheel; done
	twine check --strict dist/*

test-wheel: $(EXTENSION) ## The wheel in dist/, in empty environments, with each extra; half an hour
	python -m pytest -m full tests/packages

notebooks: $(ENVIRONMENT) ## Write notebooks/*.ipynb from their text
	jupytext --quiet --to ipynb notebooks/*.py

lock: $(ENVIRONMENT) ## Pin requirements/*.in again
	python -m pip install --quiet uv
	cd requirements && uv pip compile --quiet --upgrade --python-version 3.11 --no-emit-index-url \
	    --no-emit-find-links --annotation-style line --custom-compile-command "make lock" \
	    test.in --output-file test.txt && \
	  uv pip compile --quiet --upgrade --python-version 3.11 --no-emit-index-url \
	    --no-emit-find-links --annotation-style line --custom-compile-command "make lock" \
	    package.in --output-file package.txt

clean: ## Remove what was built or downloaded, not the environment
	cargo clean
	rm -rf dist demo/data demo/sea_level.png benchmarks/data $(EXTENSION)
	rm -rf docs/_build docs/_figures docs/_notebooks docs/reference/generated

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(ENVIRONMENT): $(REQUIREMENTS)
	@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "oceanarrow needs Python 3.11 or newer: set SYSTEM_PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(VENV)/bin/python || $(SYSTEM_PYTHON) -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check --requirement $(REQUIREMENTS)
	touch $@

$(FIGURES): $(EXTENSION) docs/figures.py
	python docs/figures.py

$(EXECUTED): $(EXTENSION) docs/notebooks.py $(wildcard notebooks/*.py)
	python docs/notebooks.py

$(PEERS_INSTALLED): $(ENVIRONMENT) $(PEERS)
	python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
	    --requirement $(PEERS)
	touch $@

$(PACKAGERS_INSTALLED): $(ENVIRONMENT) $(PACKAGERS)
	python -m pip install --quiet --disable-pip-version-check --requirement $(PACKAGERS)
	touch $@

$(EXTENSION): $(ENVIRONMENT) $(RUST_SOURCES)
	@command -v cargo >/dev/null || { echo "oceanarrow needs Rust: https://rustup.rs" >&2; exit 1; }
	maturin develop --locked
	touch $@
