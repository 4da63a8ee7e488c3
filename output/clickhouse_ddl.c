/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_ddl.c - CLICKHOUSE: the tables and views, for servers from 18.16 on.
 * etc/clickhouse.sql is what this makes for one such server.
 *
 * A row that comes twice has the same ORDER BY, and FINAL shows one of them.
 */
#include "clickhouse.h"

#include <errno.h>

/* clang-format off */
#define FLOW(at) \
	"outer FixedString(16), outer_port Int32, " at " Int64, exporter String, nsid Int32," \
	" id Int64, start_ns Int64, end_ns Int64, stamped UInt8, proto Int16," \
	" src FixedString(16), sport Int32, dst FixedString(16), dport Int32," \
	" nat_src FixedString(16), nat_sport Int32, nat_dst FixedString(16), nat_dport Int32," \
	" icmp_type Int16, icmp_code Int16, orig_packets Int64, orig_bytes Int64," \
	" reply_packets Int64, reply_bytes Int64, mark UInt32, zone UInt16, status Int64," \
	" tcp_state Int16, end_reason Int16, src_name String, dst_name String"
#define STREAM "exporter String, output String, instance String, nsid Int32"
#define DAY "toYYYYMMDD(toDateTime(intDiv(at_ns, 1000000000)), 'UTC')"
#define MONTH "toYYYYMM(toDateTime(intDiv(start_ns, 1000000000)), 'UTC')"

const struct ch_table ch_tables[] = {
	{ "flows_raw", FLOW("at_ns"), NULL, DAY,
	  "outer, outer_port, at_ns, exporter, nsid, id, start_ns",
	  "cityHash64(outer, outer_port, at_ns)" },
	{ "open_raw",
	  FLOW("seen_ns") ", source String, delta UInt8,"
	  " version UInt64 DEFAULT toUInt64(seen_ns),"
	  " state UInt8, lost_ns Int64",
	  "version", MONTH,
	  "exporter, nsid, start_ns, id, proto, src, sport, dst, dport, icmp_type, icmp_code",
	  "cityHash64(exporter, nsid, start_ns, id)" },
	{ "gaps_raw",
	  STREAM ", from_ns Int64, cause String, concluded UInt8, told_ns Int64, to_ns Int64,"
	  " count Int64, count_is UInt8, version UInt64, gone UInt8",
	  "version", NULL,
	  "exporter, output, instance, nsid, from_ns, cause, concluded, told_ns",
	  "cityHash64(exporter)" },
	{ "coverage_raw",
	  STREAM ", from_ns Int64, last_alive_ns Int64, to_ns Int64, boot_id String,"
	  " event_mask UInt32, acct Int8, timestamp Int8, events Int8, reliable UInt8,"
	  " selection String, netns String, abilities String, clock_synchronised Int8,"
	  " clock_error_ns Int64, offload Int8, gro Int8, version UInt64",
	  "version", NULL, "exporter, output, instance, nsid, from_ns",
	  "cityHash64(exporter)" },
	{ "sweeps",
	  STREAM ", at_ns Int64, previous_ns Int64, min_age_ns Int64, complete UInt8",
	  NULL, NULL, "exporter, output, instance, nsid, at_ns", "cityHash64(exporter)" },
	{ "meta", "key String, value String", NULL, NULL, "key", "cityHash64(key)" },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};

/* ---- what can be read ----------------------------------------------------------- */

#define MAPPED "unhex('00000000000000000000FFFF')"
#define ADDR(c) \
	"if(r." c " = toFixedString('', 16), NULL, if(substring(r." c ", 1, 12) = " MAPPED \
	", IPv4NumToString(reinterpretAsUInt32(reverse(substring(r." c ", 13, 4))))," \
	" IPv6NumToString(r." c "))) AS " c
#define ISO(c, as) \
	"if(r." c " = 0, NULL, concat(replaceOne(toString(toDateTime(intDiv(r." c \
	", 1000000000)), 'UTC'), ' ', 'T'), '.'," \
	" substring(toString(1000000 + intDiv(r." c ", 1000) % 1000000), 2), 'Z')) AS " as
#define KNOWN(c) "nullIf(r." c ", -1) AS " c
#define TOLD(c) "nullIf(r." c ", '') AS " c
#define TIME(c) "nullIf(r." c ", 0) AS " c
/* Not by src: in a view that would be the text of this name. */
#define READABLE \
	"if(substring(r.outer, 1, 12) = " MAPPED ", 4, 6) AS family, " KNOWN("proto") ", " \
	ADDR("src") ", " KNOWN("sport") ", " ADDR("dst") ", " KNOWN("dport") ", " \
	ADDR("nat_src") ", " KNOWN("nat_sport") ", " ADDR("nat_dst") ", " KNOWN("nat_dport") \
	", " KNOWN("icmp_type") ", " KNOWN("icmp_code") ", " KNOWN("orig_packets") ", " \
	KNOWN("orig_bytes") ", " KNOWN("reply_packets") ", " KNOWN("reply_bytes") \
	", r.mark AS mark, r.zone AS zone, " KNOWN("nsid") ", " KNOWN("id") ", " \
	KNOWN("status") ", " KNOWN("tcp_state")
