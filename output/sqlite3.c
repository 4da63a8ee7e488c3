/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQLITE3: flows into a database file.
 *
 * A table that exists is filled as ulogd2 fills it.  A missing one is made
 * with our own schema, for finished flows (sqlite3_schema.c).  The encoder
 * writes the wanted fields as they are (sqlite3_row.c); the sink, on its own
 * thread, fits them to the table (sqlite3_group.c and what it calls).
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite3_db.h"

#define FRAME (64u << 10)
#define AGE_MAX UINT64_C(3153600000000) /* a hundred years of ms */

struct enc {
	struct ctf_obj obj;
	struct sq_fields fields;
	enum ctf_interim interim;
};

static const struct ctf_opt opts[] = {
	{ .name = "db",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sq_conf, db),
	  .min = 1,
	  .max = 4000,
	  .doc = "path of the database file; made if missing" },
	{ .name = "table",
	  .type = CTF_OTEXT,
	  .off = offsetof(struct sq_conf, table),
	  .min = 1,
	  .max = 200,
	  .doc = "an existing table, filled as ulogd2 does, or the name of the view to make" },
	{ .name = "commit_every",
	  .type = CTF_OMSEC,
	  .off = offsetof(struct sq_conf, commit_every),
	  .max = 600000,
	  .dflt = "0",
	  .doc = "flows wait that long to be committed together; fewer writes, for flash" },
	{ .name = "keep",
	  .type = CTF_OMSEC,
	  .off = offsetof(struct sq_conf, keep),
	  .max = AGE_MAX,
	  .dflt = "0",
	  .doc = "flows that ended so long ago are deleted; 0: none" },
	{ .name = "keep_minutes",
	  .type = CTF_OMSEC,
	  .off = offsetof(struct sq_conf, keep_minutes),
	  .max = AGE_MAX,
	  .dflt = "2d",
	  .doc = "how long sums by minute are kept; 0: for ever" },
	{ .name = "keep_hours",
	  .type = CTF_OMSEC,
	  .off = offsetof(struct sq_conf, keep_hours),
	  .max = AGE_MAX,
	  .dflt = "90d",
	  .doc = "how long sums by hour are kept" },
	{ .name = "keep_days",
	  .type = CTF_OMSEC,
	  .off = offsetof(struct sq_conf, keep_days),
	  .max = AGE_MAX,
	  .dflt = "1826d",
	  .doc = "how long sums by day are kept" },
	{ .name = "max_size",
	  .type = CTF_OSIZE,
	  .off = offsetof(struct sq_conf, max_size),
	  .dflt = "0",
	  .doc = "when the database holds more bytes the oldest flows are deleted; 0: never" },
	{ .name = "profile",
	  .type = CTF_OENUM,
	  .off = offsetof(struct sq_conf, profile),
	  .dflt = "full",
	  .choices = "full|nat|rollup",
	  .doc = "everything, only who had which address and port outside, or only sums" },
	{ .name = NULL },
};

/* ---- probe ---------------------------------------------------------------- */

/* Why the file can never be used, as far as its folder and mode say. */
static int
file_check(const struct sq_conf *c, struct ctf_ctx *ctx, struct ctf_err *err, bool *ret_exists)
{
	const char *slash = strrchr(c->db, '/');
	char dir[4096] = ".";
	struct stat st;

	/* SQLite would take these for no file at all: the flows would be gone. */
	if (strcmp(c->db, ":memory:") == 0 || strncmp(c->db, "file:", 5) == 0)
		return ctf_fail_opt(ctx, err, "db", "%s: not the name of a file", c->db);
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == c->db ? 1 : (int)(slash - c->db),
			 c->db);
	*ret_exists = stat(c->db, &st) == 0;
	if (!*ret_exists && errno != ENOENT)
		return ctf_fail_opt(ctx, err, "db", "%s: %s", c->db, strerror(errno));
	if (*ret_exists && !S_ISREG(st.st_mode))
		return ctf_fail_opt(ctx, err, "db", "%s: not a regular file", c->db);
	if (*ret_exists && access(c->db, R_OK | W_OK) < 0)
		return ctf_fail_opt(ctx, err, "db", "%s: %s", c->db, strerror(errno));
	if (access(dir, W_OK | X_OK) < 0)
		return ctf_fail_opt(ctx, err, "db", "%s: folder %s: %s", c->db, dir,
				    strerror(errno));
	return 0;
}

