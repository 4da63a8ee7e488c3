/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c - the verb `status`: does it receive, does it deliver, was anything lost? */
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LAG_WARNING "1m"
#define LAG_CRITICAL "10m"

static void
note(struct st_look *l, enum st_level level, bool unread, const char *fmt, va_list ap)
{
	struct st_problem *more = realloc(l->problem, (l->problems + 1) * sizeof(*more));
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (more) {
		l->problem = more;
		more[l->problems] = (struct st_problem){ level, unread, strdup(text) };
		if (more[l->problems].text)
			l->problems++;
	}
	l->no_memory |= !more;
	/* what is not known does not hide what is bad */
	if (l->level != ST_CRITICAL && level > l->level)
		l->level = level;
	if (level == ST_CRITICAL)
		l->level = level;
}

void
st_problem(struct st_look *l, enum st_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(l, level, false, fmt, ap);
	va_end(ap);
}

void
st_unread(struct st_look *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(l, ST_OK, true, fmt, ap);
	va_end(ap);
}

const char *
st_number_name(unsigned i)
{
	static const char *const names[ST_N] = {
		[ST_EVENTS] = "events",       [ST_LOST] = "lost",
		[ST_TABLE] = "table_entries", [ST_TABLE_MAX] = "table_max",
		[ST_BUFFER] = "buffer_fill",  [ST_DELIVERED] = "delivered",
		[ST_DROPPED] = "dropped",     [ST_RETRIES] = "retries",
	};

	return i < ST_N ? names[i] : NULL;
}

struct st_object *
st_find(struct st_look *l, const char *name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->at[i].name, name) == 0)
			return &l->at[i];
	return NULL;
}

struct st_object *
st_add(struct st_look *l, const char *name, bool input)
{
	struct st_object *o = st_find(l, name), *more;

	if (o)
		return o;
	more = realloc(l->at, (l->n + 1) * sizeof(*more));
	if (!more) {
		l->no_memory = true;
		return NULL;
	}
	l->at = more;
	o = &more[l->n++];
	*o = (struct st_object){ .input = input,
				 .newest_ns = Q_NEVER,
				 .oldest_ns = Q_NEVER,
				 .queue_flows = -1,
				 .queue_bytes = -1,
				 .queue_limit = -1,
				 .spool_flows = -1,
				 .spool_bytes = -1,
				 .spool_max = -1,
				 .rate = -1,
				 .rate_minute = -1 };
	snprintf(o->name, sizeof(o->name), "%s", name);
	for (unsigned i = 0; i < ST_N; i++)
		o->number[i] = -1;
	return o;
}

static void
look_free(struct st_look *l)
{
	for (unsigned i = 0; i < l->problems; i++)
		free(l->problem[i].text);
	for (unsigned i = 0; i < l->dbs; i++)
		free(l->db[i].path);
	free(l->problem);
	free(l->db);
	free(l->at);
	state_look_close(&l->page);
	st_conf_free(&l->conf);
}

/* Inputs come first, then outputs, as the configuration has them. */
static int
by_role(const void *a, const void *b)
{
	const struct st_object *x = a, *y = b;

	return x->input != y->input ? y->input - x->input : strcmp(x->name, y->name);
}

static int
look(struct st_look *l)
{
	if (!st_read_page(l) && !st_read_metrics(l) && l->level == ST_OK)
		st_problem(l, ST_UNKNOWN, "nothing says whether ctflowd runs");
	if (!l->running)
		st_read_spools(l);
	st_read_dbs(l);
	st_judge(l);
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), by_role);
	if (l->no_memory) {
		q_say(l->q, "out of memory");
		return -ENOMEM;
	}
	return l->q->format == Q_JSON ? st_print_json(l) : st_print(l);
}

static int
length_of(struct q *q, const char *option, const char *otherwise, int64_t *ret_ns)
{
	const char *text = q_opt(q, option);
	struct ctf_err err = { 0 };

	if (q_length(text ? text : otherwise, ret_ns, &err) < 0) {
		q_say(q, "--%s: %s", option, err.msg);
		return -EINVAL;
	}
	return 0;
}

static int
run(struct q *q, int argc, char **argv)
{
	struct st_look l = { .q = q };
	struct ctf_err err = { 0 };
	int code = ST_UNKNOWN;

	if (argc)
		return q_usage(q, "\"%s\" is too much", argv[0]);
	if (length_of(q, "lag-warning", LAG_WARNING, &l.lag_warning) ||
	    length_of(q, "lag-critical", LAG_CRITICAL, &l.lag_critical))
		return Q_USAGE;
	if (st_conf_load(q, &l.conf, &err) < 0)
		printf("UNKNOWN - %s\n", err.msg);
	else if (look(&l) == 0)
		code = (int)l.level;
	look_free(&l);
	return code;
}

static const struct q_option options[] = {
	{ .name = "lag-warning",
	  .arg = "TIME",
	  .doc = "warn when flows have waited for an output so long (" LAG_WARNING ")" },
	{ .name = "lag-critical",
	  .arg = "TIME",
	  .doc = "the same is critical (" LAG_CRITICAL ")" },
	{ NULL },
};

const struct q_verb q_verb_status = {
	.name = "status",
	.args = "",
	.doc = "does it receive and deliver? exit code 0 fine, 1 warning, 2 critical, 3 "
	       "unknown",
	.options = options,
	.run = run,
	.offline = true,
};