#define NAMES TOLD("src_name") ", " TOLD("dst_name") ", r.exporter AS exporter"

/* A flow whose end nobody saw ended when that was found out, or before. */
static const char flows_as[] =
	"SELECT " TIME("start_ns") ", " TIME("end_ns") ", if(r.stamped = 1, r.at_ns, NULL)"
	" AS destroy_ns, " ISO("start_ns", "start") ", " ISO("end_ns", "`end`") ", " READABLE
	", " KNOWN("end_reason") ", r.at_ns AS at_ns, " NAMES " FROM @.flows_raw AS r FINAL"
	" UNION ALL SELECT " TIME("start_ns") ", CAST(NULL AS Nullable(Int64)) AS end_ns,"
	" CAST(NULL AS Nullable(Int64)) AS destroy_ns, " ISO("start_ns", "start")
	", CAST(NULL AS Nullable(String)) AS `end`, " READABLE
	", CAST(0 AS Nullable(Int16)) AS end_reason, r.lost_ns AS at_ns, " NAMES
	" FROM @.open_raw AS r FINAL WHERE r.state = 1";
static const char open_as[] =
	"SELECT " TIME("start_ns") ", r.seen_ns AS seen_ns, " ISO("start_ns", "start") ", "
	ISO("seen_ns", "seen") ", " READABLE ", " NAMES
	" FROM @.open_raw AS r FINAL WHERE r.state = 0";
static const char gaps_as[] =
	"SELECT r.from_ns AS from_ns, r.to_ns AS to_ns, r.cause AS cause, " KNOWN("count")
	", if(r.count_is = 0, 'exact', if(r.count_is = 1, 'at_most', 'unknown')) AS count_is, "
	KNOWN("nsid") ", r.instance AS instance, r.output AS output, r.exporter AS exporter"
	" FROM @.gaps_raw AS r FINAL WHERE r.gone = 0";
static const char coverage_as[] =
	"SELECT r.from_ns AS from_ns, r.last_alive_ns AS last_alive_ns, " TIME("to_ns")
	", r.instance AS instance, " KNOWN("nsid") ", r.exporter AS exporter,"
	" r.boot_id AS boot_id, r.event_mask AS event_mask, " KNOWN("acct") ", "
	KNOWN("timestamp") ", " KNOWN("events") ", r.reliable AS reliable,"
	" r.selection AS selection, r.output AS output, r.netns AS netns,"
	" r.abilities AS abilities, " KNOWN("clock_synchronised") ", "
	KNOWN("clock_error_ns") ", " KNOWN("offload") ", " KNOWN("gro")
	" FROM @.coverage_raw AS r FINAL";
/* clang-format on */

/* ---- statements --------------------------------------------------------------------- */

struct maker {
	const struct ch_dialect *d;
	struct buf sql;
	int (*run)(void *arg, const char *sql);
	void *arg;
};

static void
put(struct maker *m, const char *text)
{
	buf_puts(&m->sql, text);
}

static void
put_name(struct maker *m, const char *name, const char *suffix)
{
	put(m, m->d->db);
	put(m, ".");
	put(m, name);
	put(m, suffix);
}

static void
put_create(struct maker *m, const char *what, const char *name, const char *suffix)
{
	m->sql.len = 0;
	put(m, "CREATE ");
	put(m, what);
	put(m, " IF NOT EXISTS ");
	if (name)
		put_name(m, name, suffix);
	else
		put(m, m->d->db);
	if (*m->d->cluster) {
		put(m, " ON CLUSTER `");
		put(m, m->d->cluster);
		put(m, "`");
	}
}

static int
run(struct maker *m)
{
	return m->sql.failed ? -ENOMEM : m->run(m->arg, m->sql.p);
}

static const char *
local(const struct maker *m)
{
	return *m->d->cluster ? "_local" : "";
}

/* Two daemons that make it at once make the same. */
static void
put_engine(struct maker *m, const char *name, const char *version)
{
	put(m, *m->d->cluster ? ") ENGINE = ReplicatedReplacingMergeTree("
				"'/clickhouse/tables/{shard}/"
			      : ") ENGINE = ReplacingMergeTree");
	if (*m->d->cluster) {
		put(m, m->d->db);
		put(m, "/");
		put(m, name);
		put(m, "', '{replica}'");
	}
	if (version) {
		put(m, *m->d->cluster ? ", " : "(");
		put(m, version);
	}
	put(m, *m->d->cluster || version ? ")" : "");
}

