/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_clock.c - the clock is set while we run.
 *
 * Times before and after a step do not compare, so it ends the stretch of
 * coverage; it is also a gap, in which nothing was lost, from what the clock
 * said before to what it said after.
 */
#include "nfct.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <sys/timerfd.h>

#define LEAST (NFCT_SEC / 1000) /* smaller ones are no step */
#define CLOSE 10000             /* ns between two clocks that are read at once */

static int64_t
read_clock(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * (int64_t)NFCT_SEC + t.tv_nsec;
}

/*
 * The time since boot goes on through steps and suspend; both are slewed alike.
 * Of several looks the quickest: we may be kept from running between two clocks.
 */
static int64_t
offset(void)
{
	int64_t best = 0, least = INT64_MAX;

	for (unsigned i = 0; i < 10 && least > CLOSE; i++) {
		int64_t before = read_clock(CLOCK_BOOTTIME), real = read_clock(CLOCK_REALTIME);
		int64_t took = read_clock(CLOCK_BOOTTIME) - before;

		if (took >= least)
			continue;
		least = took;
		best = real - before - took / 2;
	}
	return best;
}

#define NEVER ((time_t)(sizeof(time_t) > 4 ? INT64_C(1) << 33 : INT32_MAX)) /* year 2242 */

/* It never fires by itself. */
static int
arm(int fd)
{
	struct itimerspec never = { .it_value = { .tv_sec = NEVER } };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) <
			       0
		       ? -errno
		       : 0;
}

static void
report_step(struct nfct *s, int64_t step)
{
	uint64_t now = ctf_now(), old = now - (uint64_t)step;
	uint64_t size = (uint64_t)(step < 0 ? -step : step) / 1000;
	struct ctf_gap gap = { .from_ns = old,
			       .to_ns = now,
			       .count = 0,
			       .count_is = CTF_EXACT,
			       .cause = "clock_step",
			       .instance = ctf_name(nfct_ctx(s)),
			       .nsid = -1 };

	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"the clock was set %s by %llu.%06llu s: times from before do not compare with "
		"those from now on",
		step < 0 ? "back" : "forward", (unsigned long long)(size / 1000000),
		(unsigned long long)(size % 1000000));
	nfct_cover_split(s, old, now);
	ctf_report_gap(nfct_ctx(s), &gap);
}

static int
look(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;
	int64_t is = offset(), step = is - s->clock.offset;
	uint64_t n;

	if (read(s->clock.fd, &n, sizeof(n)) < 0 && errno == ECANCELED)
		(void)arm(s->clock.fd);
	if (step > -(int64_t)LEAST && step < (int64_t)LEAST)
		return CTF_READ_IDLE;
	s->clock.offset = is;
	report_step(s, step);
	return CTF_READ_IDLE;
}

void
nfct_clock_start(struct nfct *s)
{
	int r;

	s->clock.offset = offset();
	s->clock.fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	r = s->clock.fd < 0 ? -errno : arm(s->clock.fd);
	if (r == 0)
		r = ctf_watch(nfct_ctx(s), s->clock.fd, look);
	if (r < 0)
		ctf_log(nfct_ctx(s), CTF_WARNING, "steps of the clock go unnoticed: %s",
			strerror(-r));
}

void
nfct_clock_stop(struct nfct *s)
{
	if (s->clock.fd < 0)
		return;
	(void)ctf_watch(nfct_ctx(s), s->clock.fd, NULL);
	close(s->clock.fd);
	s->clock.fd = -1;
}
