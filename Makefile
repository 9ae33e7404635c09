# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A thin front for meson and pytest. Everything that is built goes into build/ (the sanitizers' tree
# into build/asan). Packagers use meson directly.
#
# Ordinary users can run everything; tests that need root are then skipped by name.

BUILD ?= build
ASAN := $(BUILD)/asan
PYTHON := /usr/bin/python3
JOBS ?= $(shell nproc)
PYTEST := $(PYTHON) -B -m pytest -p no:cacheprovider -ra --durations=5
# Our compiler has to be silent; what newer ones invent must not stop a user's build.
WERROR ?= $(shell . /etc/os-release && [ "$$ID$$VERSION_ID" = debian12 ] && echo true || echo false)

export PYTHONDONTWRITEBYTECODE = 1
export OPENBITS_BUILD = $(abspath $(BUILD))

# Leaks at the end of a worker are not looked for: its sandbox forbids what the search needs.
SANITIZER_ENV := OPENBITS_BUILD=$(abspath $(ASAN)) OPENBITS_SANITIZERS=1 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

.DEFAULT_GOAL := build
.PHONY: help setup build asan run check unit integration bench fuzz soak format install clean

help:
	@echo 'make build                 set up and build into $(BUILD)/'
	@echo 'make run                   the classic case: one job, two identities'
	@echo 'make run URL=… [FILE=…]    fetch that in a playground'
	@echo 'make check                 set up and run every test'
	@echo 'make bench                 measure against curl and aria2, and the queue itself'
	@echo 'make fuzz SECONDS=60       every fuzzer, that long'
	@echo 'make soak MINUTES=60       the tests with kills and cuts, again and again'
	@echo 'make format                clang-format on every C file'
	@echo 'make install [DESTDIR=…]   meson install'
	@echo 'make clean                 remove $(BUILD)/'

# A folder that an interrupted first run left half configured is made anew. Where libraries lie by
# architecture the compiler knows; without dpkg-dev meson would not, and nobody would find ours.
define configure
	@[ ! -e $(1) ] || [ -w $(1) ] || { echo "$(1)/ belongs to another user;" \
		"remove it, or use a folder of your own: make BUILD=build-$$(id -un) …" >&2; exit 1; }
	@[ -f $(1)/build.ninja ] || { rm -rf $(1)/meson-private $(1)/meson-info && mkdir -p $(1) && \
		multiarch=$$(gcc -print-multiarch 2>/dev/null); \
		{ meson setup $(1) . -Dwerror=$(WERROR) $${multiarch:+-Dlibdir=lib/$$multiarch} \
		$(2) >$(1)/setup.log 2>&1 || \
		{ cat $(1)/setup.log; exit 1; }; }; }
endef

build:
	@tools/setup build
	$(call configure,$(BUILD))
	@ninja -C $(BUILD) -j $(JOBS)

asan: build
	$(call configure,$(ASAN),-Db_sanitize=address$(comma)undefined -Doptimization=1)
	@ninja -C $(ASAN) -j $(JOBS)

comma := ,

run:
	@tools/setup build run
	@$(MAKE) --no-print-directory build >/dev/null || $(MAKE) --no-print-directory build
	@$(PYTHON) tools/classic $(if $(filter command,$(firstword $(origin URL))),"$$URL") \
		$(if $(filter command,$(firstword $(origin FILE))),"$$FILE")

# The steps all run, so that one look shows everything that is wrong; the status tells whether
# anything was.
check:
	@tools/setup build run check
	@$(MAKE) --no-print-directory build asan
	@tools/check $(BUILD) $(ASAN)

bench:
	@tools/setup build run bench
	@$(MAKE) --no-print-directory build
	@bench/run
	@bench/queue

SECONDS ?= 60
fuzz:
	@tools/setup build check
	@tools/fuzz $(SECONDS)

MINUTES ?= 60
soak:
	@tools/setup build run check
	@$(MAKE) --no-print-directory build
	@tools/soak $(MINUTES)

format:
	@clang-format -i $$(find src include examples bench test -name '*.[ch]')

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD)
