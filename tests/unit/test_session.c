/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.c: how a peer ends, and what is sent again because of it. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"
#include "sink.h"
#include "unit.h"

#define FRAME 10000u

struct pair { /* a session and its peer on the loopback */
	struct session s;
	struct sink sink;
	struct ctf_ctx ctx;
	int peer;
	uint64_t sent; /* frames */
};

static void
pause_ms(unsigned ms)
{
	usleep(ms * 1000);
}

/* A new session, to a new peer. */
static void
meet(struct pair *p, uint64_t resend)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	int room = 128 << 10, most = 1 << 20;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&a, len), 0);
	setsockopt(l, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* and it stays so */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most));
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, len), 0);
	p->peer = accept(l, NULL, NULL);
	ck_assert_int_ge(p->peer, 0);
	close(l);
	if (!p->ctx.sink) {
		p->ctx.sink = &p->sink;
		p->sink.intr = eventfd(0, EFD_CLOEXEC);
	}
	session_begin(&p->s, &p->ctx, fd, resend, NULL, NULL);
}

static void
part(struct pair *p)
{
	close(p->sink.intr);
}

/* Sends n frames of FRAME bytes in one call; they are numbered from 1. */
static void
send_frames(struct pair *p, unsigned n)
{
	static uint8_t zeros[64 * FRAME];
	struct iovec v = { zeros, n * FRAME };

	ck_assert_int_eq(session_sendv(&p->s, &v, 1), n * FRAME);
	for (unsigned i = 1; i <= n; i++)
		session_mark(&p->s, ++p->sent, (n - i) * FRAME);
}

static void
read_frames(struct pair *p, unsigned n)
{
	char buf[FRAME];

	for (; n; n--)
		ck_assert_int_eq(recv(p->peer, buf, FRAME, MSG_WAITALL), FRAME);
}

static void
await_settled(struct pair *p, uint64_t number)
{
	for (unsigned i = 0; i < 6000 && session_settled(&p->s) < number; i++)
		pause_ms(10);
	ck_assert_uint_eq(session_settled(&p->s), number);
}

START_TEST(an_orderly_end)
{
	struct pair p = { 0 };

	meet(&p, 8 << 20);
	send_frames(&p, 20);
	read_frames(&p, 20);
	await_settled(&p, 20);
	ck_assert_uint_eq(session_needed(&p.s), 0); /* as long as it lives, all of it */
	close(p.peer);
	pause_ms(20);
	ck_assert_int_eq(session_peer(&p.s), -EPIPE);
	session_finish(&p.s);
	ck_assert_uint_eq(session_settled(&p.s), 20);
	ck_assert_uint_eq(session_needed(&p.s), 21);
	part(&p);
}
END_TEST

/* It had read all and closed; its FIN lies unseen behind what we send. */
START_TEST(an_orderly_end_behind_our_back)
{
	struct iovec v = { (uint8_t[]){ 0 }, 1 };
	struct pair p = { 0 };
	uint64_t of;

	meet(&p, 8 << 20);
	send_frames(&p, 20);
	read_frames(&p, 20);
	await_settled(&p, 20);
	close(p.peer);
	pause_ms(20);
	send_frames(&p, 3); /* is answered with a reset */
	pause_ms(20);
	if (_i)
		ck_assert_int_eq(session_sendv(&p.s, &v, 1), -EPIPE);
	else
		ck_assert_int_eq(session_room(&p.s), -EPIPE);
	ck_assert_int_eq(p.s.end, SESSION_FIN);
	session_finish(&p.s);
	ck_assert_uint_eq(session_settled(&p.s), 20);
	ck_assert_uint_eq(session_needed(&p.s), 21);
	ck_assert_uint_eq(session_partial(&p.s, &of), 0);
	ck_assert_uint_eq(of, 21);
	part(&p);
}
END_TEST

/* What it left unread, its kernel had acknowledged. */
START_TEST(an_end_with_bytes_unread)
{
	struct iovec v = { (uint8_t[]){ 0 }, 1 };
	struct pair p = { 0 };
	uint64_t back = 300000;

	meet(&p, back);
	for (unsigned i = 0; i < 20; i++) {
		send_frames(&p, 10);
		read_frames(&p, i < 19 ? 10 : 8);
	}
	await_settled(&p, 200);
	back = 2 * p.s.window > back ? 2 * p.s.window : back;
	ck_assert_uint_lt(back, 1000000);
	close(p.peer);
	pause_ms(20);
	if (_i == 0)
		ck_assert_int_eq(session_sendv(&p.s, &v, 1), -ECONNRESET);
	else if (_i == 1)
		ck_assert_int_eq(session_room(&p.s), -ECONNRESET);
	else
		ck_assert_int_eq(session_peer(&p.s), -ECONNRESET);
	ck_assert_int_eq(session_peer(&p.s), -EPIPE); /* it says it once */
	ck_assert_int_eq(p.s.end, SESSION_BROKEN);
	session_finish(&p.s);
	ck_assert_uint_eq(session_settled(&p.s), 200);
	ck_assert_uint_eq(session_needed(&p.s), (200 * FRAME - back) / FRAME + 1);
	/* In the next session they are not safe; what is, is not asked for. */
	p.sent = session_needed(&p.s) ? session_needed(&p.s) - 1 : 0;
	back = session_needed(&p.s);
	meet(&p, 0);
	ck_assert_uint_eq(session_settled(&p.s), p.sent);
	send_frames(&p, 5);
	ck_assert_uint_eq(session_needed(&p.s), back);
	read_frames(&p, 5);
	await_settled(&p, p.sent);
	close(p.peer);
	session_finish(&p.s);
	ck_assert_uint_eq(session_needed(&p.s), p.sent + 1);
	part(&p);
}
END_TEST

