/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_print.c - the status for people, and as rows. */
#include <inttypes.h>
#include <stdlib.h>

#include "status.h"

const char *
st_level_word(enum st_level level)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

	return words[level];
}

static void
since(const struct st_look *l, char *text, size_t size)
{
	char at[Q_TIME_TEXT], length[Q_TIME_TEXT];

	*text = '\0';
	if (!l->running || !l->d.start_ns)
		return;
	q_time_text(l->q, (int64_t)l->d.start_ns, false, at);
	q_length_text(l->q->now_ns - (int64_t)l->d.start_ns, length);
	snprintf(text, size, " since %s (%s)", at, length);
}

static const char *
summary(const struct st_look *l)
{
	for (enum st_level level = ST_CRITICAL;; level = level == ST_CRITICAL  ? ST_UNKNOWN
							 : level == ST_UNKNOWN ? ST_WARNING
									       : ST_OK) {
		if (level == ST_OK)
			return "ctflowd receives and delivers";
		for (unsigned i = 0; i < l->problems; i++)
			if (!l->problem[i].unread && l->problem[i].level == level)
				return l->problem[i].text;
	}
}

/* The first line is all that some monitoring shows. */
static void
print_head(const struct st_look *l)
{
	const char *first = summary(l);
	char text[160];

	since(l, text, sizeof(text));
	printf("%s - %s\n", st_level_word(l->level), first);
	for (unsigned i = 0; i < l->problems; i++)
		if (l->problem[i].text != first && !l->problem[i].unread)
			printf("%s - %s\n", st_level_word(l->problem[i].level),
			       l->problem[i].text);
	for (unsigned i = 0; i < l->problems; i++)
		if (l->problem[i].unread)
			printf("could not be read: %s\n", l->problem[i].text);
	if (l->from)
		printf("ctflowd %s %s%s", l->version, l->running ? "runs" : "does not run",
		       text);
	if (l->from && l->running && l->d.pid)
		printf(", process %" PRIu64, (uint64_t)l->d.pid);
	puts(l->from ? "" : "");
}

static const struct q_col cols[] = {
	{ .name = "name", .type = Q_TEXT },
	{ .name = "role", .type = Q_TEXT, .flags = Q_C_NEVER },
	{ .name = "state", .type = Q_TEXT },
	{ .name = "rate", .type = Q_REAL, .title = "now/s" },
	{ .name = "rate_minute", .type = Q_REAL, .title = "1min/s" },
	{ .name = "newest", .type = Q_TIME },
	{ .name = "lag", .type = Q_DUR },
	{ .name = "queue_flows", .type = Q_INT, .title = "queued" },
	{ .name = "queue_bytes", .type = Q_BYTES, .title = "memory" },
	{ .name = "spool_flows", .type = Q_INT, .title = "spooled" },
	{ .name = "spool_bytes", .type = Q_BYTES, .title = "disk" },
	{ .name = "lost", .type = Q_INT, .title = "lost" },
	{ .name = "total", .type = Q_INT, .title = "total" },
	{ .name = "why", .type = Q_TEXT, .flags = Q_C_NEVER },
};

static void
cell(struct q *q, int64_t x)
{
	if (x < 0)
		q_cell_null(q);
	else
		q_cell_int(q, x);
}

static void
cell_rate(struct q *q, double x)
{
	if (x < 0)
		q_cell_null(q);
	else
		q_cell_real(q, x);
}

static int
print_row(const struct st_look *l, const struct st_object *o)
{
	struct q *q = l->q;

	q_cell_text(q, o->name);
	q_cell_text(q, o->input ? "input" : "output");
	q_cell_text(q, st_state_word(l, o));
	cell_rate(q, l->running ? o->rate : -1);
	cell_rate(q, l->running ? o->rate_minute : -1);
	q_cell_time(q, o->newest_ns);
	cell(q, o->input || !l->running ? -1 : st_lag(l, o));
	cell(q, o->queue_flows);
	cell(q, o->queue_bytes);
	cell(q, o->spool_flows);
	cell(q, o->spool_bytes);
	cell(q, o->number[o->input ? ST_LOST : ST_DROPPED]);
	cell(q, o->number[o->input ? ST_EVENTS : ST_DELIVERED]);
	q_cell_text(q, o->why);
	return q_row_end(q);
}

static int
print_rows(const struct st_look *l)
{
	int r = q_out_begin(l->q, cols, sizeof(cols) / sizeof(*cols));

	for (unsigned i = 0; i < l->n && r == 0; i++)
		r = print_row(l, &l->at[i]);
	return r == 0 ? q_out_end(l->q) : r;
}

static void
print_db(const struct st_look *l, const struct st_db *d)
{
	char at[Q_TIME_TEXT] = "none";

	if (!d->read)
		return;
	if (d->newest_ns != Q_NEVER)
		q_time_text(l->q, d->newest_ns, false, at);
	printf("%s: %.1f MB, newest flow %s, gaps today %" PRId64 "\n", d->path,
	       (double)d->size / 1e6, at, d->gaps > 0 ? d->gaps : 0);
}

int
st_print(const struct st_look *l)
{
	int r;

	if (l->q->format != Q_TABLE)
		return print_rows(l);
	print_head(l);
	r = l->n ? print_rows(l) : 0;
	for (unsigned i = 0; i < l->dbs; i++)
		print_db(l, &l->db[i]);
	return r;
}
