/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs around an output with a spool, which is away, or dies.  DIR_NAME and
 * SPOOL_DIR are the test's own folders.
 */
#ifndef CTF_TEST_SPOOL_RIG_H
#define CTF_TEST_SPOOL_RIG_H

#include "kept_help.h"
#include "spool_help.h"

#define FOLDER SPOOL_DIR "/k:KEEP"
#define SPOOLED CONF "spool_dir=" SPOOL_DIR "\n"
#define SOON "spool_sync=20ms\n"

static inline void
nothing_there(void)
{
	fresh();
	remove_tree(SPOOL_DIR);
}

static inline void
begin(struct rig *g, const char *more)
{
	char text[1024];

	strcpy(text, SPOOLED);
	strcat(text, strstr(more, "spool_sync") ? "" : SOON);
	strcat(text, strstr(more, "queue") ? "" : "queue=64K\n");
	strcat(text, more);
	strcat(text, "\n");
	rig_start_kept(g, text, DIR_NAME, 0);
}

static inline void
begin_away(struct rig *g, const char *more)
{
	g->box.open_errno = ECONNREFUSED;
	g->box.fail_opens = UINT32_MAX;
	begin(g, more);
}

static inline void
come_back(struct rig *g)
{
	pthread_mutex_lock(&g->box.lock);
	g->box.fail_opens = 0;
	pthread_mutex_unlock(&g->box.lock);
}

static inline uint64_t
number_of(const struct rig *g, const char *name)
{
	for (const struct counter *c = g->s.graph.sinks->ctx.counters; c; c = c->next)
		if (strcmp(c->metric.name, name) == 0)
			return c->value;
	ck_abort_msg("no counter %s", name);
	return 0;
}

/* Until all that was pushed is on disk; open frames are sealed first. */
static inline void
all_on_disk(struct rig *g)
{
	struct sink *s = g->s.graph.sinks;
	bool all = false;

	pump_seal(g->s.graph.inputs);
	run_kick(&g->s.graph);
	for (int i = 0; i < 500 && !all; i++) {
		loop_once(g->run.loop, 10);
		pthread_mutex_lock(&s->lock);
		all = !s->queue.unwritten;
		pthread_mutex_unlock(&s->lock);
	}
	ck_assert(all);
}

static inline uint64_t
memory(struct rig *g)
{
	struct sink_now now;

	sink_look(g->s.graph.sinks, &now);
	return now.bytes;
}

/* All is delivered: a stop would leave what is on disk there. */
static inline void
deliver_all(struct rig *g)
{
	pump_seal(g->s.graph.inputs);
	run_kick(&g->s.graph);
	for (int i = 0; i < 6000 && (memory(g) || number_of(g, "spool_flows")); i++)
		loop_once(g->run.loop, 10);
	ck_assert_uint_eq(memory(g), 0);
}

#endif