static int
answer(struct sq_conf *c, struct ctf_ctx *ctx, int rc, struct ctf_err *err)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return 0;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		if (sq_path_is_ours(c->db)) /* the sink sets it aside */
			return 0;
		return ctf_fail_opt(ctx, err, "db", "%s: %s", c->db, sqlite3_errstr(rc));
	case SQLITE_MISMATCH:
		return ctf_fail_opt(ctx, err, "db", "%s: made by a newer version of ctflowd",
				    c->db);
	default:
		ctf_log(ctx, CTF_WARNING,
			"%s: cannot be read now (%s); the columns of \"%s\" are not known yet",
			c->db, sqlite3_errstr(rc), c->table);
		c->seen.own = SQ_UNKNOWN;
		return 0;
	}
}

/* What we do with a table of our own is not done with somebody else's. */
static int
foreign_check(const struct sq_conf *c, struct ctf_ctx *ctx, struct ctf_err *err)
{
	const char *name = c->keep ? "keep" : c->max_size ? "max_size" : "profile";

	if (!c->keep && !c->max_size && c->profile == SQ_FULL)
		return 0;
	return ctf_fail_opt(ctx, err, name,
			    "%s: \"%s\" is a table of somebody else's, which is only filled",
			    c->db, c->table);
}

static int
sqlite3_probe(void *conf, struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct sq_conf *c = conf;
	bool exists = false;
	int r = file_check(c, ctx, err, &exists);

	if (r < 0)
		return r;
	c->seen.own = SQ_MISSING;
	if (exists)
		r = answer(c, ctx, sq_probe_look(c->db, c->table, &c->seen), err);
	if (r == 0 && c->seen.why[0])
		return ctf_fail_opt(ctx, err, "table", "%s: %s", c->db, c->seen.why);
	if (r == 0 && c->seen.own == SQ_FOREIGN)
		r = foreign_check(c, ctx, err);
	if (r == 0 && c->seen.own == SQ_MISSING && sq_name_taken(c->table))
		return ctf_fail_opt(ctx, err, "table", "a table cannot be named \"%s\"",
				    c->table);
	return r;
}

static void
sqlite3_unprobe(void *conf)
{
	sq_table_free(&((struct sq_conf *)conf)->seen);
}

/* ---- encoder: the fields wanted ------------------------------------------------ */

static int
native_want(struct enc *e, bool needed, struct ctf_err *err)
{
	const struct sq_conf *c = e->obj.conf;
	const struct ctf_field *def;
	ctf_ref ref;
	unsigned n = c->profile == SQ_NAT && needed ? F_NAT_COUNT : F_COUNT;
	unsigned names = c->profile == SQ_FULL ? SQ_N_COUNT : SQ_N_SOURCE;
	int r = 0;

	for (unsigned i = 0; i < n + names && r == 0; i++) {
		bool must = needed && i < F_NEEDED;

		r = ctf_want(e->obj.ctx, i < n ? sq_native_fields[i] : sq_name_fields[i - n],
			     &ref, &def, must ? err : NULL);
		if (r == -ENOENT && !must)
			r = 0;
		else if (r == 0 && sq_fields_ref(&e->fields, def->name) == CTF_NONE)
			r = sq_fields_add(&e->fields, ref, def);
	}
	e->fields.start = sq_fields_ref(&e->fields, sq_native_fields[F_START]);
	e->fields.stop = sq_fields_ref(&e->fields, sq_native_fields[F_STOP]);
	return r;
}

/* The table could not be read: whatever it is, nothing it takes may be missing. */
static int
all_want(struct enc *e, struct ctf_err *err)
{
	int r = sq_columns_want_any(e->obj.ctx, &e->fields, err);

	return r < 0 ? r : native_want(e, false, err);
}

