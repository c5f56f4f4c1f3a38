#!/bin/sh
# Fails when a release binary lacks what hardens it, or carries what it should not:
# tests/lint/binary.sh FILE [shared]       shared: it may need the system's libstdc++
set -eu
file=$1
fail() { echo "$file: $1"; exit 1; }

readelf -h "$file" | grep -q 'Type: *DYN' || fail "not position independent"
readelf -lW "$file" | grep -q 'GNU_RELRO' || fail "no RELRO"
readelf -dW "$file" | grep -q 'BIND_NOW\|Flags:.*NOW' || fail "symbols are bound late"
readelf -lW "$file" | grep 'GNU_STACK' | grep -q 'RW ' || fail "the stack is executable"
[ "$(objdump -d "$file" | grep -c endbr64)" -gt 500 ] || fail "no control-flow protection"
readelf -sW --dyn-syms "$file" | grep -q __stack_chk_fail || fail "no stack protector"
readelf -sW --dyn-syms "$file" | grep -q '_chk@' || fail "no FORTIFY_SOURCE"
readelf -dW "$file" | grep -q 'RPATH\|RUNPATH' && fail "a library path is built in"
readelf -dW "$file" | grep -q libsecret && fail "libsecret must not be needed"
[ "${2-}" = shared ] || ! readelf -dW "$file" | grep -q 'libstdc++' || fail "libstdc++ must not be needed"
grep -q "$(cd "$(dirname "$0")/../.." && pwd)" "$file" && fail "it names the folder it was built in"
echo "$file: hardened, $(stat -c %s "$file") bytes"
