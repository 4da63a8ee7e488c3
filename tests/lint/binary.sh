#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What is built: the daemon needs no library but its three, and without
# sanitizers the daemon and its modules are hardened.
set -eu
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

sanitized() { nm -D "$1" | grep -qE '__(asan|tsan|ubsan)_'; }

needed() { readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

for lib in $(needed ctflowd); do
	case $lib in
	libc.* | libmnl.* | libnetfilter_conntrack.* | libnfnetlink.* | ld-linux* | libdl.* | \
		libpthread.*) ;;
	libasan.* | libubsan.* | libtsan.* | libm.* | libgcc_s.*)
		sanitized ctflowd || fail "ctflowd needs $lib" ;;
	*) fail "ctflowd needs $lib" ;;
	esac
done
needed ctflowd | grep -q '^libmnl\.' || fail 'ctflowd does not need libmnl: was it looked at?'

hardened() {
	readelf -dW "$1" | grep -qE 'BIND_NOW|Flags:.* NOW' || fail "$1: not bound at start"
	readelf -lW "$1" | grep -q GNU_RELRO || fail "$1: relocations stay writable"
	readelf -lW "$1" | grep 'GNU_STACK' | grep -q 'RW ' || fail "$1: stack executable"
	nm -D "$1" | grep -q __stack_chk_fail || fail "$1: no stack protector"
}

if sanitized ctflowd; then
	echo 'sanitizers instead of hardening'
else
	for f in ctflowd .libs/*.so; do
		hardened "$f"
	done
	readelf -hW ctflowd | grep -q 'Type: *DYN' || fail 'ctflowd: no PIE'
	grep -q '^CFLAGS = .*-O[1-9s]' Makefile || exit $failed
	nm -D ctflowd | grep -qE '__(memcpy|snprintf|vsnprintf|read)_chk' || fail 'ctflowd: not fortified'
fi
exit $failed
