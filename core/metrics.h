/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of all objects as a file that Prometheus reads (its text format,
 * e.g. by node_exporter's textfile collector), written anew every so often.
 */
#ifndef CTF_METRICS_H
#define CTF_METRICS_H

#include "info.h"
#include "log.h"
#include "run.h"

struct metrics {
	const struct run *run;
	char *path;        /* NULL: off */
	char *daemon;      /* a label of everything; or NULL */
	uint64_t start_ns; /* of the daemon */
	uint64_t msec;     /* from one time to the next */
	struct loop_fd *timer;
	bool failing; /* said that it cannot be written */
};

/* Writes the file now and every msec from now on; without a file: does nothing. */
int metrics_start(struct metrics *, struct run *, const struct global_conf *);
/* The same, another path, name or time. */
int metrics_change(struct metrics *, struct run *, const struct global_conf *);
/* Nothing has to be changed. */
bool metrics_same(const struct global_conf *, const struct global_conf *);
void metrics_end(struct metrics *);
/* Writes it now: to a file beside it, which then takes its name. */
void metrics_write(struct metrics *);
/* What is written at that time, to be freed; NULL: no memory. */
char *metrics_text(const struct metrics *, uint64_t now_ns);

#endif
