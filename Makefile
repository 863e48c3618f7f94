# Common uses:
#   make up        build kindreg, see to an engine, kind and images, and run `kindreg up` to its proof
#   make down      remove what `make up` made
#   make test      every test: hermetic ones first, then the end-to-end ones on the test bed (half an hour)
#   make unit      the hermetic tests alone (two minutes on 2 cores)
#   make lint      rustfmt, clippy, shellcheck, and the direction of imports
#   make deny      advisories, licences, bans and sources of the dependencies
#   make soak      everything that takes longer than `make test` may
#   make help      this text
# Where no image registry can be reached, the test bed (tests/bed) stands in for Docker, kind and images.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build dist install up down test unit kind-releases e2e soak lint bench deny clean bed

KINDREG := target/release/kindreg
PREFIX ?= $(HOME)/.local
UP_FLAGS ?= --workers 2
# Twice as many as cores, because some tests wait for a time limit.
UNIT_THREADS ?= $(shell echo $$((2 * $$(nproc))))

help:  ## print the common uses
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

build:  ## build the program
	cargo build --release --locked

dist:  ## build the program as it is published (target/dist/kindreg); takes three times as long
	cargo build --profile dist --locked

install: build  ## install the program into PREFIX/bin
	install -D $(KINDREG) $(DESTDIR)$(PREFIX)/bin/kindreg

up: build  ## from nothing to the proof
	eval "$$(tests/bed/choose)"; $(KINDREG) up $(UP_FLAGS)

down: build  ## remove what `up` made
	eval "$$(tests/bed/choose)"; $(KINDREG) down

unit:  ## hermetic tests: no engine, no network
	cargo test --locked --lib --bins --test hermetic -- --test-threads=$(UNIT_THREADS)
	cargo test --locked --doc

e2e: bed  ## end-to-end tests on the test bed, one after the other
	tests/e2e/run

soak: bed  ## everything that takes longer than `make test` may
	tests/e2e/run soak
	tests/processors

kind-releases:  ## compare the default node images with those in kind's modules
	tests/kind-releases

test: unit kind-releases e2e  ## every test

bed:  ## build the test bed (cold: 12 minutes, warm: seconds)
	tests/bed/bed build

bench: build bed  ## times side by side with what users would use instead
	benches/run

lint:  ## what a machine can check of the house rules
	cargo fmt --check
	cargo clippy --locked -- -D warnings
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features -- -D warnings
	tests/lint
	"$$(tests/tools shellcheck)" -x -P SCRIPTDIR tests/bed/bed tests/bed/choose tests/bed/lib/*.sh tests/e2e/run tests/kind-releases tests/lint tests/processors tests/tools benches/run .ci/run

deny:  ## advisories, licences, bans and sources of all dependencies
	deny=$$(tests/tools cargo-deny); checks="bans licenses sources"; \
	if GIT_TERMINAL_PROMPT=0 timeout 120 "$$deny" fetch db >/dev/null 2>&1; then checks="advisories $$checks"; \
	else echo "The RustSec advisory database can't be fetched from here: advisories are not checked."; fi; \
	"$$deny" --locked check $$checks

clean:  ## remove what was built here; the bed stays (tests/bed/README.md says where)
	cargo clean
