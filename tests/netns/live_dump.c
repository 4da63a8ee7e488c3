/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_dump.c - dumps as no kernel at hand gives them: repeats, and ends before the end. */
#include "ct_msg.h"
#include "live.h"

#include <errno.h>
#include <unistd.h>

#define SEC UINT64_C(1000000000)

struct dump { /* one datagram of it */
	uint32_t seq;
	uint64_t start_ns; /* of its flows */
	size_t len;
	_Alignas(8) uint8_t p[16384];
};

static void
add(struct dump *d, struct msg *m)
{
	((struct nlmsghdr *)(void *)m->p)->nlmsg_seq = d->seq;
	memcpy(d->p + d->len, m->p, m->len);
	d->len += m->len;
}

static void
add_flow(struct dump *d, uint16_t port, unsigned flags)
{
	struct msg m;

	msg_begin(&m, MSG_NEW, NLM_F_MULTI | flags, 0, AF_INET);
	msg_tuple(&m, CTA_TUPLE_ORIG, "192.0.2.1", "192.0.2.2", IPPROTO_UDP, 1, port);
	msg_u32(&m, CTA_ID, port);
	msg_times(&m, d->start_ns + port, 0);
	add(d, &m);
}

static void
add_end(struct dump *d, unsigned type, int error)
{
	struct msg m;

	msg_begin(&m, type, NLM_F_MULTI, 0, AF_UNSPEC);
	memcpy(m.p + NLMSG_HDRLEN, &error, sizeof(error));
	add(d, &m);
}

/* A sweep is due and asked for; what we send is the answer. */
static struct live *
asked(int *ret_peer, struct dump *d)
{
	struct live *l = live_enter();
	struct nlmsghdr nlh = { 0 };
	int fd[2];

	l->ctx.interim = 1u << CTF_INTERIM_PRESENCE;
	l->conf.active_timeout = 200;
	live_start(l);
	while (l->self.sweep.now)
		live_read(l, 5);
	l->ctx.nsweeps = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd), 0);
	close(l->self.sweep.fd);
	l->self.sweep.fd = fd[0];
	live_until(l, recv(fd[1], &nlh, sizeof(nlh), 0) >= 0 || nlh.nlmsg_len);
	ck_assert_uint_eq(nlh.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	*d = (struct dump){ .seq = nlh.nlmsg_seq, .start_ns = ctf_now() - 100 * SEC };
	*ret_peer = fd[1];
	return l;
}

static void
answer(int peer, struct dump *d)
{
	ck_assert_int_eq(send(peer, d->p, d->len, 0), (ssize_t)d->len);
	d->len = 0;
}

static void
ended(struct live *l, int peer, unsigned records, bool complete)
{
	live_until(l, l->ctx.nsweeps);
	ck_assert_uint_eq(l->ctx.nsweeps, 1);
	ck_assert(l->ctx.sweep[0].complete == complete);
	ck_assert_uint_eq(l->n, records);
	ck_assert_uint_eq(live_count(l, "sweeps_broken"), !complete);
	ck_assert(live_said(l, "broke off") == !complete);
	close(peer);
	live_free(l);
}

/* The entry it stopped at has gone: the kernel begins its bucket anew. */
START_TEST(repeats)
{
	struct dump d;
	int peer;
	struct live *l = asked(&peer, &d);

	for (uint16_t port = 1; port <= 60; port++)
		add_flow(&d, port, 0);
	answer(peer, &d);
	for (uint16_t port = 30; port <= 90; port++)
		add_flow(&d, port, 0);
	answer(peer, &d);
	add_end(&d, NLMSG_DONE, 0);
	answer(peer, &d);
	live_until(l, l->ctx.nsweeps);
	for (unsigned i = 0; i < l->n; i++)
		ck_assert_uint_eq(ctf_num(live_rec(l, i), l->self.in.f.orig_dport), i + 1);
	ended(l, peer, 90, true);
}
END_TEST

START_TEST(broken)
{
	struct dump d;
	int peer;
	struct live *l = asked(&peer, &d);

	add_flow(&d, 1, _i == 0 ? NLM_F_DUMP_INTR : 0);
	if (_i == 0)
		add_end(&d, NLMSG_DONE, 0);
	else if (_i == 1)
		add_end(&d, NLMSG_DONE, -EINTR);
	else if (_i == 2)
		add_end(&d, NLMSG_ERROR, -ENOBUFS);
	answer(peer, &d);
	if (_i == 3) { /* longer than what was received */
		add_flow(&d, 2, 0);
		d.len -= 8;
		answer(peer, &d);
	} else if (_i == 4) { /* shorter than its header */
		add_flow(&d, 2, 0);
		((struct nlmsghdr *)(void *)d.p)->nlmsg_len = 3;
		answer(peer, &d);
	}
	ended(l, peer, 1, false);
}
END_TEST

/* What answers another request, and what is no flow, is nothing. */
START_TEST(strangers)
{
	struct dump d;
	int peer;
	struct live *l = asked(&peer, &d);
	struct msg m;

	d.seq++;
	add_flow(&d, 1, 0);
	add_end(&d, NLMSG_DONE, 0);
	d.seq--;
	msg_begin(&m, MSG_NEW, NLM_F_MULTI, 0, AF_INET);
	add(&d, &m);
	msg_begin(&m, MSG_DESTROY, NLM_F_MULTI, 0, AF_INET);
	add(&d, &m);
	add_flow(&d, 7, 0);
	add_end(&d, NLMSG_DONE, 0);
	answer(peer, &d);
	ended(l, peer, 1, true);
}
END_TEST

/* The daemon ends while the kernel is silent. */
START_TEST(unanswered)
{
	struct dump d;
	int peer;
	struct live *l = asked(&peer, &d);

	live_read(l, 20);
	ck_assert_uint_eq(l->ctx.nsweeps, 0);
	ctf_plugin_nfct.stop(&l->self);
	ck_assert_uint_eq(l->ctx.nsweeps, 1);
	ck_assert(!l->ctx.sweep[0].complete);
	ck_assert(!live_said(l, "broke off"));
	close(peer);
	live_free(l);
}
END_TEST

void
live_dump_tests(TCase *t)
{
	tcase_add_test(t, repeats);
	tcase_add_loop_test(t, broken, 0, 5);
	tcase_add_test(t, strangers);
	tcase_add_test(t, unanswered);
}