/* All columns without a field are named at once. */
static int
foreign_want(struct enc *e, const struct sq_conf *c, struct ctf_err *err)
{
	char missing[300];
	int r = sq_columns_want(e->obj.ctx, &e->fields, c->seen.cols, c->seen.n, missing,
				sizeof(missing), err);

	if (r < 0 || !missing[0])
		return r;
	return ctf_fail_opt(e->obj.ctx, err, "table",
			    "%s: table \"%s\" has columns no plugin of this stack fills:%s",
			    c->db, c->table, missing);
}

static int
sqlite3_setup(void *self, struct ctf_err *err)
{
	struct enc *e = self;
	const struct sq_conf *c = e->obj.conf;

	e->fields.start = e->fields.stop = CTF_NONE;
	e->fields.source = ctf_source(e->obj.ctx);
	ctf_frames(e->obj.ctx, FRAME, false);
	/* The readers of a foreign table would take a living flow for another one. */
	e->interim = ctf_interim(e->obj.ctx, c->seen.own == SQ_FOREIGN ? CTF_INTERIM_NONE
					     : c->profile == SQ_NAT    ? CTF_INTERIM_PRESENCE
								       : CTF_INTERIM_COUNTERS);
	switch (c->seen.own) {
	case SQ_FOREIGN:
		return foreign_want(e, c, err);
	case SQ_UNKNOWN:
		return all_want(e, err);
	default:
		return native_want(e, true, err);
	}
}

/* ---- encoder: frames ------------------------------------------------------------ */

static bool
is_native(const struct enc *e)
{
	const struct sq_conf *c = e->obj.conf;

	return c->seen.own == SQ_NATIVE || c->seen.own == SQ_MISSING;
}

static enum ctf_put
sqlite3_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct enc *e = enc;

	if (r->kind == CTF_EVENT && r->event != CTF_DESTROY && is_native(e))
		return CTF_SKIP;
	return sq_rec_put(&e->fields, r, f) ? CTF_OK : CTF_FULL;
}

/* Readers of a foreign table would not know what to make of these. */
static enum ctf_put
sqlite3_gap(void *enc, const struct ctf_gap *g, struct ctf_frame *f)
{
	const struct sq_conf *c = ((const struct enc *)enc)->obj.conf;

	if (c->seen.own == SQ_FOREIGN)
		return CTF_SKIP;
	return sq_gap_put(f, g) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
sqlite3_coverage(void *enc, const struct ctf_coverage *cov, struct ctf_frame *f)
{
	const struct sq_conf *c = ((const struct enc *)enc)->obj.conf;

	if (c->seen.own == SQ_FOREIGN)
		return CTF_SKIP;
	return sq_cover_put(f, cov) ? CTF_OK : CTF_FULL;
}

/* Of use only where the records of the sweep came, too. */
static enum ctf_put
sqlite3_sweep(void *enc, const struct ctf_sweep *sweep, struct ctf_frame *f)
{
	const struct enc *e = enc;
	const struct sq_conf *c = e->obj.conf;

	if (c->seen.own == SQ_FOREIGN || e->interim == CTF_INTERIM_NONE)
		return CTF_SKIP;
	return sq_sweep_put(f, sweep, e->fields.source) ? CTF_OK : CTF_FULL;
}

static enum ctf_put
sqlite3_preamble(void *enc, struct ctf_frame *f)
{
	return sq_layout_put(&((const struct enc *)enc)->fields, f) ? CTF_OK : CTF_FULL;
}

CTF_PLUGIN(sqlite3) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "SQLITE3",
	.doc = "flows into an SQLite database: an existing table, or a schema of its own",
	.opts = opts,
	.conf_size = sizeof(struct sq_conf),
	.size = sizeof(struct enc),
	.sink_size = sizeof(struct sq_sink),
	.probe = sqlite3_probe,
	.unprobe = sqlite3_unprobe,
	.setup = sqlite3_setup,
	.encode = sqlite3_encode,
	.gap = sqlite3_gap,
	.coverage = sqlite3_coverage,
	.sweep = sqlite3_sweep,
	.preamble = sqlite3_preamble,
	.open = sq_sink_open,
	.deliver = sq_deliver,
	.spare = sq_spare,
	.close = sq_sink_close,
};
