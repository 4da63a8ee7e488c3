#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# gen.sh CTFLOWD TEMPLATE: the page, with the option tables of the plugins in
# place of the lines @PLUGIN@.
set -e
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT
while IFS= read -r line; do
	case $line in
	@*@)
		plugin=${line#@}
		"$1" --man "${plugin%@}" >"$tables" || {
			echo "gen.sh: no options of ${plugin%@}" >&2
			exit 1
		}
		[ ! -s "$tables" ] || {
			echo '.Bl -tag -width Ds'
			cat "$tables"
			echo '.El'
		}
		;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$2"
