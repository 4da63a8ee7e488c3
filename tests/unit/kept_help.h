/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs that die: a run is a child that exits; the next one says what is
 * missing.  DIR_NAME is the test's own folder for the state page.
 */
#ifndef CTF_TEST_KEPT_HELP_H
#define CTF_TEST_KEPT_HELP_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pump.h"
#include "rig.h"
#include "unit.h"

#define CONF "[global]\nstack=a:LIVE,k:KEEP\n[a]\n%B\n[k]\n%B\nframe=512\nreconnect=10ms\n"

static inline void
fresh(void)
{
	DIR *d = opendir(DIR_NAME);
	const struct dirent *e;
	char path[512];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), DIR_NAME "/%.200s", e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(DIR_NAME);
}

/* Plays a run in a child, which dies when it returns. */
static inline void
die_after(void (*play)(struct rig *))
{
	static struct rig g;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		box_init(&g.box);
		play(&g);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static inline void
start(struct rig *g)
{
	rig_start_kept(g, CONF, DIR_NAME, 0);
}

/* The next run, in order: delivers n new ones, after `ngaps` gaps. */
static inline struct ctf_gap
next_run(unsigned n, unsigned ngaps)
{
	struct rig g;
	struct ctf_gap first;

	box_init(&g.box);
	start(&g);
	rig_feed(&g, n);
	rig_stop(&g);
	rig_check_kept(&g.box, n);
	ck_assert_uint_eq(g.box.ngaps, ngaps);
	first = g.box.gaps[0];
	if (ngaps) {
		ck_assert_uint_le(first.from_ns, first.to_ns);
		ck_assert_uint_gt(first.from_ns, 0);
	}
	return first;
}

static inline void
is_gap(struct ctf_gap g, uint64_t count, enum ctf_count_is is)
{
	ck_assert_uint_eq(g.count, count);
	ck_assert_int_eq(g.count_is, is);
}

/* The output is up and takes nothing. */
static inline void
with_300_queued(struct rig *g)
{
	g->box.block = true;
	start(g);
	rig_feed(g, 300);
}

#endif
