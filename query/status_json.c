/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_json.c - the status as one JSON object. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "status_out.h"
#include "status.h"

static const char *
level_word(enum st_level level)
{
	static const char *const words[] = { "ok", "warning", "critical", "unknown" };

	return words[level];
}

static void
print_problems(struct json *j, const struct st_look *l, bool unread)
{
	json_open(j, unread ? "unread" : "problems", '[');
	for (unsigned i = 0; i < l->problems; i++) {
		if (l->problem[i].unread != unread)
			continue;
		json_open(j, NULL, '{');
		if (!unread)
			json_put_text(j, "level", level_word(l->problem[i].level));
		json_put_text(j, "text", l->problem[i].text);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
print_daemon(struct json *j, const struct st_look *l)
{
	json_open(j, "daemon", '{');
	json_put_bool(j, "running", l->running);
	json_put_bool(j, "answers", l->answers);
	json_put_text(j, "version", *l->version ? l->version : NULL);
	json_put_int(j, "pid", l->running && l->d.pid ? (int64_t)l->d.pid : -1);
	json_put_time(j, "since", l->d.start_ns ? (int64_t)l->d.start_ns : Q_NEVER);
	json_put_time(j, "seen", l->d.tick_ns ? (int64_t)l->d.tick_ns : Q_NEVER);
	json_put_text(j, "configuration", l->conf.path);
	json_put_text(j, "source", l->from);
	json_close(j, '}');
}

static void
print_input(struct json *j, const struct st_object *o)
{
	json_put_int(j, "events", o->number[ST_EVENTS]);
	json_put_int(j, "lost", o->number[ST_LOST]);
	json_put_int(j, "table_entries", o->number[ST_TABLE]);
	json_put_int(j, "table_max", o->number[ST_TABLE_MAX]);
	json_put_int(j, "buffer_percent", o->number[ST_BUFFER]);
}

static void
print_output(struct json *j, const struct st_look *l, const struct st_object *o)
{
	json_put_int(j, "delivered", o->number[ST_DELIVERED]);
	json_put_int(j, "dropped", o->number[ST_DROPPED]);
	json_put_int(j, "retries", o->number[ST_RETRIES]);
	json_put_ns(j, "lag_s", l->running ? st_lag(l, o) : -1);
	json_put_int(j, "queue_flows", o->queue_flows);
	json_put_int(j, "queue_bytes", o->queue_bytes);
	json_put_int(j, "queue_limit", o->queue_limit);
	json_put_int(j, "spool_flows", o->spool_flows);
	json_put_int(j, "spool_bytes", o->spool_bytes);
	json_put_int(j, "spool_max", o->spool_max);
}

static void
print_objects(struct json *j, const struct st_look *l, bool inputs)
{
	json_open(j, inputs ? "inputs" : "outputs", '[');
	for (unsigned i = 0; i < l->n; i++) {
		const struct st_object *o = &l->at[i];

		if (o->input != inputs)
			continue;
		json_open(j, NULL, '{');
		json_put_text(j, "name", o->name);
		json_put_text(j, "state", st_state_word(l, o));
		json_put_text(j, "why", *o->why ? o->why : NULL);
		json_put_real(j, "rate", l->running ? o->rate : -1);
		json_put_real(j, "rate_minute", l->running ? o->rate_minute : -1);
		json_put_time(j, "newest", o->newest_ns);
		if (inputs)
			print_input(j, o);
		else
			print_output(j, l, o);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void
print_dbs(struct json *j, const struct st_look *l)
{
	json_open(j, "databases", '[');
	for (unsigned i = 0; i < l->dbs; i++) {
		const struct st_db *d = &l->db[i];

		json_open(j, NULL, '{');
		json_put_text(j, "path", d->path);
		json_put_bool(j, "read", d->read);
		json_put_int(j, "size", d->size);
		json_put_time(j, "newest", d->newest_ns);
		json_put_time(j, "alive", d->alive_ns);
		json_put_int(j, "gaps_today", d->gaps);
		json_put_int(j, "lost_today", d->lost);
		json_put_int(j, "gaps_without_count_today", d->unknown);
		json_close(j, '}');
	}
	json_close(j, ']');
}

int
st_print_json(const struct st_look *l)
{
	struct json j = { 0 };

	json_open(&j, NULL, '{');
	json_put_text(&j, "status", level_word(l->level));
	json_put_int(&j, "code", (int64_t)l->level);
	print_problems(&j, l, false);
	print_problems(&j, l, true);
	print_daemon(&j, l);
	print_objects(&j, l, true);
	print_objects(&j, l, false);
	print_dbs(&j, l);
	json_close(&j, '}');
	putchar('\n');
	return 0;
}
