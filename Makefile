# A name for each task. Meson does the build itself.
BUILD ?= build
JOBS ?= $(shell nproc)
SEED ?= 1
SHAPES ?= tiny base small medium large-v3-turbo

.PHONY: help deps build demo cloud-demo test check lint fuzz fault-test infra-test bench \
	bench-invocation bench-delivery format install clean package package-test

help:
	@echo 'make demo      handle a WhatsApp event with a voice note and show the record'
	@echo 'make cloud-demo  the same through a test cloud on loopback, as Lambda would run it'
	@echo 'make test      everything: unit, golden, CLI, templates, sanitizers, fuzzing, lint'
	@echo 'make check     the same without sanitizers, fuzzing and packages (quick)'
	@echo 'make build     build/caracola'
	@echo 'make lint      includes, source rules, format, scripts'
	@echo 'make fuzz      each fuzz target for FUZZ_SECONDS (12)'
	@echo 'make fault-test  1,000 messages under faults and kills; SEED=n, FAULT_ARGS=...'
	@echo 'make infra-test  the CloudFormation templates, every variant of them'
	@echo 'make bench     how fast this machine runs each model, and how fast it could (SHAPES=...)'
	@echo 'make bench-invocation  a cold and a warm invocation, and where the time goes; BENCH_ARGS=...'
	@echo 'make bench-delivery  the time to the first token for each way to get the model; BENCH_ARGS=...'
	@echo 'make format    clang-format on all C files'
	@echo 'make package   Lambda zip, OCI image and .debs into build/package; MODEL=file.cara for the image'
	@echo 'make package-test  starts each of them in a bare root and has it handle a voice note'
	@echo 'make install   into PREFIX (/usr/local), DESTDIR honoured'
	@echo 'make deps      only install the packages that are missing'
	@echo 'make clean     remove the build folders'

deps:
	@scripts/deps test

build:
	@scripts/deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@$(if $(PREFIX),meson configure $(BUILD) --prefix='$(PREFIX)')
	@ninja -C $(BUILD) -j$(JOBS)

demo: build
	@scripts/demo $(BUILD)

cloud-demo: build
	@scripts/deps test
	@CARACOLA_BUILD_DIR='$(abspath $(BUILD))' tests/cloud/run.sh demo.mjs

test:
	@scripts/deps test
	@scripts/test all

check:
	@scripts/deps test
	@scripts/test lint release infra

lint:
	@scripts/deps test
	@scripts/test lint

fuzz:
	@scripts/deps test
	@scripts/test fuzz

fault-test: build
	@scripts/deps test
	@CARACOLA_BUILD_DIR='$(abspath $(BUILD))' tests/cloud/run.sh fault-test.mjs --seed $(SEED) $(FAULT_ARGS)

infra-test:
	@scripts/deps test
	@scripts/test infra

bench: build
	@python3 bench/table.py $(BENCH_ARGS) $(BUILD)/caracola $(SHAPES)

bench-invocation: build
	@scripts/deps test
	@CARACOLA_BUILD_DIR='$(abspath $(BUILD))' tests/cloud/run.sh ../../bench/invocation.mjs $(BENCH_ARGS)

bench-delivery: build
	@scripts/deps test
	@CARACOLA_BUILD_DIR='$(abspath $(BUILD))' tests/cloud/run.sh ../../bench/model-delivery.mjs $(BENCH_ARGS)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build
	@meson install -C $(BUILD) --no-rebuild
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

package:
	@scripts/deps package
	@scripts/package --jobs $(JOBS) $(if $(MODEL),--model '$(MODEL)')

package-test: package
	@scripts/deps test
	@tests/package/run.py

clean:
	rm -rf build build-san
