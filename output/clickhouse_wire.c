/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_wire.c - CLICKHOUSE: gaps and coverage from the server and to it, in
 * RowBinary.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "clickhouse_note.h"

#define KEPT "500"
#define LOOK_NS UINT64_C(30000000000)

/* clang-format off */
#define COVER \
	"instance, nsid, from_ns, last_alive_ns, to_ns, boot_id, event_mask, acct, timestamp," \
	" events, reliable, selection, netns, abilities, clock_synchronised, clock_error_ns," \
	" offload, gro, version"
#define GAP \
	"instance, nsid, from_ns, cause, concluded, told_ns, to_ns, count, count_is, version, gone"
/* clang-format on */

/* ---- reading --------------------------------------------------------------------- */

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t
get(struct reader *r, unsigned size)
{
	uint64_t u = 0;

	if (r->bad || (size_t)(r->end - r->p) < size) {
		r->bad = true;
		return 0;
	}
	memcpy(&u, r->p, size);
	r->p += size;
	return le64toh(u);
}

static struct sq_text
get_text(struct reader *r)
{
	uint64_t n = 0, byte = 128;
	struct sq_text t = { "", 0 };

	for (unsigned shift = 0; byte & 128 && shift < 28; shift += 7) {
		byte = get(r, 1);
		n |= (byte & 127) << shift;
	}
	if (r->bad || byte & 128 || n > UINT16_MAX || n > (size_t)(r->end - r->p)) {
		r->bad = true;
		return t;
	}
	t = (struct sq_text){ (const char *)r->p, (uint16_t)n };
	r->p += n;
	return t;
}

static void
cover_get(struct reader *r, struct ch_note *c)
{
	struct sq_note *n = &c->n;

	n->instance = get_text(r);
	n->nsid = (int32_t)get(r, 4);
	n->from_ns = get(r, 8);
	n->alive_ns = get(r, 8);
	n->to_ns = get(r, 8);
	n->boot_id = get_text(r);
	n->event_mask = (uint32_t)get(r, 4);
	n->acct = (int8_t)get(r, 1);
	n->timestamp = (int8_t)get(r, 1);
	n->events = (int8_t)get(r, 1);
	n->reliable = (int8_t)get(r, 1);
	n->selection = get_text(r);
	n->netns = get_text(r);
	n->abilities = get_text(r);
	n->clock_synchronised = (int8_t)get(r, 1);
	n->clock_error_ns = (int64_t)get(r, 8);
	n->offload = (int8_t)get(r, 1);
	n->gro = (int8_t)get(r, 1);
	c->version = get(r, 8);
}

static void
gap_get(struct reader *r, struct ch_note *g)
{
	struct sq_note *n = &g->n;

	g->is_gap = true;
	n->instance = get_text(r);
	n->nsid = (int32_t)get(r, 4);
	n->from_ns = get(r, 8);
	n->cause = get_text(r);
	g->concluded = get(r, 1) != 0;
	get(r, 8);
	n->to_ns = get(r, 8);
	n->count = get(r, 8);
	n->count_is = (uint8_t)get(r, 1);
	g->version = get(r, 8);
	g->gone = get(r, 1) != 0;
}

static int
load(struct ch *s, const char *columns, const char *table, const char *where,
     void (*row_get)(struct reader *, struct ch_note *), struct ctf_err *err)
{
	struct buf sql = { 0 }, text = { 0 };
	struct reader r;
	int ret;

	buf_puts(&sql, "SELECT ");
	buf_puts(&sql, columns);
	buf_puts(&sql, " FROM ");
	buf_puts(&sql, CH_CONF(s)->db);
	buf_puts(&sql, table);
	ch_put_quoted(&sql, ch_exporter(CH_CONF(s)));
	buf_puts(&sql, " AND output = ");
	ch_put_quoted(&sql, ctf_name(s->obj.ctx));
	buf_puts(&sql, where);
	ret = sql.failed ? ctf_fail(err, ENOMEM, "out of memory")
			 : ch_run(s, sql.p, &text, err);
	buf_free(&sql);
	r = (struct reader){ (uint8_t *)text.p, (uint8_t *)text.p + text.len, false };
	while (ret == 0 && r.p < r.end) {
		struct ch_note note = { .dirty = false };

		row_get(&r, &note);
		if (r.bad)
			ret = ctf_fail(err, EPROTO, "%s: not the rows of %s", s->where,
				       table + 1);
		else
			ret = ch_note_add(&s->notes, &note);
		if (ret == 0 && note.version > s->notes.version)
			s->notes.version = note.version;
	}
	buf_free(&text);
	return ret;
}

