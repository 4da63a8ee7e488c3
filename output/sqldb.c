/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqldb.c - PGSQL and MYSQL: what the options ask for, and the encoder. */
#include "sqldb.h"

#include <errno.h>
#include <strings.h>

#include "resolve.h"

#define FRAME (64u << 10)
#define PROBE_MS 1500

/* ---- probe ---------------------------------------------------------------- */

static void
say_doubts(const struct sqldb_conf *c, const struct ctf_ctx *ctx)
{
	const char *name = strrchr(c->procedure, '.');

	ctf_doubt_opt(ctx, "backlog_memcap", "without effect: `queue` holds flows meanwhile");
	ctf_doubt_opt(ctx, "backlog_oneshot_requests",
		      "without effect: a frame of flows is one transaction");
	ctf_doubt_opt(ctx, "ring_buffer_size",
		      "without effect: every output has a thread and a `queue`");
	if (strcasecmp(name ? name + 1 : c->procedure, "INSERT_OR_REPLACE_CT") == 0)
		ctf_doubt_opt(
			ctx, "procedure",
			"INSERT_OR_REPLACE_CT loses the end of every flow whose start it has "
			"not seen, with hash_enable=1 thus every flow; INSERT_CT loses none, "
			"nor does UPSERT_CT of the schema that comes with ctflowd");
}

/* Whether an answer is there to stay, so that a start makes no sense. */
static bool
is_mistake(int r)
{
	return r == -EACCES || r == -ENOENT || r == -EINVAL;
}

/* Both libraries look a name up without a limit, and the start has to wait. */
int
sqldb_find(const struct sqldb *s, const char *host, struct ctf_err *err)
{
	return s->probing && *host ? resolve_within(host, PROBE_MS, err) : 0;
}

int
sqldb_probe(const struct sqldb_way *way, struct sqldb *s, struct sqldb_conf *c,
	    struct ctf_ctx *ctx, struct ctf_err *err)
{
	struct ctf_err why = { 0 };
	int r;

	say_doubts(c, ctx);
	s->obj = (struct ctf_obj){ ctx, c };
	s->way = way;
	s->probing = true;
	sqldb_expect(s, PROBE_MS);
	r = way->connect(s, &why);
	if (r == 0)
		r = way->look(s, &c->seen, &why);
	way->close(s);
	if (is_mistake(r)) {
		*err = why;
		return r;
	}
	if (r < 0)
		ctf_log(ctx, CTF_WARNING, "%s; the columns of \"%s\" are not known yet",
			why.msg, c->table);
	c->seen.known = r == 0;
	return 0;
}

void
sqldb_unprobe(void *conf)
{
	struct sqldb_conf *c = conf;

	sq_columns_free(c->seen.cols, c->seen.n);
	c->seen = (struct sqldb_table){ .n = 0 };
}

/* ---- encoder -------------------------------------------------------------- */

int
sqldb_setup(void *enc, struct ctf_err *err)
{
	struct sqldb_enc *e = enc;
	const struct sqldb_conf *c = e->obj.conf;
	char missing[300];
	int r;

	e->fields.start = e->fields.stop = CTF_NONE;
	e->fields.source = ctf_source(e->obj.ctx);
	ctf_frames(e->obj.ctx, FRAME, false);
	/* The readers of such a table would take a living flow for another one. */
	ctf_interim(e->obj.ctx, CTF_INTERIM_NONE);
	if (!c->seen.known)
		return sq_columns_want_any(e->obj.ctx, &e->fields, err);
	r = sq_columns_want(e->obj.ctx, &e->fields, c->seen.cols, c->seen.n, missing,
			    sizeof(missing), err);
	if (r < 0 || !missing[0])
		return r;
	return ctf_fail_opt(e->obj.ctx, err, "table",
			    "table \"%s\" has columns no plugin of this stack fills:%s",
			    c->table, missing);
}

enum ctf_put
sqldb_encode(void *enc, const struct ctf_rec *r, struct ctf_frame *f)
{
	return sq_rec_put(&((const struct sqldb_enc *)enc)->fields, r, f) ? CTF_OK : CTF_FULL;
}

enum ctf_put
sqldb_preamble(void *enc, struct ctf_frame *f)
{
	return sq_layout_put(&((const struct sqldb_enc *)enc)->fields, f) ? CTF_OK : CTF_FULL;
}
