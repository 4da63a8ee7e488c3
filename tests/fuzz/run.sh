#!/bin/sh
# Each fuzz target on its corpus, from the build folder.
set -eu
n=0
for target in tests/fuzz/fuzz_*; do
	case $target in
	*.*) continue ;;
	esac
	[ -x "$target" ] && [ -f "$target" ] || continue
	corpus=$srcdir/tests/fuzz/corpus/${target#tests/fuzz/fuzz_}
	echo "$target $corpus"
	timeout 300 "$target" -runs=0 "$corpus" || exit 1
	n=$((n + 1))
done
[ "$n" -gt 0 ] || { echo "no fuzz target was built"; exit 1; }
