/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A graph of fakes at work, and what is reloaded in it. */
#ifndef CTF_TEST_RELOAD_HELP_H
#define CTF_TEST_RELOAD_HELP_H

#include <check.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fakes.h"
#include "reload.h"

#define HEAD "[global]\n"
#define IN "[a]\n%B\n"
#define K "stack=a:FEED,k:KEEP\n"
#define ONE HEAD K IN "[k]\n%B\n"

struct scene {
	struct reload rl;
	struct run run;
	struct box box;
	const char *text; /* the file */
	unsigned dones, stop_ms;
	atomic_bool slow, reading; /* read_text() waits; it has begun */
	const char *why;
};

static inline int
read_text(void *arg, struct setup *ret_setup, struct diag *diag)
{
	struct scene *s = arg;

	atomic_store(&s->reading, true);
	while (atomic_load(&s->slow))
		usleep(1000);
	(void)fakes_setup(ret_setup, s->text, &s->box, diag);
	ret_setup->global.stop_timeout = s->stop_ms;
	return diag->errors && !ret_setup->plan.stacks;
}

static inline void
done(void *arg, const struct setup *is, const char *why)
{
	struct scene *s = arg;

	(void)is;
	s->dones++;
	s->why = why;
}

static inline void
begin(struct scene *s, const char *text)
{
	struct diag diag = { 0 };

	*s = (struct scene){ .text = text, .stop_ms = 60000 };
	box_init(&s->box);
	s->rl = (struct reload){ &s->run, gen_new(), .read = read_text, .done = done,
				 .arg = s };
	ck_assert_int_eq(fakes_setup(&s->rl.gen->setup, text, &s->box, &diag), 0);
	s->rl.gen->setup.global.stop_timeout = s->stop_ms;
	diag_free(&diag);
	s->run = (struct run){ .graph = &s->rl.gen->setup.graph };
	ck_assert_int_eq(loop_new(&s->run.loop), 0);
	ck_assert_int_eq(reload_init(&s->rl), 0);
	ck_assert_int_eq(run_start(&s->run), 0);
	run_go(&s->run);
}

static inline void
turn(struct scene *s)
{
	ck_assert_int_eq(loop_once(s->run.loop, 10), 0);
	reload_step(&s->rl);
}

static inline void
reload(struct scene *s, const char *text)
{
	unsigned before = s->dones;

	s->text = text;
	reload_want(&s->rl);
	reload_step(&s->rl);
	for (int i = 0; i < 1000 && s->dones == before; i++)
		turn(s);
	ck_assert_uint_eq(s->dones, before + 1);
}

/* Until nothing is left of what was before. */
static inline void
settle(struct scene *s)
{
	for (int i = 0; i < 1000 && s->rl.old; i++)
		turn(s);
	ck_assert_ptr_null(s->rl.old);
}

static inline void
feed(struct scene *s, unsigned n)
{
	s->box.feed += n;
	eventfd_write(s->box.event_fd, 1);
	for (int i = 0; i < 1000 && s->box.fed < s->box.feed; i++)
		turn(s);
	ck_assert_uint_eq(s->box.fed, s->box.feed);
}

static inline bool
no_hurry(void *arg)
{
	(void)arg;
	return false;
}

static inline void
end(struct scene *s)
{
	reload_end(&s->rl, 5000, no_hurry, NULL);
	ck_assert(run_stop(&s->run, 5000, no_hurry, NULL));
	ck_assert(reload_ended(&s->rl, no_hurry, NULL));
	gen_unref(s->rl.gen);
	loop_free(s->run.loop);
	box_free(&s->box);
}

static inline const struct inst *
inst(const struct setup *s, const char *id)
{
	const struct inst *in = s->plan.insts;

	while (in && strcmp(in->id, id) != 0)
		in = in->next;
	ck_assert_ptr_nonnull(in);
	return in;
}

#endif
