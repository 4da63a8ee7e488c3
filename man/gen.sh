#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# gen.sh CTFLOWD TEMPLATE: the page, with the option tables of the plugins in
# place of the lines @PLUGIN@, and the fields NFCT writes in place of @fields@.
set -e
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT

options() {
	"$1" --man "$2" >"$tables" || {
		echo "gen.sh: no options of $2" >&2
		exit 1
	}
	[ -s "$tables" ] || return 0
	echo '.Bl -tag -width Ds'
	cat "$tables"
	echo '.El'
}

fields() {
	echo '.Bl -tag -compact -width "ct.tcp.wscale.reply"'
	"$1" -i NFCT | awk '
		/^[^ ]/ { on = /^Fields written/; next }
		on && NF { name = $1; sub(/^ *[^ ]+ +[^ ]+ +/, "")
			printf ".It Va %s\n%s.\n", name, $0 }'
	echo '.El'
}

while IFS= read -r line; do
	case $line in
	@fields@) fields "$1" ;;
	@*@)
		line=${line#@}
		options "$1" "${line%@}"
		;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$2"
