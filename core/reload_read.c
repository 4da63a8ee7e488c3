/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration is read by a thread of its own: a look at a database that
 * is locked, a name nobody resolves or a slow disk must not keep the inputs
 * from being read.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "reload.h"

struct reading {
	struct reload *rl;
	struct gen *gen;
	struct diag diag;
	int code;
	pthread_t thread;
	bool running;
};

static void *
read_it(void *arg)
{
	struct reading *rd = arg;

	rd->code = rd->rl->read(rd->rl->arg, &rd->gen->setup, &rd->diag);
	return NULL;
}

static void
reading_free(struct reading *rd)
{
	gen_unref(rd->gen);
	diag_free(&rd->diag);
	free(rd);
}

int
reload_read(struct reload *rl)
{
	struct reading *rd = calloc(1, sizeof(*rd));

	if (!rd)
		return -ENOMEM;
	rd->rl = rl;
	rd->gen = gen_new();
	if (!rd->gen) {
		free(rd);
		return -ENOMEM;
	}
	rd->gen->setup.plan.before = rl->gen;
	if (rl->begun)
		rl->begun(rl->arg);
	rd->running = pthread_create(&rd->thread, NULL, read_it, rd) == 0;
	if (!rd->running) /* rather late than never */
		read_it(rd);
	rl->reading = rd;
	return 0;
}

bool
reload_has_read(struct reload *rl)
{
	struct reading *rd = rl->reading;

	if (rd->running && pthread_tryjoin_np(rd->thread, NULL) == 0)
		rd->running = false;
	return !rd->running;
}

int
reload_take(struct reload *rl, struct diag *ret_diag, struct gen **ret_gen)
{
	struct reading *rd = rl->reading;
	int code = rd->code;

	*ret_diag = rd->diag;
	*ret_gen = rd->gen;
	rl->reading = NULL;
	free(rd);
	return code;
}

bool
reload_read_end(struct reload *rl)
{
	if (!rl->reading)
		return true;
	if (!reload_has_read(rl))
		return false;
	reading_free(rl->reading);
	rl->reading = NULL;
	return true;
}
