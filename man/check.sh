#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The pages are clean, and ctflowd.conf.5 says what the option tables say.
srcdir=${srcdir:-.}
bad=0
for plugin in PGSQL MYSQL; do # are left out where their libraries are missing
	./ctflowd -i $plugin >/dev/null 2>&1 || exit 77
done
sh "$srcdir/man/gen.sh" ./ctflowd "$srcdir/man/ctflowd.conf.5.in" >man-fresh.5 || exit 1
diff -u "$srcdir/man/ctflowd.conf.5" man-fresh.5 || {
	echo 'man/ctflowd.conf.5 is stale: make man-page'
	bad=1
}
rm -f man-fresh.5
if command -v mandoc >/dev/null; then
	for page in ctflow.1 ctflowd.8 ctflowd.conf.5; do
		mandoc -Tlint -Wwarning "$srcdir/man/$page" || bad=1
	done
elif [ "${CI:-}" ]; then
	echo 'no mandoc, and this is CI'
	bad=1
else
	echo 'no mandoc: the pages were not linted'
fi
exit $bad
