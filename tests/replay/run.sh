#!/bin/sh
# Recordings through the whole daemon: what REPLAY makes of data/NAME.pcap and
# LOGEMU, GPRINT, JSON and SQLITE3, for two of them all outputs of text, write must be golden/NAME.*, byte for byte.  Needs no
# root.  With --update the golden files are made anew: look at the difference.
# data/real-*.pcap were recorded on a NAT gateway, gen.py makes data/gen-*.pcap.
set -eu
TZ=UTC LC_ALL=C
export TZ LC_ALL
daemon=$PWD/ctflowd
src=$(cd "${srcdir:-.}" && pwd)/tests/replay
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
update=${1:-}
failed=0
kinds="emu gprint json"

fail() {
	echo "FAIL: $*"
	failed=1
}

# What the texts do not have: last packet, end reason, zone, namespace, state.
if "$daemon" -i SQLITE3 2>&1 | grep -q '^SQLITE3 (' && command -v sqlite3 >/dev/null; then
	kinds="$kinds flows"
elif [ "${CI:-}" = true ]; then
	fail "no SQLITE3, or no sqlite3 command"
fi
columns="start_ns, end_ns, destroy_ns, family, proto, src, sport, dst, dport, nat_src, nat_sport,
	nat_dst, nat_dport, icmp_type, icmp_code, orig_packets, orig_bytes, reply_packets,
	reply_bytes, mark, zone, nsid, id, status, tcp_state, end_reason"

# replay_section ID FILE MASK
replay_section() {
	printf '[%s]\nfile="%s"\nevent_mask=%s\n' "$1" "$2" "$3"
}

outputs() {
	printf '[emu1]\nfile="%s/out.emu"\n[gp1]\nfile="%s/out.gprint"\n[js1]\nfile="%s/out.json"\n' \
		"$tmp" "$tmp" "$tmp"
	printf '[sq1]\ndb="%s/out.db"\ntable="flows"\n' "$tmp"
}

# run_daemon EXIT-CODE: the configuration is $tmp/conf; its log becomes $tmp/log
run_daemon() {
	rc=0
	rm -f "$tmp"/out.*
	timeout 60 "$daemon" -c "$tmp/conf" -l 5 >"$tmp/stdout" 2>"$tmp/log" || rc=$?
	[ "$rc" -eq "$1" ] && return
	cat "$tmp/log"
	fail "exit code $rc, not $1"
}

# compare NAME KIND; the host name is another one everywhere
compare() {
	golden=$src/golden/$1.$2
	case $2 in
	emu) sed -E "s/^(.{15}) [^ ]+ /\1 HOST /" "$tmp/out.emu" >"$tmp/got" ;;
	flows)
		sqlite3 -header "$tmp/out.db" \
			"SELECT $columns FROM flows ORDER BY destroy_ns, id" >"$tmp/got" ||
			fail "$1: sqlite3"
		;;
	*) cp "$tmp/out.$2" "$tmp/got" ;;
	esac
	if [ "$update" = --update ]; then
		mkdir -p "$src/golden"
		cp "$tmp/got" "$golden"
	fi
	diff -u "$golden" "$tmp/got" || fail "$1.$2"
}

# golden NAME MASK [EXIT-CODE]
golden() {
	{
		echo '[global]'
		echo 'logfile="stderr"'
		echo 'stack=r1:REPLAY,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU'
		echo 'stack=r1:REPLAY,ip1:IP2STR,gp1:GPRINT'
		echo 'stack=r1:REPLAY,ip1:IP2STR,js1:JSON'
		case $kinds in
		*flows*) echo 'stack=r1:REPLAY,sq1:SQLITE3' ;;
		esac
		replay_section r1 "$src/data/$1.pcap" "$2"
		outputs
	} >"$tmp/conf"
	run_daemon "${3:-0}"
	for kind in $kinds; do
		compare "$1" "$kind"
	done
	n=$((n + 1))
}

# The same with names of addresses, which the records must show.
golden_names() {
	{
		echo '[global]'
		echo 'logfile="stderr"'
		echo 'stack=r1:REPLAY,nm1:NAMES,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU'
		echo 'stack=r1:REPLAY,nm1:NAMES,ip1:IP2STR,gp1:GPRINT'
		echo 'stack=r1:REPLAY,nm1:NAMES,ip1:IP2STR,js1:JSON'
		replay_section r1 "$src/data/$1.pcap" "$2"
		printf '[nm1]\nhosts="%s"\nfile="%s"\n' "$src/data/names.hosts" "$src/data/names.list"
		outputs
	} >"$tmp/conf"
	run_daemon 0
	for kind in emu gprint json; do
		compare "$1-names" "$kind"
	done
	n=$((n + 1))
}

