#!/bin/sh
# Every file of cases/: what is read from it must be its .expect.  Then the
# collection of real configurations, where it lies beside the sources.
set -eu
dump=$PWD/tests/conf/dump
src=$(cd "$srcdir" && pwd)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

cd "$src/tests/conf/cases"
n=0
for f in *.conf; do
	"$dump" "$f" >"$out" || fail "$f: exit status $?"
	diff -u "${f%.conf}.expect" "$out" || fail "$f"
	n=$((n + 1))
done
[ "$n" -ge 9 ] || fail "only $n cases"
echo "$n cases"

"$dump" missing.conf >"$out" && fail "a missing file is no error"
echo "error: missing.conf: cannot be read: No such file or directory" | diff - "$out" || failed=1
"$dump" . >"$out" && fail "a folder is no error"
echo "error: .: cannot be read: Is a directory" | diff - "$out" || failed=1

# reads FILE SECTION-LINE...: these lines are in its dump
reads() {
	f=$1
	shift
	for want; do
		"$dump" "$f" | grep -qxF -- "$want" || fail "$f: no '$want'"
	done
}

real=$src/../shared/ulogd-confs
if [ -d "$real" ]; then
	cd "$real"
	tab='	'
	for f in *.conf; do
		"$dump" "$f" >"$out" || fail "$f: exit status $?"
		! grep '^error' "$out" || fail "$f"
	done
	reads 01-*.conf "144${tab}reliable = 1"
	reads 05-*.conf "74${tab}port = 6001"
	reads 08-*.conf "23${tab}event_mask = 0x00000001"
	reads 10-*.conf "23${tab}accept_src_filter = 192.168.100.0/24,1:2::/64"
	reads 11-*.conf "1 [ct1]" "3 [global]"
	reads 13-*.conf "10${tab}event_mask = 0x00000001" "13${tab}event_mask = 0x00000004"
	reads 19-*.conf "[global] is not there"
	echo "$(ls ./*.conf | wc -l) real configurations"
fi
exit $failed
