/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_judge.c - what of all that is a problem, and how bad. */
#include <stdlib.h>

#include "status.h"

#define SILENT_NS INT64_C(10000000000)
#define FULL 90 /* percent */

static const char *
more(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* Percent, or 0 when one is not known. */
static int64_t
fill(int64_t used, int64_t max)
{
	return used > 0 && max > 0 ? (int64_t)((double)used * 100 / (double)max) : 0;
}

int64_t
st_lag(const struct st_look *l, const struct st_object *o)
{
	if (o->oldest_ns == Q_NEVER)
		return l->from && l->running && o->rate >= 0 ? 0 : -1;
	return l->q->now_ns > o->oldest_ns ? l->q->now_ns - o->oldest_ns : 0;
}

const char *
st_state_word(const struct st_look *l, const struct st_object *o)
{
	static const char *const words[] = { "down", "up", "stalled", "waits", "ended" };

	if (!l->running)
		return "off";
	if (!o->state_known)
		return "unknown";
	if (o->input && o->state == PULSE_UP)
		return l->answers ? "receives" : "unknown";
	return words[o->state];
}

static void
judge_daemon(struct st_look *l)
{
	int64_t silent = l->q->now_ns - (int64_t)l->d.tick_ns;
	char at[Q_TIME_TEXT], long_[Q_TIME_TEXT];

	if (!l->running || !l->answers)
		return;
	if (silent > SILENT_NS && l->page.p) {
		q_time_text(l->q, (int64_t)l->d.tick_ns, false, at);
		q_length_text(silent, long_);
		l->answers = false;
		st_problem(l, ST_CRITICAL,
			   "ctflowd (process %ld) has given no sign of life since %s (%s)",
			   (long)l->d.pid, at, long_);
	} else if (l->d.phase == PULSE_STOPPING) {
		st_problem(l, ST_WARNING, "ctflowd is being stopped");
	}
}

static void
judge_input(struct st_look *l, const struct st_object *o)
{
	int64_t full = fill(o->number[ST_TABLE], o->number[ST_TABLE_MAX]);

	if (o->state == PULSE_DOWN || o->state == PULSE_ENDED)
		st_problem(l, ST_CRITICAL, "%s receives nothing: it has %s", o->name,
			   o->state == PULSE_DOWN ? "given up; the log says why" : "ended");
	else if (o->state == PULSE_PAUSED)
		st_problem(l, ST_WARNING, "%s waits, because an output's queue is full",
			   o->name);
	if (full >= FULL)
		st_problem(l, ST_WARNING, "the table of connections is %lld %% full",
			   (long long)full);
}

/* Where the next flows for it would go is full. */
static bool
no_room(const struct st_object *o)
{
	if (o->spool_max > 0)
		return fill(o->spool_bytes, o->spool_max) >= FULL;
	return fill(o->queue_bytes, o->queue_limit) >= FULL;
}

static void
judge_room(struct st_look *l, const struct st_object *o)
{
	if (no_room(o))
		st_problem(
			l, ST_CRITICAL, "%s: its %s is %lld %% full, and then flows are lost",
			o->name, o->spool_max > 0 ? "spool" : "queue",
			(long long)(o->spool_max > 0 ? fill(o->spool_bytes, o->spool_max)
						     : fill(o->queue_bytes, o->queue_limit)));
}

static void
judge_lag(struct st_look *l, const struct st_object *o)
{
	int64_t lag = st_lag(l, o);
	char text[Q_TIME_TEXT];

	if (lag < l->lag_warning && lag < l->lag_critical)
		return;
	q_length_text(lag, text);
	st_problem(l, lag >= l->lag_critical ? ST_CRITICAL : ST_WARNING,
		   "%s: flows have waited for it for %s", o->name, text);
}

static void
judge_output(struct st_look *l, const struct st_object *o)
{
	int64_t waits = o->queue_flows > 0 ? o->queue_flows : 0;

	waits += o->spool_flows > 0 ? o->spool_flows : 0;
	if (o->state == PULSE_ENDED)
		st_problem(l, ST_CRITICAL, "%s has ended; the log says why", o->name);
	else if (o->state_known && o->state != PULSE_UP)
		st_problem(l, ST_WARNING, "%s is %s%s%s; %lld flow%s wait%s", o->name,
			   st_state_word(l, o), *o->why ? ": " : "", o->why, (long long)waits,
			   more(waits), waits == 1 ? "s" : "");
	judge_room(l, o);
	judge_lag(l, o);
}

/* A stack that was refused at the start leaves nothing but a line in the log. */
static void
judge_missing(struct st_look *l)
{
	char name[300];

	for (unsigned i = 0; i < l->conf.n && l->running && l->answers; i++) {
		const struct st_member *m = &l->conf.members[i];

		snprintf(name, sizeof(name), "%.140s:%.140s", m->id, m->plugin);
		if (!st_find(l, name))
			st_problem(l, ST_WARNING,
				   "%s is configured and not at work: its stack was refused, "
				   "as the "
				   "log says, or it was added after the start",
				   name);
	}
}

static void
judge_db(struct st_look *l, const struct st_db *d)
{
	if (d->gaps <= 0)
		return;
	st_problem(l, ST_WARNING, "%s: %lld gap%s today, %s%lld flow%s lost%s", d->path,
		   (long long)d->gaps, more(d->gaps), d->unknown ? "at least " : "",
		   (long long)d->lost, more(d->lost),
		   d->unknown ? " (some have no count)" : "; \"ctflow gaps\" shows them");
}

/* What lies on disk for an output while nobody runs is a problem of its own only when full. */
void
st_judge(struct st_look *l)
{
	judge_daemon(l);
	judge_missing(l);
	for (unsigned i = 0; i < l->n; i++) {
		if (l->running && l->at[i].input)
			judge_input(l, &l->at[i]);
		else if (l->running)
			judge_output(l, &l->at[i]);
		else if (!l->at[i].input)
			judge_room(l, &l->at[i]);
	}
	for (unsigned i = 0; i < l->dbs; i++)
		judge_db(l, &l->db[i]);
}
