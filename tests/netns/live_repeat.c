/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_repeat.c - other reliable listeners, and the repeats they cause. */
#include "live.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 20000u /* more than are remembered before a listener is known */
#define SOME 2000u
#define DPORT 10000u

/* Hears ends reliably, with room for few. */
static int
sleeper(uint64_t bytes)
{
	struct ctf_err err;
	int fd;

	ck_assert_int_eq(nfct_events_open(true, NULL, 0, &fd, &err), 0);
	ck_assert_int_gt(nfct_events_buffer(fd, bytes), 0);
	ck_assert_int_eq(nfct_events_join(fd, CTF_DESTROY, &err), 0);
	return fd;
}

/* Both read until the kernel has nothing left for either. */
static void
wake(struct live *l, int fd)
{
	uint64_t until = ctf_now() + LIVE_LIMIT;
	char msg[2048];

	do {
		while (recv(fd, msg, sizeof(msg), 0) > 0)
			;
		live_read(l, 5);
		ck_assert_uint_lt(ctf_now(), until);
	} while (lab_sysctl_get("nf_conntrack_count") > 0);
	live_read(l, 20);
}

static unsigned
distinct(const struct live *l)
{
	uint8_t seen[65536] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++) {
		uint64_t port = ctf_num(live_rec(l, i), l->self.in.f.orig_dport);

		n += !seen[port];
		seen[port] = 1;
	}
	return n;
}

/* It comes between two looks; by then we have taken more than the small set holds. */
START_TEST(comes_unnoticed)
{
	struct live *l = live_enter();
	int fd;

	l->conf.buffer_size = 64 << 20;
	live_start(l);
	l->ctx.tick(&l->self);
	fd = sleeper(1 << 20);
	lab_udp_flows(MANY, 4000, DPORT);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 50), MANY);
	wake(l, fd);
	ck_assert_uint_eq(l->n, MANY);
	ck_assert_uint_eq(distinct(l), MANY);
	ck_assert_uint_gt(live_count(l, "repeats"), MANY / 2);
	ck_assert_uint_eq(live_count(l, "maybe_repeated"), 0);
	ck_assert(live_said(l, "another input of this test_nfct_live listens with reliable"));
	ck_assert_uint_ge(l->self.repeat.recent.cap, MANY);

	close(fd);
	l->ctx.tick(&l->self);
	ck_assert(live_said(l, "no longer listens with reliable delivery"));
	ck_assert(l->self.repeat.on); /* some may still be on their way */
	l->self.repeat.sign_ns -= 11 * NFCT_SEC;
	l->ctx.tick(&l->self);
	ck_assert(!l->self.repeat.on);
	ck_assert_uint_lt(l->self.repeat.recent.cap, MANY);
	live_free(l);
}
END_TEST

/* It has gone before anybody looked: what the kernel kept comes once more. */
START_TEST(goes_unnoticed)
{
	struct live *l = live_enter();
	int fd;

	live_start(l);
	fd = sleeper(2048);
	lab_udp_flows(SOME, 4000, DPORT);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 20), SOME);
	close(fd);
	live_until(l, live_count(l, "repeats") > SOME / 2);
	live_read(l, 100);
	ck_assert_uint_eq(l->n, SOME);
	ck_assert(live_said(l, "for a reliable listener that is not seen here"));
	ck_assert_int_eq(nfct_drops_mean(&l->self), CTF_AT_MOST);
	live_free(l);
}
END_TEST

START_TEST(switched_off)
{
	struct live *l = live_enter();
	int fd = sleeper(1 << 20);

	l->conf.repeat_memory = 0;
	live_start(l);
	ck_assert(live_said(l, "logged twice (repeat_memory=0)"));
	lab_udp_flows(SOME, 4000, DPORT);
	lab_flush();
	live_read(l, 20);
	wake(l, fd);
	ck_assert_uint_gt(l->n, SOME);
	ck_assert_uint_eq(distinct(l), SOME);
	live_free(l);
	close(fd);
}
END_TEST

/* Without a start time a flow cannot be told from the next of the same tuple. */
START_TEST(without_start)
{
	struct live *l = live_enter();
	int fd = sleeper(1 << 20);

	l->conf.sysctl = NFCT_IGNORE;
	live_start(l);
	ck_assert(live_said(l, "where a flow has a start (nf_conntrack_timestamp)"));
	lab_udp_flows(SOME, 4000, DPORT);
	lab_flush();
	live_read(l, 20);
	wake(l, fd);
	ck_assert_uint_gt(l->n, SOME);
	ck_assert_uint_eq(live_count(l, "repeats"), 0);
	live_free(l);
	close(fd);
}
END_TEST

/* A repeat of what the process before us has taken. */
static struct live *
predecessor(int *ret_fd, void *keys, size_t size, size_t *ret_len)
{
	struct live *l = live_enter();

	live_start(l);
	*ret_fd = sleeper(1 << 20);
	lab_udp_flows(SOME, 4000, DPORT);
	lab_flush();
	ck_assert_uint_eq(live_read(l, 20), SOME);
	l->ctx.tick(&l->self);
	*ret_len = nfct_repeat_save(&l->self, NULL, 0);
	ck_assert_uint_ge(*ret_len, SOME * 8);
	ck_assert_uint_le(*ret_len, size);
	ck_assert_uint_eq(nfct_repeat_save(&l->self, keys, size), *ret_len);
	return l;
}

START_TEST(handed_over)
{
	static char keys[SOME * 8 + 1024];
	size_t len;
	int fd;
	struct live *old = predecessor(&fd, keys, sizeof(keys), &len), *l = live_new();

	live_start(l);
	ck_assert_int_eq(nfct_repeat_load(&l->self, keys, len - 1), -EINVAL);
	ck_assert_int_eq(nfct_repeat_load(&l->self, keys, 8), -EINVAL);
	keys[0] ^= 1;
	ck_assert_int_eq(nfct_repeat_load(&l->self, keys, len), -EINVAL);
	keys[0] ^= 1;
	ck_assert_int_eq(nfct_repeat_load(&l->self, keys, len), 0);
	ck_assert_int_eq(nfct_repeat_load(&l->self, keys, len), -EINVAL); /* too late */
	live_free(old);
	wake(l, fd);
	ck_assert_uint_eq(l->n, 0);
	ck_assert_uint_gt(live_count(l, "repeats"), 0);
	ck_assert_uint_eq(live_count(l, "maybe_repeated"), 0);
	live_free(l);
	close(fd);
}
END_TEST

/* Nobody told us what was before: each may have been taken already. */
START_TEST(not_handed_over)
{
	static char keys[SOME * 8 + 1024];
	size_t len;
	int fd;
	struct live *old = predecessor(&fd, keys, sizeof(keys), &len), *l;

	live_free(old);
	l = live_new();
	live_start(l);
	wake(l, fd);
	ck_assert_uint_gt(l->n, 0);
	ck_assert_uint_eq(distinct(l), l->n);
	ck_assert_uint_eq(live_count(l, "maybe_repeated"), l->n);
	live_free(l);
	close(fd);
}
END_TEST

void
live_repeat_tests(TCase *t)
{
	tcase_add_test(t, comes_unnoticed);
	tcase_add_test(t, goes_unnoticed);
	tcase_add_test(t, switched_off);
	tcase_add_test(t, without_start);
	tcase_add_test(t, handed_over);
	tcase_add_test(t, not_handed_over);
}
