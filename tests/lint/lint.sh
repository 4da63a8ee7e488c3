#!/bin/sh
# The rules a compiler does not check:
#
#   no writable globals but log.c's        functions of at most 60 lines
#   files of at most 500 lines             the format of .clang-format
#   plugins see only libraries, their own folder and ctflow/plugin.h
#
# lint.sh [SOURCES [BUILD]].  Says all that is wrong.  Under CI=true a missing
# tool is a failure, elsewhere what it would check is left out.
set -eu
LC_ALL=C
export LC_ALL
src=${1:-${srcdir:-.}} build=${2:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
problems=$tmp/problems
: >"$problems"

bad() { echo "$*" >>"$problems"; }

# need TOOL COMMAND...: true if the command succeeds.
need() {
	tool=$1
	shift
	"$@" >/dev/null 2>&1 && return 0
	if [ "${CI:-}" = true ]; then
		bad "$tool is missing"
	else
		echo "no $tool: not checked"
	fi
	return 1
}

# Sources by name, without what build-aux/plugins.sh made.
sources() {
	for dir in core input filter output query tests build-aux/plugins.sh etc; do
		[ ! -e "$src/$dir" ] || find "$src/$dir" -type f \( "$@" \)
	done | while read -r f; do
		case $(head -n 1 "$f") in
		*"made by build-aux"*) ;;
		*) echo "$f" ;;
		esac
	done | sort
}

objects() { (cd "$build" && find "$@" -name '*.o' 2>/dev/null | sort); }

# "object symbol" of each variable that can be written.  What sanitizers and
# coverage bring with them is theirs.
writable() {
	objdump -t "$build/$1" | awk -F '\t' -v o="$1" '
	NF == 2 {
		flags = substr($1, index($1, " ") + 1, 7)
		n = split($1, left, " ")
		section = left[n]
		n = split($2, right, " ")
		name = right[n]
		tls = section ~ /^\.t(data|bss)/ && flags !~ /d/
		if ((flags !~ /O/ && !tls) || section ~ /^\.data\.rel\.ro/)
			next
		if (name ~ /^[_.]*(asan|odr_asan|ubsan|gcov|sancov|llvm|unnamed_)/)
			next
		if (tls || section ~ /^(\.data|\.bss|\*COM\*)/)
			print o, name
	}'
}

check_globals() {
	for o in $(objects core input filter output query); do
		writable "$o"
	done >"$tmp/writable"
	[ -n "$(objects core)" ] || bad "no objects in $build/core"
	while read -r o name; do
		case $o in
		core/log.o | core/*-log.o) touch "$tmp/log" ;;
		*) bad "$o: '$name' is a writable global" ;;
		esac
	done <"$tmp/writable"
	[ -e "$tmp/log" ] || bad "core/log.o has no writable global: is this check blind?"
}

# symbols OBJECT UND|DEF
symbols() {
	objdump -t "$build/$1" | awk -F '\t' -v what="$2" '
	NF == 2 {
		und = $1 ~ /\*UND\*/
		global = substr($1, index($1, " ") + 1, 1) ~ /[gu]/
		n = split($2, right, " ")
		if (what == "UND" ? und : global && !und)
			print right[n]
	}'
}

# What a plugin takes from the core must be in plugin.h or its parts.
check_symbols() {
	for o in $(objects core); do symbols "$o" DEF; done | sort -u >"$tmp/core"
	sed -n 's/.*[^a-z0-9_]\(ctf_[a-z0-9_]*\)(.*/\1/p' "$src"/core/include/ctflow/*.h |
		sort -u >"$tmp/declared"
	for o in $(objects input filter output); do
		symbols "$o" UND | sort -u >"$tmp/und"
		grep '^ctf_' "$tmp/und" >"$tmp/used" || :
		comm -12 "$tmp/und" "$tmp/core" >>"$tmp/used"
		sort -u "$tmp/used" | comm -23 - "$tmp/declared" | while read -r s; do
			bad "$o: '$s' is not in plugin.h"
		done
	done
}

check_includes() {
	for dir in input filter output; do
		[ -d "$src/$dir" ] || continue
		for f in "$src/$dir"/*.[ch]; do
			[ -e "$f" ] || continue
			sed -n 's/^[ 	]*#[ 	]*include[ 	]*\([<"][^>"]*\).*/\1/p' "$f" |
				while read -r h; do
					check_include "$dir" "$f" "$h"
				done
		done
	done
}

# check_include FOLDER FILE HEADER, which begins with < or "
check_include() {
	case $3 in
	\"*/*) bad "$2: $3\" is not a header of this folder" ;;
	\"*) [ -e "$src/$1/${3#?}" ] || bad "$2: $3\" is not a header of this folder" ;;
	*) [ ! -e "$src/core/${3#?}" ] || bad "$2: $3> is a header of the core" ;;
	esac
}

check_functions() {
	need universal-ctags sh -c 'ctags --version | grep -q Universal' || return 0
	sources -name '*.[ch]' | ctags -L - -f - --languages=C --langmap=C:+.h --kinds-C=f \
		--fields=+ne --excmd=number >"$tmp/tags"
	[ -s "$tmp/tags" ] || bad "ctags finds no function in $src"
	awk -F '\t' '/^!/ { next }
	{
		line = end = 0
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/) line = substr($i, 6)
			if ($i ~ /^end:/) end = substr($i, 5)
		}
		if (end - line + 1 > 60)
			printf "%s:%d: %s() has %d lines, 60 are allowed\n",
				$2, line, $1, end - line + 1
	}' "$tmp/tags" >>"$problems"
}

check_lengths() {
	sources -name '*.[ch]' -o -name '*.sh' -o -name '*.py' | while read -r f; do
		n=$(wc -l <"$f")
		[ "$n" -le 500 ] || bad "$f: $n lines, 500 are allowed"
	done
}

check_format() {
	need clang-format clang-format --version || return 0
	sources -name '*.[ch]' | xargs clang-format --style=file --dry-run 2>&1 |
		grep 'clang-format-violations' | sort -u -t : -k 1,1 >>"$problems" || :
}

if need objdump objdump --version; then
	check_globals
	check_symbols
fi
check_includes
check_functions
check_lengths
check_format
cat "$problems"
[ ! -s "$problems" ]