int
ch_notes_load(struct ch *s, struct ctf_err *err)
{
	int r;

	ch_notes_free(&s->notes);
	r = load(s, COVER, ".coverage_raw FINAL WHERE exporter = ",
		 " ORDER BY from_ns DESC LIMIT " KEPT " FORMAT RowBinary", cover_get, err);
	if (r < 0)
		return r;
	ch_notes_part(s, ch_servers(CH_CONF(s)));
	return load(s, GAP, ".gaps_raw FINAL WHERE exporter = ",
		    " AND gone = 0 ORDER BY to_ns DESC LIMIT " KEPT " FORMAT RowBinary",
		    gap_get, err);
}

/* ---- writing ------------------------------------------------------------------------ */

static void
put(struct buf *b, uint64_t u, unsigned size)
{
	u = htole64(u);
	buf_put(b, &u, size);
}

static void
put_text(struct buf *b, const char *p, size_t n)
{
	size_t left = n;

	for (; left > 127; left >>= 7)
		put(b, (left & 127) | 128, 1);
	put(b, left, 1);
	buf_put(b, p, n);
}

static void
put_own(struct buf *b, const struct sq_text *t)
{
	put_text(b, t->p, t->len);
}

static void
cover_put(struct buf *b, const struct ch_note *c)
{
	const struct sq_note *n = &c->n;

	put_own(b, &n->instance);
	put(b, (uint32_t)n->nsid, 4);
	put(b, n->from_ns, 8);
	put(b, n->alive_ns, 8);
	put(b, n->to_ns, 8);
	put_own(b, &n->boot_id);
	put(b, n->event_mask, 4);
	put(b, (uint8_t)n->acct, 1);
	put(b, (uint8_t)n->timestamp, 1);
	put(b, (uint8_t)n->events, 1);
	put(b, (uint8_t)n->reliable, 1);
	put_own(b, &n->selection);
	put_own(b, &n->netns);
	put_own(b, &n->abilities);
	put(b, (uint8_t)n->clock_synchronised, 1);
	put(b, (uint64_t)(n->clock_error_ns < 0 ? -1 : n->clock_error_ns), 8);
	put(b, (uint8_t)n->offload, 1);
	put(b, (uint8_t)n->gro, 1);
	put(b, c->version, 8);
}

static void
gap_put(struct buf *b, const struct ch_note *g)
{
	const struct sq_note *n = &g->n;
	bool known = n->count_is < CTF_UNCOUNTED && n->count <= INT64_MAX;

	put_own(b, &n->instance);
	put(b, (uint32_t)n->nsid, 4);
	put(b, n->from_ns, 8);
	put_own(b, &n->cause);
	put(b, g->concluded, 1);
	put(b, g->concluded ? 0 : n->to_ns, 8);
	put(b, n->to_ns, 8);
	put(b, known ? n->count : UINT64_MAX, 8);
	put(b, known ? n->count_is : CTF_UNCOUNTED, 1);
	put(b, g->version, 8);
	put(b, g->gone, 1);
}

struct bytes {
	struct ch_body body;
	const struct buf *b;
	size_t at;
};

static size_t
bytes_read(struct ch_body *body, uint8_t *p, size_t n)
{
	struct bytes *b = (struct bytes *)body;
	size_t left = b->b->len - b->at;

	n = n < left ? n : left;
	memcpy(p, b->b->p + b->at, n);
	b->at += n;
	return n;
}

static void
bytes_rewind(struct ch_body *body)
{
	((struct bytes *)body)->at = 0;
}

static uint64_t
next_version(struct ch_notes *all)
{
	uint64_t now = ctf_now();

	all->version = now > all->version ? now : all->version + 1;
	return all->version;
}

