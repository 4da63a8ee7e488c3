/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_page.c - what the state page says. */
#include <errno.h>
#include <string.h>

#include "status.h"

#define NOW_MS 5000u /* rates: of the last seconds, */
#define MINUTE_MS 60000u

static int64_t
when(uint64_t ns)
{
	return ns ? (int64_t)ns : Q_NEVER;
}

/* Events a second between the last point and the one so long before; -1: one point. */
static double
rate(const struct pulse_object *p, uint64_t ms)
{
	uint64_t n = p->points, last, first;

	if (n < 2)
		return -1;
	last = first = (n - 1) % PULSE_POINTS;
	for (uint64_t i = 2; i <= n && i <= PULSE_POINTS; i++) {
		uint64_t at = (n - i) % PULSE_POINTS;

		if (p->point[last].at_ms - p->point[at].at_ms > ms)
			break;
		first = at;
	}
	if (p->point[last].at_ms <= p->point[first].at_ms)
		return -1;
	return (double)(p->point[last].count - p->point[first].count) * 1000 /
	       (double)(p->point[last].at_ms - p->point[first].at_ms);
}

static void
take_numbers(struct st_object *o, const struct pulse_object *p)
{
	for (unsigned i = 0; i < PULSE_NUMBERS && p->number[i].name[0]; i++)
		for (unsigned k = 0; k < ST_N; k++)
			if (strncmp(p->number[i].name, st_number_name(k),
				    sizeof(p->number[i].name)) == 0)
				o->number[k] = (int64_t)p->number[i].value;
}

static void
take(struct st_object *o, const struct pulse_object *p)
{
	o->state = p->state <= PULSE_ENDED ? (enum pulse_state)p->state : PULSE_ENDED;
	o->state_known = true;
	o->newest_ns = when(p->newest_ns);
	o->oldest_ns = when(p->oldest_ns);
	if (!o->input) {
		o->queue_flows = (int64_t)p->queue_flows;
		o->queue_bytes = (int64_t)p->queue_bytes;
		o->queue_limit = (int64_t)p->queue_limit;
		o->spool_flows = (int64_t)p->spool_flows;
		o->spool_bytes = (int64_t)p->spool_bytes;
		o->spool_max = (int64_t)p->spool_max;
	}
	snprintf(o->why, sizeof(o->why), "%.*s", (int)sizeof(p->why), p->seq & 1 ? "" : p->why);
	o->rate = rate(p, NOW_MS);
	o->rate_minute = rate(p, MINUTE_MS);
	take_numbers(o, p);
}

static void
take_objects(struct st_look *l)
{
	const struct pulse_object *p;
	struct st_object *o;
	char name[300];
	size_t at = 0;

	while ((p = state_look_next(&l->page, &at, PULSE_ENDING, sizeof(*p), name,
				    sizeof(name)))) {
		if (p->start_ns != l->d.start_ns) /* of an earlier run */
			continue;
		o = st_add(l, name, p->input);
		if (o)
			take(o, p);
		if (o && !l->running) /* it went with the process */
			o->queue_flows = o->queue_bytes = -1;
	}
}

static void
say_ended(struct st_look *l)
{
	char at[Q_TIME_TEXT] = "an unknown time";

	if (l->d.tick_ns)
		q_time_text(l->q, (int64_t)l->d.tick_ns, false, at);
	if (l->d.phase == PULSE_STOPPED)
		st_problem(l, ST_CRITICAL, "ctflowd was stopped at %s", at);
	else if (l->d.phase == PULSE_HANDED)
		st_problem(
			l, ST_CRITICAL,
			"ctflowd ended at %s and left its work to a successor, which has not "
			"come",
			at);
	else if (l->d.phase)
		st_problem(l, ST_CRITICAL, "ctflowd died; its last sign of life was at %s", at);
	else
		st_problem(l, ST_CRITICAL, "ctflowd does not run");
}

/* One that holds the page and has not written yet starts; or it is older than this. */
static void
say_silent(struct st_look *l)
{
	if (!l->d.phase)
		st_problem(
			l, ST_UNKNOWN,
			"process %ld has the state page and shows nothing: it starts, or is an "
			"older ctflowd",
			(long)l->page.pid);
	else
		st_problem(l, ST_WARNING, "ctflowd starts (process %ld)", (long)l->page.pid);
}

static bool
open_failed(struct st_look *l, int r)
{
	if (r == -ENOENT || r == -ENOTDIR)
		st_problem(l, ST_CRITICAL,
			   "ctflowd does not run with %s, and never did (no state page %s)",
			   l->conf.path, l->page.path);
	else if (r == -EBADMSG)
		st_problem(l, ST_UNKNOWN, "%s is %s", l->page.path, l->page.fault);
	else
		st_unread(l, "state page %s: %s%s", l->page.path, strerror(-r),
			  r == -EACCES ? "; root and the group of its owner may" : "");
	return false;
}

/* A daemon that runs without a page has no other voice than its metrics. */
bool
st_read_page(struct st_look *l)
{
	const struct pulse_daemon *d;
	int r;

	r = state_look_open(&l->page, l->conf.state_dir, l->conf.path);
	if (r == -ENOENT && st_read_metrics(l))
		return true;
	if (r < 0)
		return open_failed(l, r);
	l->from = "state page";
	d = state_look_block(&l->page, PULSE_DAEMON, sizeof(*d));
	if (d)
		memcpy(&l->d, d, sizeof(l->d));
	snprintf(l->version, sizeof(l->version), "%.*s", (int)sizeof(l->d.version) - 1,
		 l->d.version);
	l->running = l->page.held;
	l->answers = l->running && l->page.same_boot &&
		     (l->d.phase == PULSE_RUNNING || l->d.phase == PULSE_STOPPING);
	if (!l->running)
		say_ended(l);
	else if (!l->answers)
		say_silent(l);
	take_objects(l);
	return true;
}
