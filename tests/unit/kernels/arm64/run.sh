#!/bin/sh
# Builds the kernel tests for arm64 and runs them under qemu, so that the NEON level is tested on
# any machine. Usage: run.sh SOURCE_ROOT.
set -eu
root=$1
cc=aarch64-linux-gnu-gcc
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags="-std=c11 -D_POSIX_C_SOURCE=200809L -O3 -fno-math-errno -ffp-contract=off -DCARA_ARM64
    -I$root/src -I$root/include -I$root/tests/unit/kernels/arm64"
parts=
build() { # object source flags
    object=$1 source=$2
    shift 2
    # shellcheck disable=SC2086 # flags are words
    $cc $flags "$@" -c "$root/$source" -o "$out/$object.o"
    parts="$parts $out/$object.o"
}
neon=-march=armv8.2-a+dotprod
build cpu src/kernels/cpu/cpu.c
build scalar src/kernels/scalar/scalar.c
for part in neon gemm attend cache; do
    build $part src/kernels/neon/$part.c $neon
done
build i8_scalar src/kernels/scalar/i8.c -fno-trapping-math -Wno-psabi
build i8_neon src/kernels/neon/i8.c -fno-trapping-math -Wno-psabi $neon
build pack src/model/i8_pack.c
build buf src/base/memory/buf.c
build error src/base/error.c
for test in test_i8 test_kernels test_attend; do
    # shellcheck disable=SC2086
    $cc $flags -static "$root/tests/unit/kernels/$test.c" $parts -lm -o "$out/$test"
    qemu-aarch64 -cpu max "$out/$test"
done