static int
post(struct ch *s, bool gaps, struct ctf_err *err)
{
	const char *exporter = ch_exporter(CH_CONF(s)), *output = ctf_name(s->obj.ctx);
	struct buf rows = { 0 };
	struct bytes b = { { 0, bytes_read, bytes_rewind }, &rows, 0 };
	int r = 0;

	for (unsigned i = 0; i < s->notes.nrows; i++) {
		struct ch_note *note = &s->notes.row[i];

		if (!note->dirty || note->is_gap != gaps)
			continue;
		note->version = next_version(&s->notes);
		put_text(&rows, exporter, strlen(exporter));
		put_text(&rows, output, strlen(output));
		(gaps ? gap_put : cover_put)(&rows, note);
	}
	b.body.len = rows.len;
	if (rows.failed)
		r = ctf_fail(err, ENOMEM, "out of memory");
	else if (rows.len)
		r = ch_insert(s, gaps ? "gaps_raw" : "coverage_raw",
			      gaps ? "exporter, output, " GAP : "exporter, output, " COVER,
			      &b.body, err);
	if (r == 0 && rows.len && !gaps)
		s->noted = s->notes.version;
	buf_free(&rows);
	return r;
}

/* ---- somebody else by our name --------------------------------------------------- */

/* The newest row that is to be stored. */
static const struct sq_note *
newest(const struct ch_notes *all)
{
	const struct sq_note *found = NULL;

	for (unsigned i = 0; i < all->nrows; i++)
		if (!all->row[i].is_gap && all->row[i].dirty &&
		    (!found || all->row[i].n.alive_ns > found->alive_ns))
			found = &all->row[i].n;
	return found;
}

/* The last sign of life of other hosts, or boots of this one. */
static int
others_alive(struct ch *s, uint64_t *ret_ns)
{
	struct buf sql = { 0 }, text = { 0 };
	struct ctf_err err;
	int r;

	buf_puts(&sql, "SELECT max(last_alive_ns) FROM ");
	buf_puts(&sql, CH_CONF(s)->db);
	buf_puts(&sql, ".coverage_raw WHERE exporter = ");
	ch_put_quoted(&sql, ch_exporter(CH_CONF(s)));
	buf_puts(&sql, " AND boot_id != ");
	ch_put_quoted(&sql, s->others.boot);
	r = sql.failed ? -ENOMEM : ch_run(s, sql.p, &text, &err);
	if (r == 0)
		*ret_ns = strtoull(text.p, NULL, 10);
	buf_free(&sql);
	buf_free(&text);
	return r;
}

/*
 * Signs of life of another host that go on: what the two tell, and flows they lost,
 * cannot be told apart.  Whether that can be asked now does not matter to what is stored.
 */
static void
others_look(struct ch *s, const struct sq_note *n)
{
	bool first = strlen(s->others.boot) != n->boot_id.len ||
		     memcmp(s->others.boot, n->boot_id.p, n->boot_id.len) != 0;
	uint64_t alive = 0;

	if (s->others.said || !n->boot_id.len || n->boot_id.len >= sizeof(s->others.boot) ||
	    (!first && n->alive_ns < s->others.at_ns + LOOK_NS))
		return;
	memcpy(s->others.boot, n->boot_id.p, n->boot_id.len);
	s->others.boot[n->boot_id.len] = '\0';
	if (others_alive(s, &alive) < 0) {
		s->others.boot[0] = '\0';
		return;
	}
	s->others.said = !first && alive > s->others.alive_ns;
	s->others.at_ns = n->alive_ns;
	s->others.alive_ns = alive;
	if (s->others.said)
		ctf_log(s->obj.ctx, CTF_ERROR,
			"%s: another host feeds it as exporter \"%s\", too: nothing that is "
			"told of coverage and open flows of the two is right; each needs an "
			"exporter= of its own",
			s->where, ch_exporter(CH_CONF(s)));
}

/* Gaps first: a stretch that is over says nothing any more of what followed it. */
int
ch_notes_post(struct ch *s, struct ctf_err *err)
{
	const struct sq_note *cover = newest(&s->notes);
	int r = post(s, true, err);

	if (r == 0)
		r = post(s, false, err);
	if (r == 0 && cover)
		others_look(s, cover);
	for (unsigned i = 0; r == 0 && i < s->notes.nrows; i++)
		s->notes.row[i].dirty = false;
	return r;
}