# The other texts.
golden_texts() {
	{
		echo '[global]'
		echo 'logfile="stderr"'
		echo 'stack=r1:REPLAY,hb1:IP2HBIN,bin1:IP2BIN,op1:OPRINT'
		echo 'stack=r1:REPLAY,ip1:IP2STR,na1:NACCT'
		echo 'stack=r1:REPLAY,xml1:XML'
		echo 'stack=r1:REPLAY,csv1:CSV'
		echo 'stack=r1:REPLAY,ip1:IP2STR,nest1:JSON'
		echo 'stack=r1:REPLAY,fmt1:LOGEMU'
		replay_section r1 "$src/data/$1.pcap" "$2"
		for kind in "op1 oprint" "na1 nacct" "csv1 csv" "nest1 nested" "fmt1 format"; do
			printf '[%s]\nfile="%s/out.%s"\n' "${kind% *}" "$tmp" "${kind#* }"
			[ "$kind" != "nest1 nested" ] || echo keys=nested
			[ "$kind" != "fmt1 format" ] || cat <<'END'
format="%{time:%d/%b/%Y:%H:%M:%S.%3N %z} %{event} %{proto} %{orig.ip.saddr}:%{orig.l4.sport} %{flow.start.ns|unknown:iso.ns} %{flow.end.sec:iso} %{ct.status:hex} %{orig.raw.pktlen:json}"
END
		done
		printf '[xml1]\ndirectory="%s"\n' "$tmp"
	} >"$tmp/conf"
	rm -f "$tmp"/*.xml
	run_daemon 0
	mv "$tmp"/ulogd-flow-*.xml "$tmp/out.xml"
	for kind in oprint nacct xml csv nested format; do
		compare "$1" "$kind"
	done
	n=$((n + 1))
}

n=0
golden_texts real-6.18 5
golden_texts gen-special 7
golden real-6.18 5
golden gen-2.6 4
golden gen-5.10 4
golden gen-6.1 4
golden gen-6.12 4
golden gen-6.18 7
golden gen-bare 5
golden gen-special 5
golden gen-big-endian 4
golden gen-several 7
golden_names real-6.18 5
golden gen-truncated 4 1
echo "$n recordings"

# gen-truncated: one clear line besides the daemon's own
line=$(grep -c "data/gen-truncated.pcap: packet [0-9]* at offset [0-9]*: the file ends" "$tmp/log") ||
	:
[ "$line" = 1 ] || fail "$line lines about the damaged file"

# Two recordings at once: the daemon ends when both have.
{
	echo '[global]'
	echo 'logfile="stderr"'
	echo 'stack=r1:REPLAY,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU'
	echo 'stack=r2:REPLAY,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU'
	replay_section r1 "$src/data/gen-6.18.pcap" 4
	replay_section r2 "$src/data/gen-6.1.pcap" 4
	outputs
} >"$tmp/conf"
run_daemon 0
[ "$(wc -l <"$tmp/out.emu")" -eq 18 ] || fail "two recordings: $(wc -l <"$tmp/out.emu") lines"

# A recording that is not there: one line that names it, and nothing to do.
{
	echo '[global]'
	echo 'logfile="stderr"'
	echo 'stack=r1:REPLAY,ip1:IP2STR,pf1:PRINTFLOW,emu1:LOGEMU'
	replay_section r1 "$tmp/nowhere.pcap" 4
	outputs
} >"$tmp/conf"
run_daemon 1
grep -q "nowhere.pcap: No such file" "$tmp/log" || fail "the log does not name nowhere.pcap"

# A format with a mistake in it: one line that names the place and what may be meant.
{
	echo '[global]'
	echo 'logfile="stderr"'
	echo 'stack=r1:REPLAY,emu1:LOGEMU'
	replay_section r1 "$src/data/gen-6.18.pcap" 4
	outputs
} | sed 's/^\[emu1\]/[emu1]\nformat="%{orig.ip.sadr}"/' >"$tmp/conf"
run_daemon 1
grep -q "conf:8: format: there is no field orig.ip.sadr; orig.ip.saddr?" "$tmp/log" ||
	fail "the log does not name the field: $(cat "$tmp/log")"

exit $failed