/* A window of nothing asked for is two of the peer's. */
START_TEST(never_less_than_the_peers_window)
{
	struct pair p = { 0 };
	uint64_t acked;

	meet(&p, 0);
	for (unsigned i = 0; i < 100; i++) {
		send_frames(&p, 10);
		read_frames(&p, 10);
	}
	await_settled(&p, 1000);
	acked = 1000 * FRAME;
	ck_assert_uint_ge(p.s.window, 60000);
	ck_assert_uint_lt(p.s.window, 1000000);
	ck_assert_uint_eq(session_needed(&p.s), (acked - 2 * p.s.window) / FRAME + 1);
	close(p.peer);
	session_finish(&p.s);
	part(&p);
}
END_TEST

/* Our end has come. */
static void
await_end(const struct pair *p)
{
	struct pollfd is = { p->peer, POLLRDHUP, 0 };

	ck_assert_int_eq(poll(&is, 1, 60000), 1);
}

static void *
read_all_later(void *arg)
{
	struct pair *p = arg;
	char buf[FRAME];

	await_end(p);
	while (recv(p->peer, buf, FRAME, 0) > 0)
		;
	close(p->peer);
	return NULL;
}

static void *
die_later(void *arg)
{
	struct pair *p = arg;

	await_end(p);
	close(p->peer); /* without having read */
	return NULL;
}

/* Our own end waits for the peer's, which says whether it has read all. */
START_TEST(our_end)
{
	void *(*const does[])(void *) = { read_all_later, die_later };
	struct pair p = { 0 };
	pthread_t t;

	meet(&p, 8 << 20);
	send_frames(&p, 5);
	pthread_create(&t, NULL, does[_i], &p);
	session_finish(&p.s);
	pthread_join(t, NULL);
	ck_assert_uint_eq(session_settled(&p.s), 5);
	ck_assert_uint_eq(session_needed(&p.s), _i ? 0 : 6);
	part(&p);
}
END_TEST

/* For longer than a second. */
static void *
end_and_read_on(void *arg)
{
	struct pair *p = arg;
	char buf[2 * FRAME];

	shutdown(p->peer, SHUT_WR);
	do
		pause_ms(60);
	while (recv(p->peer, buf, sizeof(buf), 0) > 0);
	close(p->peer);
	return NULL;
}

/* It has said its end, and reads all that was sent: nothing comes twice. */
START_TEST(a_slow_reader_that_ends)
{
	struct pair p = { 0 };
	pthread_t t;

	meet(&p, 8 << 20);
	send_frames(&p, 64);
	pthread_create(&t, NULL, end_and_read_on, &p);
	session_finish(&p.s);
	ck_assert_uint_eq(session_settled(&p.s), 64);
	ck_assert_uint_eq(session_needed(&p.s), 65);
	pthread_join(t, NULL);
	part(&p);
}
END_TEST

/* One that stays open does not keep us, and is not thought dead. */
START_TEST(a_peer_that_does_not_end)
{
	uint64_t since = ctf_mono_ms();
	struct pair p = { 0 };

	meet(&p, 8 << 20);
	send_frames(&p, 5);
	session_finish(&p.s);
	ck_assert_uint_le(ctf_mono_ms() - since, 30000); /* a busy machine */
	ck_assert_uint_eq(session_needed(&p.s), 6);
	close(p.peer);
	part(&p);
}
END_TEST

START_TEST(a_peer_that_takes_nothing)
{
	struct pair p = { 0 };
	uint64_t before;

	meet(&p, 8 << 20);
	for (;;) {
		static uint8_t zeros[FRAME];
		struct iovec v = { zeros, FRAME };

		if (session_sendv(&p.s, &v, 1) != FRAME)
			break;
		session_mark(&p.s, ++p.sent, 0);
	}
	ck_assert_int_eq(session_room(&p.s), -EAGAIN); /* after a second */
	before = session_settled(&p.s);
	ck_assert_uint_lt(before, p.sent);
	eventfd_write(p.sink.intr, 1);
	ck_assert_int_eq(session_room(&p.s), -EINTR);
	session_finish(&p.s);
	ck_assert_uint_eq(session_settled(&p.s), before);
	ck_assert_uint_eq(session_needed(&p.s), before + 1);
	close(p.peer);
	part(&p);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 30);
	tcase_add_test(t, an_orderly_end);
	tcase_add_loop_test(t, an_orderly_end_behind_our_back, 0, 2);
	tcase_add_loop_test(t, an_end_with_bytes_unread, 0, 3);
	tcase_add_test(t, never_less_than_the_peers_window);
	tcase_add_loop_test(t, our_end, 0, 2);
	tcase_add_test(t, a_slow_reader_that_ends);
	tcase_add_test(t, a_peer_that_does_not_end);
	tcase_add_test(t, a_peer_that_takes_nothing);
}

int
main(void)
{
	return unit_main_net(AF_INET, "session", add_tests);
}
