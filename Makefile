# The daily commands; CMake and Ninja do the building.
# SPDX-License-Identifier: MIT
.DEFAULT_GOAL := all
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
DOCDIR   = $(DESTDIR)$(PREFIX)/share/doc/studio-worker
SEEDS   ?= 2000
SEED    ?=
FUZZ_SECONDS ?= 20
JOBS    ?= $(shell nproc)
NINJA    = cmake --build

.PHONY: all demo check bench fuzz sim format format-check tidy tree-check install clean packages help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

all: packages $(BUILD)/build.ninja ## build both programs into build/
	@$(NINJA) $(BUILD) -- $(if $(MAKE_TERMOUT),,--quiet) studio-worker studiod

packages:
	@packaging/install-packages build

$(BUILD)/build.ninja:
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_INSTALL_PREFIX=$(PREFIX) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

demo: all ## a studio and a worker on this machine, a job of every kind, results in demo-out/
	@packaging/install-packages run
	@tools/demo

check: ## all tests
	@packaging/install-packages build run check
	@FUZZ_SECONDS=$(FUZZ_SECONDS) SEEDS=$(SEEDS) JOBS=$(JOBS) tools/check

bench: all ## measure, and write bench/RESULTS.md and bench/ENGINES.md
	@packaging/install-packages run bench
	@bench/run

fuzz: ## fuzz every target for FUZZ_SECONDS each
	@packaging/install-packages build run check
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz

sim: $(BUILD)/build.ninja ## simulate SEEDS=2000 seeds, or replay one with SEED=17
	@packaging/install-packages build run check
	@$(NINJA) $(BUILD) -- sim
	@$(BUILD)/tests/sim/sim $(if $(SEED),--seed $(SEED) --trace,--seeds 1..$(SEEDS))

format: ## lay out the sources as .clang-format says
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

format-check:
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format --dry-run -Werror

tree-check: ## the arrows between rooms, secrets, the deletable engine
	@tools/check-tree

tidy: ## clang-tidy over the sources
	@tools/tidy

install: all ## programs, man pages, completions (PREFIX, DESTDIR)
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DOCDIR)
	@install -m 755 $(BUILD)/studio-worker $(BUILD)/studiod $(DESTDIR)$(PREFIX)/bin/
	@install -m 644 docs/man/studio-worker.1 docs/man/studiod.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	@install -m 644 packaging/completions/studio-worker packaging/completions/studiod \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/
	@install -m 644 README.md LICENSE CHANGELOG.md CONTRIBUTING.md $(DOCDIR)/
	@install -d $(DOCDIR)/docs/images $(DOCDIR)/bench $(DOCDIR)/packaging
	@install -m 644 docs/*.md docs/openapi.json $(DOCDIR)/docs/
	@install -m 644 docs/images/* $(DOCDIR)/docs/images/
	@install -m 644 bench/RESULTS.md $(DOCDIR)/bench/
	@install -m 644 packaging/*.service packaging/studiod.toml packaging/nginx-studiod.conf $(DOCDIR)/packaging/
	@echo "installed below $(DESTDIR)$(PREFIX)"

clean: ## remove what was built
	@rm -rf $(BUILD) build-* demo-out
