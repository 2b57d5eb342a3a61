# The two commands of the README are `make demo` and `make test`; the rest is for daily work (`make help`).
# Each installs what it needs first, says what it does, and does nothing twice.

PRESET ?= release
MODEL ?= default
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
Q := @

# A build folder that has the trainer and the tests keeps them: `make demo` after `make test` rebuilds nothing.
CONFIGURE_MIN = $(if $(wildcard $(BUILD)/CMakeCache.txt),,-DTANDEM_TESTS=OFF)

.PHONY: help build demo test train format lint clean

help: ## this list
	$(Q)sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the program, at build/release/tandem (no libtorch needed)
	$(Q)scripts/install-packages demo
	$(Q)scripts/install-llama
	$(Q)scripts/build $(PRESET) $(CONFIGURE_MIN)

demo: build ## stream English into German, then French; MODEL=gemma: with Gemma 3 270M and our adapter
	$(Q)MODEL=$(MODEL) scripts/demo

test: ## build everything, trainer and tests included, and run all tests
	$(Q)scripts/install-packages test
	$(Q)scripts/install-llama test
	$(Q)scripts/build $(PRESET) -DTANDEM_TRAIN=ON -DTANDEM_TESTS=ON
	$(Q)ctest --test-dir $(BUILD) -j $(JOBS) --output-on-failure --no-tests=error $(CTEST_ARGS)

train: ## CONFIG=recipes/x.toml: build the trainer and run that configuration
	$(Q)test -n "$(CONFIG)" || { echo "usage: make train CONFIG=FILE.toml" >&2; exit 2; }
	$(Q)scripts/install-packages train
	$(Q)scripts/install-llama
	$(Q)scripts/build $(PRESET) -DTANDEM_TRAIN=ON $(CONFIGURE_MIN)
	$(Q)$(BUILD)/tandem train --config $(CONFIG) $(TRAIN_ARGS)

format: ## clang-format on our sources, in place
	$(Q)git ls-files -z -- '*.h' '*.cpp' | xargs -0 clang-format -i

lint: ## the formatter's check and clang-tidy, as CI runs them
	$(Q)scripts/lint

clean: ## remove the build folders (llama.cpp stays)
	rm -rf build
