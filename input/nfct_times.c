/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_times.c - see nfct_times.h. */
#include "nfct.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <sys/inotify.h>

#define FOLDER "/proc/sys/net/netfilter"

void
nfct_times_init(struct nfct *s)
{
	s->times = (struct nfct_times){ .dir = -1, .watch = -1 };
}

/*
 * Tells of a value written by whoever uses the same mount of /proc; others, and
 * netlink, are found out by reading.
 */
static int
watch(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd >= 0 && inotify_add_watch(fd, FOLDER, IN_MODIFY) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Of all timeouts; one that is not there stays what it was. */
static void
read_all(struct nfct *s, struct ct_times *t)
{
	for (const struct ct_time_name *n = ct_time_names; s->times.dir >= 0 && n->sysctl;
	     n++) {
		long value = nfct_sysctl_at(s->times.dir, n->sysctl);

		if (value >= 0 && value <= INT_MAX)
			(void)ct_times_set(t, n->sysctl, (unsigned)value);
	}
	nfct_policy_read(s, t);
}

static void
update(struct nfct *s, uint64_t after_ns)
{
	uint64_t begin = ctf_now();
	struct ct_times fresh = s->in.t;

	read_all(s, &fresh);
	ct_times_update(&s->in.t, &fresh, after_ns, ctf_now());
	s->times.read_ns = begin;
	s->times.kept->read_ns = begin;
	s->times.kept->t = s->in.t;
}

/* The table of another boot is not the one whose flows end now. */
static bool
may_know(const struct nfct *s, bool kept)
{
	const struct nfct_times_kept *k = s->times.kept;

	return kept && ctf_earlier(nfct_ctx(s)).same_boot && k->read_ns &&
	       k->t.npolicies <= CT_POLICIES && k->t.nformer <= CT_POLICIES;
}

int
nfct_times_open(struct nfct *s)
{
	struct nfct_times *t = &s->times;
	bool kept = false;

	if (!t->kept)
		t->kept = ctf_state(nfct_ctx(s), "times", sizeof(*t->kept), &kept);
	if (!t->kept)
		return -ENOMEM;
	t->watch = watch(); /* before they are read */
	t->dir = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ct_times_default(&s->in.t);
	if (may_know(s, kept)) {
		s->in.t = t->kept->t;
		update(s, t->kept->read_ns);
	} else {
		read_all(s, &s->in.t);
		update(s, ctf_now());
	}
	t->look_ns = ctf_now();
	return 0;
}

void
nfct_times_close(struct nfct *s)
{
	if (s->times.dir >= 0)
		close(s->times.dir);
	if (s->times.watch >= 0) {
		(void)ctf_watch(nfct_ctx(s), s->times.watch, NULL);
		close(s->times.watch);
	}
	s->times.dir = s->times.watch = -1;
}

static bool
was_written(int fd)
{
	char buf[4096] __attribute__((aligned(8)));
	bool any = false;

	while (read(fd, buf, sizeof(buf)) > 0)
		any = true;
	return any;
}

/* A value that is soon replaced by another is to be seen as well. */
static int
on_write(void *self, struct ctf_batch *b)
{
	nfct_times_now(self, ctf_now());
	return CTF_READ_IDLE;
}

int
nfct_times_start(struct nfct *s)
{
	return s->times.watch < 0 ? 0 : ctf_watch(nfct_ctx(s), s->times.watch, on_write);
}

void
nfct_times_now(struct nfct *s, uint64_t now)
{
	struct nfct_times *t = &s->times;

	if (!t->kept) /* not open */
		return;
	t->look_ns = now;
	if (t->watch < 0 || was_written(t->watch) ||
	    now - t->read_ns >= NFCT_HEARTBEAT * NFCT_SEC)
		update(s, t->read_ns);
}