/* The table of that name is what all servers have, the rows are in those beneath. */
static int
spread(struct maker *m, const char *name, const char *shard)
{
	if (!*m->d->cluster)
		return 0;
	put_create(m, "TABLE", name, "");
	put(m, " AS ");
	put_name(m, name, "_local");
	put(m, " ENGINE = Distributed(`");
	put(m, m->d->cluster);
	put(m, "`, ");
	put(m, m->d->db);
	put(m, ", ");
	put(m, name);
	put(m, "_local, ");
	put(m, shard);
	put(m, ")");
	return run(m);
}

static bool
projects(const struct maker *m)
{
	return m->d->version >= CH_PROJECTIONS;
}

static const char *const sides[] = { "src", "dst" };
#define SIDES 2

static int
table_make(struct maker *m, const struct ch_table *t)
{
	bool with = t == &ch_tables[0] && projects(m);
	int r;

	put_create(m, "TABLE", t->name, local(m));
	put(m, " (");
	put(m, t->columns);
	for (unsigned i = 0; with && i < SIDES; i++) {
		put(m, ", PROJECTION by_");
		put(m, sides[i]);
		put(m, " (SELECT ");
		put(m, sides[i]);
		put(m, ", at_ns, outer, outer_port ORDER BY ");
		put(m, sides[i]);
		put(m, ", at_ns)");
	}
	put_engine(m, t->name, t->version);
	put(m, t->partition ? " PARTITION BY " : "");
	put(m, t->partition ? t->partition : "");
	put(m, " ORDER BY (");
	put(m, t->order);
	put(m, with ? ") SETTINGS deduplicate_merge_projection_mode = 'rebuild'" : ")");
	r = run(m);
	return r ? r : spread(m, t->name, t->shard);
}

/* flows_src, flows_dst: what a projection is to newer servers. */
static int
side_make(struct maker *m, const char *side)
{
	char name[32] = "flows_";
	int r;

	strncat(name, side, 8);
	put_create(m, projects(m) ? "VIEW" : "MATERIALIZED VIEW", name,
		   projects(m) ? "" : local(m));
	if (!projects(m)) {
		put(m, " (");
		put(m, side);
		put(m,
		    " FixedString(16), at_ns Int64, outer FixedString(16), outer_port Int32");
		put_engine(m, name, NULL);
		put(m, " PARTITION BY " DAY " ORDER BY (");
		put(m, side);
		put(m, ", at_ns, outer, outer_port)");
	}
	put(m, " AS SELECT ");
	put(m, side);
	put(m, ", at_ns, outer, outer_port FROM ");
	put_name(m, "flows_raw", projects(m) ? "" : local(m));
	r = run(m);
	if (r || projects(m))
		return r;
	return spread(m, name, "cityHash64(outer, outer_port, at_ns)");
}

/* @ is the database. */
static int
view_make(struct maker *m, const char *name, const char *as)
{
	const char *at;

	put_create(m, "VIEW", name, "");
	put(m, " AS ");
	for (; (at = strchr(as, '@')); as = at + 1) {
		buf_put(&m->sql, as, (size_t)(at - as));
		put(m, m->d->db);
	}
	put(m, as);
	return run(m);
}

static int
views_make(struct maker *m)
{
	static const struct {
		const char *name, *as;
	} views[] = { { "flows", flows_as },
		      { "open_flows", open_as },
		      { "gaps", gaps_as },
		      { "coverage", coverage_as } };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < sizeof(views) / sizeof(*views); i++)
		r = view_make(m, views[i].name, views[i].as);
	return r;
}

static int
meta_make(struct maker *m)
{
	m->sql.len = 0;
	put(m, "INSERT INTO ");
	put_name(m, "meta", "");
	put(m, " VALUES ('format', 'ctflowd'), ('version', '");
	buf_num(&m->sql, CH_SCHEMA);
	put(m, "')");
	return run(m);
}

int
ch_ddl(const struct ch_dialect *d, int (*fn)(void *arg, const char *sql), void *arg)
{
	struct maker m = { .d = d, .run = fn, .arg = arg };
	int r;

	put_create(&m, "DATABASE", NULL, NULL);
	r = run(&m);
	for (const struct ch_table *t = ch_tables; t->name && r == 0; t++)
		r = table_make(&m, t);
	for (unsigned i = 0; i < SIDES && r == 0; i++)
		r = side_make(&m, sides[i]);
	if (r == 0)
		r = views_make(&m);
	if (r == 0)
		r = meta_make(&m);
	buf_free(&m.sql);
	return r;
}
