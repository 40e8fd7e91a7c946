# Everything is set up on the way: Debian packages (tools/prepare), .venv, the compiled data path.
# A second call looks and does only what is missing or has changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
CYTHON := $(foreach depth,*/* */*/*,$(wildcard lbproxy/$(depth).pyx lbproxy/$(depth).pxd))
ARGS ?=
PEERS ?=

# Envoy and Caddy are large: they are installed only where they are measured.
comma := ,
OTHERS := $(if $(filter envoy caddy,$(subst $(comma), ,$(or $(PEERS),envoy))),.venv/.bench)

.PHONY: help run test bench compare-failure profile bench-micro lint build clean constraints debian

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: build ## the demo: a realm, a CA, three sample connectors and the balancer (ARGS="..." for its options)
	@exec $(BIN)/lbproxy demo $(ARGS)

test: build ## the whole suite (ARGS="tests/wire -k chunk" for a part of it)
	@exec $(BIN)/python -m pytest $(ARGS)

bench: build $(OTHERS) ## the cost of a request beside four other proxies (PEERS=nginx,caddy for less, ARGS="--runs 3" for the worst of three)
	@tools/prepare debian nginx libnginx-mod-stream haproxy wrk
	@exec $(BIN)/python -m bench.load $(if $(PEERS),--peers $(PEERS)) $(ARGS)

compare-failure: build $(OTHERS) ## what users notice of a failing backend, beside the same four (PEERS and ARGS as above)
	@tools/prepare debian nginx haproxy iproute2 nftables
	@exec $(BIN)/python -m bench.failure $(if $(PEERS),--peers $(PEERS)) $(ARGS)

profile: build ## where the CPU time of a request goes (ARGS="--scenario tls", "--peer nginx")
	@tools/prepare debian nginx libnginx-mod-stream haproxy wrk linux-perf
	@exec $(BIN)/python -m bench.profile $(ARGS)

bench-micro: build ## the cost of single steps beside those of the first time (ARGS="--save" to begin anew)
	@exec $(BIN)/python -m bench.micro $(ARGS)

lint: build ## ruff check, ruff format --check, mypy --strict
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --strict

build: .venv/.built ## .venv and the compiled data path

.venv/.built: .venv/.installed setup.py $(CYTHON)
	@echo "make: compiling the data path"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

.venv/.installed: pyproject.toml constraints.txt tools/prepare | debian
	@tools/prepare venv
	@touch $@

.venv/.bench: .venv/.installed
	@tools/prepare extra bench
	@touch $@

debian:
	@tools/prepare debian

constraints: debian ## resolve every dependency anew into constraints.txt
	@tools/prepare constraints

clean: ## remove what make has made (Debian packages stay)
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find lbproxy \( -name '*.so' -o -name '*.c' \) -delete
	@find . -name __pycache__ -prune -exec rm -rf {} +
