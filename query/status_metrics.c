/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_metrics.c - what the file for Prometheus says, for who may not read
 * the state page: no rates, no times, but states, queues and counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "opt.h"
#include "status.h"

#define STALE 3 /* intervals */

struct line { /* of the file: role{role="id",plugin="NAME"} value */
	bool input;
	char name[64], object[300];
	double value;
};

static bool
quoted(const char **p, const char *key, char *to, size_t size)
{
	size_t n = 0, len = strlen(key);

	if (strncmp(*p, key, len) != 0)
		return false;
	for (*p += len; **p && **p != '"'; ++*p) {
		if (**p == '\\' && (*p)[1])
			++*p;
		if (n + 1 < size)
			to[n++] = **p;
	}
	to[n] = '\0';
	if (**p != '"')
		return false;
	++*p;
	return true;
}

static bool
parse(const char *text, struct line *l)
{
	const char *p = text + 8;
	char id[200], plugin[64], which[8];
	size_t n;

	if (strncmp(text, "ctflowd_", 8) != 0)
		return false;
	l->input = strncmp(p, "input_", 6) == 0;
	if (!l->input && strncmp(p, "output_", 7) != 0)
		return false;
	p += l->input ? 6 : 7;
	n = strcspn(p, "{");
	if (!p[n] || n >= sizeof(l->name))
		return false;
	memcpy(l->name, p, n);
	l->name[n] = '\0';
	p += n + 1;
	if (!quoted(&p, l->input ? "input=\"" : "output=\"", id, sizeof(id)) ||
	    !quoted(&p, ",plugin=\"", plugin, sizeof(plugin)))
		return false;
	(void)quoted(&p, ",daemon=\"", which, sizeof(which));
	if (*p++ != '}')
		return false;
	snprintf(l->object, sizeof(l->object), "%s:%s", id, plugin);
	l->value = strtod(p, NULL);
	return true;
}

static void
take_state(struct st_object *o, const struct line *l)
{
	bool is = l->value != 0;

	if (strcmp(l->name, "up") == 0 && (!o->state_known || o->state != PULSE_STALLED))
		o->state = is ? PULSE_UP : PULSE_DOWN;
	else if (strcmp(l->name, "stalled") == 0 && is)
		o->state = PULSE_STALLED;
	else
		return;
	o->state_known = true;
}

static void
take_number(struct st_object *o, const struct line *l)
{
	char total[80];

	for (unsigned i = 0; i < ST_N; i++) {
		snprintf(total, sizeof(total), "%s_total", st_number_name(i));
		if (strcmp(l->name, total) == 0 || strcmp(l->name, st_number_name(i)) == 0)
			o->number[i] = (int64_t)l->value;
	}
	if (strcmp(l->name, "buffer_fill_ratio") == 0)
		o->number[ST_BUFFER] = (int64_t)(l->value * 100 + 0.5);
}

static void
take(struct st_look *look, const struct line *l)
{
	struct st_object *o = st_add(look, l->object, l->input);
	const struct {
		const char *name;
		int64_t *to;
	} sizes[] = {
		{ "queue_flows", o ? &o->queue_flows : NULL },
		{ "queue_bytes", o ? &o->queue_bytes : NULL },
		{ "queue_limit_bytes", o ? &o->queue_limit : NULL },
		{ "spool_flows", o ? &o->spool_flows : NULL },
		{ "spool_bytes", o ? &o->spool_bytes : NULL },
		{ "spool_limit_bytes", o ? &o->spool_max : NULL },
	};

	if (!o)
		return;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (strcmp(l->name, sizes[i].name) == 0)
			*sizes[i].to = (int64_t)l->value;
	take_state(o, l);
	take_number(o, l);
}

static void
take_daemon(struct st_look *l, const char *text)
{
	static const char start[] = "ctflowd_start_time_seconds";
	const char *p = text;

	if (strncmp(text, start, sizeof(start) - 1) == 0 && strrchr(text, ' '))
		l->d.start_ns = (uint64_t)(strtod(strrchr(text, ' '), NULL) * 1e9);
	if (strncmp(text, "ctflowd_build_info{", 19) == 0) {
		p += 19;
		(void)quoted(&p, "version=\"", l->version, sizeof(l->version));
	}
}

/* Of a daemon that does not say it: the file ends with the daemon. */
static void
all_inputs_up(struct st_look *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].input && !l->at[i].state_known) {
			l->at[i].state = PULSE_UP;
			l->at[i].state_known = true;
		}
}

static int64_t
interval_ns(const struct st_conf *c)
{
	const struct conf_section *g = conf_find(c->conf, "global");
	const struct conf_entry *e = g ? conf_next(g, "metrics_interval", NULL) : NULL;
	uint64_t ms;

	return e && opt_number(CTF_OMSEC, e->value, &ms) == 0 ? (int64_t)ms * 1000000
							      : INT64_C(10000000000);
}

static void
take_age(struct st_look *l, const struct stat *st)
{
	int64_t at = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
	char text[Q_TIME_TEXT];

	l->d.tick_ns = (uint64_t)at;
	l->running = l->answers =
		l->q->now_ns - at <= STALE * interval_ns(&l->conf) + 2000000000;
	q_time_text(l->q, at, false, text);
	if (!l->running)
		st_problem(
			l, ST_CRITICAL,
			"metrics_file was last written at %s: ctflowd does not run, or hangs",
			text);
}

bool
st_read_metrics(struct st_look *l)
{
	char *text = NULL;
	size_t room = 0;
	struct line line;
	struct stat st;
	FILE *f;

	if (!*l->conf.metrics_file)
		return false;
	f = fopen(l->conf.metrics_file, "re");
	if (!f || fstat(fileno(f), &st) < 0) {
		if (errno != ENOENT)
			st_unread(l, "metrics_file %s: %s", l->conf.metrics_file,
				  strerror(errno));
		if (f)
			fclose(f);
		return false;
	}
	while (getline(&text, &room, f) > 0) {
		take_daemon(l, text);
		if (parse(text, &line))
			take(l, &line);
	}
	free(text);
	fclose(f);
	l->from = "metrics_file";
	all_inputs_up(l);
	take_age(l, &st);
	return true;
}
