/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sums_out.c - sums as rows, the largest of each unit of time first. */
#include <errno.h>
#include <stdlib.h>

#include "sums.h"

/* "rollup day + hour", "rollup minute + flows", "flows", and what of these is gone. */
static void
from_text(const struct sums *s, char *text, size_t size)
{
	static const char *const names[] = { "day", "hour", "minute", "flows" };
	unsigned from = s->from;
	size_t n;

	snprintf(text, size, "%s", from & ~(unsigned)SUMS_BY_FLOWS ? "rollup " : "");
	n = strlen(text);
	for (unsigned i = 0; i < 4; i++)
		if (from >> i & 1)
			n += (size_t)snprintf(text + n, size - n, "%s%s",
					      n > 7 || (n && n != 7) ? " + " : "", names[i]);
	sums_gone_text(s->q, &s->gone, text + n, size - n);
}

static void
key_cell(const struct sums *s, const struct tally_key *k)
{
	struct q_addr a = { .family = k->family };
	char text[32];

	if (s->key == SUMS_SERVICE) {
		sums_service_text(k, text, sizeof(text));
		q_cell_text(s->q, text);
	} else if (sums_key_col(s->key).type == Q_ADDR) {
		memcpy(a.ip, k->ip, sizeof(a.ip));
		q_cell_addr(s->q, &a);
	} else if (k->has) {
		q_cell_int(s->q, k->n);
	} else {
		q_cell_null(s->q);
	}
}

/* What it was called at the end of what was asked for. */
static void
name_cell(const struct sums *s, const struct tally_key *k)
{
	struct q_addr a = { .family = k->family };
	const char *name = NULL;

	memcpy(a.ip, k->ip, sizeof(a.ip));
	for (const struct q_db *db = s->q->dbs; db && !name && a.family; db = db->next)
		name = q_name(db, &a,
			      s->words->until == Q_NEVER ? s->q->now_ns : s->words->until - 1);
	q_cell_text(s->q, name);
}

static bool
has_names(const struct sums *s)
{
	bool is = false;

	for (const struct q_db *db = s->q->dbs; db; db = db->next)
		is |= db->names != NULL;
	return is && sums_key_col(s->key).type == Q_ADDR && q_opt(s->q, "names");
}

static int
row(const struct sums *s, const struct tally_entry *e, const char *from)
{
	struct q *q = s->q;

	if (s->unit != SUMS_WHOLE)
		q_cell_time(q, e->key.slot);
	if (s->key != SUMS_ALL)
		key_cell(s, &e->key);
	if (has_names(s))
		name_cell(s, &e->key);
	q_cell_int(q, (int64_t)e->sum.flows);
	q_cell_int(q, (int64_t)tally_value(&e->sum, TALLY_PACKETS));
	q_cell_int(q, (int64_t)tally_value(&e->sum, TALLY_BYTES));
	q_cell_int(q, (int64_t)e->sum.orig_packets);
	q_cell_int(q, (int64_t)e->sum.orig_bytes);
	q_cell_int(q, (int64_t)e->sum.reply_packets);
	q_cell_int(q, (int64_t)e->sum.reply_bytes);
	q_cell_text(q, from);
	return q_row_end(q);
}

static unsigned
columns(const struct sums *s, struct q_col *c)
{
	static const struct q_col sums[] = {
		{ "flows", Q_INT, "FLOWS" },
		{ "packets", Q_INT, "PACKETS" },
		{ "bytes", Q_BYTES, "BYTES" },
		{ "orig_packets", Q_INT, NULL, Q_C_NEVER },
		{ "orig_bytes", Q_BYTES, "SENT", Q_C_WIDE },
		{ "reply_packets", Q_INT, NULL, Q_C_NEVER },
		{ "reply_bytes", Q_BYTES, "RECEIVED", Q_C_WIDE },
		{ "from", Q_TEXT, NULL, Q_C_NEVER },
	};
	unsigned n = 0;

	if (s->unit != SUMS_WHOLE)
		c[n++] = (struct q_col){ "time", Q_TIME, "TIME" };
	if (s->key != SUMS_ALL)
		c[n++] = sums_key_col(s->key);
	if (has_names(s))
		c[n++] = (struct q_col){ "name", Q_TEXT, "NAME" };
	memcpy(c + n, sums, sizeof(sums));
	return n + sizeof(sums) / sizeof(*sums);
}

static int
print(struct sums *s, const struct tally_entry **all, size_t n, const char *from)
{
	struct q_col c[12];
	int end, r = q_out_begin(s->q, c, columns(s, c));

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = row(s, all[i], from);
	end = q_out_end(s->q);
	return r < 0 ? r : end;
}

int
sums_print(struct sums *s, enum tally_by by, size_t n, struct ctf_err *err)
{
	const struct tally_entry **all = NULL;
	char from[192];
	int r = n ? tally_top(&s->tally, by, n, &all, &n)
		  : tally_slots(&s->tally, by, &all, &n);

	if (r < 0)
		return ctf_fail(err, ENOMEM, "out of memory");
	from_text(s, from, sizeof(from));
	r = print(s, all, n, from);
	free(all);
	if (r == 0 && s->q->format == Q_TABLE)
		printf("from: %s\n", from);
	else if (r == 0 && n == 0 && strchr(from, ';')) /* no row says it */
		q_say(s->q, "from: %s", from);
	return r;
}
