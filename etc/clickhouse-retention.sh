#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clickhouse-retention.sh DAYS DATABASE [OPTION OF clickhouse-client ...]
#
# Deletes what CLICKHOUSE has stored of the days before the last DAYS: flows, what finds
# them by source and destination, flows that have not been seen alive since, and sweeps.
# For cron, once a day; with cluster= on one server of each shard.  ctflow proves nothing
# of days that are gone.
set -eu

days=${1-} db=${2-}
case $days in
'' | *[!0-9]*) db= ;;
esac
case $db in
'' | *[!A-Za-z0-9_]*)
	echo "usage: $0 DAYS DATABASE [OPTION OF clickhouse-client ...]" >&2
	exit 2
	;;
esac
shift 2
day=$(date -u -d "$days days ago" +%Y%m%d)
ns=$(date -u -d "$day" +%s)000000000

# What has days is flows_raw and the tables within flows_src and flows_dst, whatever the
# server calls those.
drop=$(clickhouse-client "$@" --query "SELECT DISTINCT concat('ALTER TABLE $db.\`', table,
	'\` DROP PARTITION ', partition, ';') FROM system.parts WHERE active AND database = '$db'
	AND match(table, '^(flows_raw(_local)?|[.]inner.*)$') AND table IN (SELECT table FROM
	system.columns WHERE database = '$db' AND name = 'outer_port')
	AND toUInt32OrZero(partition) < $day FORMAT TabSeparatedRaw")
[ -z "$drop" ] || echo "$drop" | clickhouse-client "$@" --multiquery

# The end of a flow goes after its sightings, of which the last may be later.
old() {
	case $1 in
	open_raw*) echo "greatest(seen_ns + if(state = 2, 3600000000000, 0), lost_ns)" ;;
	*) echo at_ns ;;
	esac
}
for table in $(clickhouse-client "$@" --query "SELECT name FROM system.tables WHERE database = '$db'
	AND engine LIKE '%MergeTree' AND match(name, '^(open_raw|sweeps)(_local)?$')"); do
	clickhouse-client "$@" --query "ALTER TABLE $db.$table DELETE WHERE $(old "$table") < $ns"
done
