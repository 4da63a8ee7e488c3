#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The shipped configuration has nothing to complain about, with the stacks that
# are comments in it too.
set -e
srcdir=${srcdir:-.}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# check FILE: accepted, and nothing to say about it
check() {
	if ! ./ctflowd -n -c "$1" >"$dir/out" 2>&1 || [ -s "$dir/out" ]; then
		cat "$dir/out" "$1"
		exit 1
	fi
}

shipped="$srcdir/etc/ctflowd.conf"
sed -e "s,/var/\(lib\|log\)/ctflowd,$dir," -e 's,^logfile=.*,logfile="stdout",' "$shipped" >"$dir/a.conf"
check "$dir/a.conf"
sed 's,^#\(stack=\),\1,' "$dir/a.conf" >"$dir/b.conf"
check "$dir/b.conf"

# The unit as it will be installed, but for a program that is surely there.
if command -v systemd-analyze >/dev/null; then
	sed -e 's,@sbindir@/ctflowd$,/bin/true,' -e 's,^ExecStartPre=+-[^ ]*,ExecStartPre=+-/bin/true,' \
		-e 's,^\(User\|Group\)=.*,\1=root,' "$srcdir/etc/ctflowd.service.in" >"$dir/ctflowd.service"
	mkdir "$dir/ctflowd.service.d"
	cp "$srcdir/etc/ctflowd-namespaces.conf" "$dir/ctflowd.service.d"
	systemd-analyze --man=no verify "$dir/ctflowd.service" >"$dir/out" 2>&1 &&
		! grep -F "$dir" "$dir/out" || {
		cat "$dir/out"
		exit 1
	}
fi
