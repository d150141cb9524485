# Everything a developer does. Needs Rust and Node; what else is missing, `setup` installs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup env devnet test bench fmt lint bindings clean soak

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# The program itself: npm's launcher of it ends with 0 whatever it says.
FORGE := $$(echo node_modules/@foundry-rs/forge-*-*/bin/forge)
# Compiled dependencies outlive a clone: they are kept in the user's cache where there is one.
CACHE_TARGET := $(HOME)/.cache/rota/target
ifndef CARGO_TARGET_DIR
ifeq ($(shell mkdir -p "$(CACHE_TARGET)" 2>/dev/null && [ -w "$(CACHE_TARGET)" ] && echo yes),yes)
export CARGO_TARGET_DIR := $(CACHE_TARGET)
endif
endif

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: ## install what is missing (npm packages, by the lock file)
	@script/setup

env: ## print the PATH with Rota's programs, for eval in a shell
	@target=$${CARGO_TARGET_DIR:-target}; [[ $$target == /* ]] || target="$(CURDIR)/$$target"; \
	printf 'export PATH=%q:"$$PATH"\n' "$(CURDIR)/node_modules/.bin:$$target/debug"

devnet: setup ## the whole system on this machine: L1, contracts, four nodes, keeper
	@echo 'compiling the contracts (about a minute the first time)'
	@$(FORGE) build --quiet contracts script
	@cargo build --locked --bin rota --bin rota-sequencer
	@cargo run --locked --quiet --bin rota -- devnet $(ARGS)

test: setup ## everything that must hold: contracts, gas, Rust, bindings, end to end
	@script/steps test

lint: setup ## formatting, forge lint, clippy, slither
	@script/steps lint

bench: setup ## gas, throughput, failover and finality, beside the peers' figures
	@script/steps bench

soak: setup ## long campaigns: 10^6 differential inputs, deep invariants, long runs
	@script/steps soak

bindings: setup ## regenerate the bindings from the contracts
	@cargo run --locked --quiet -p rota-bindgen

fmt: setup ## format Solidity and Rust
	@$(FORGE) fmt
	@cargo fmt --all

clean: ## remove what builds and devnets made here (not the shared cache of compiled dependencies)
	@script/no-devnet .devnet
	@rm -rf out cache broadcast .devnet bench/out
	@if [ -z "$${CARGO_TARGET_DIR:-}" ]; then cargo clean; fi
