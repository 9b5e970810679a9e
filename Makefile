# One name for each thing one does here. The build itself is Meson's.
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: help deps build demo test check lint fuzz format install clean

help:
	@echo 'make demo      handle a WhatsApp event with a voice note and show the record'
	@echo 'make test      everything: unit, golden, CLI, sanitizers, fuzzing, lint'
	@echo 'make check     the same less sanitizers and fuzzing (quick)'
	@echo 'make build     build/caracola'
	@echo 'make lint      includes, source rules, format, scripts'
	@echo 'make fuzz      each fuzz target for FUZZ_SECONDS (20)'
	@echo 'make format    clang-format over our C'
	@echo 'make install   into PREFIX (/usr/local), DESTDIR honoured'
	@echo 'make deps      only install the packages that are missing'
	@echo 'make clean     remove the build folders'

deps:
	@scripts/deps test

build:
	@scripts/deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) $(if $(PREFIX),--prefix=$(PREFIX))
	@ninja -C $(BUILD) -j$(JOBS)

demo: build
	@scripts/demo $(BUILD)

test:
	@scripts/deps test
	@scripts/test all

check:
	@scripts/deps test
	@scripts/test lint release

lint:
	@scripts/deps test
	@scripts/test lint

fuzz:
	@scripts/deps test
	@scripts/test fuzz

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-san
