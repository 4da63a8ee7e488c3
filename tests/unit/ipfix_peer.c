/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ipfix_peer.h"

#include "ipfix_keep.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void
sleep_us(unsigned us)
{
	struct timespec t = { us / 1000000, (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static void
read_session(struct peer_session *s, int fd)
{
	size_t room = 64u << 20;
	ssize_t n = 1;

	s->bytes = malloc(room);
	while (n > 0 && (!s->read_max || s->len < s->read_max)) {
		size_t want = s->chunk ? s->chunk : 65536;

		if (s->read_max && want > s->read_max - s->len)
			want = s->read_max - s->len;
		if (s->pause_us)
			sleep_us(s->pause_us);
		n = read(fd, s->bytes + s->len, want < room - s->len ? want : room - s->len);
		if (n > 0)
			s->len += (size_t)n;
	}
}

static void *
collect(void *arg)
{
	struct linger reset = { 1, 0 };
	struct peer *p = arg;

	for (unsigned i = 0; i < p->sessions; i++) {
		int fd = accept(p->fd, NULL, NULL);

		if (fd < 0)
			break;
		read_session(&p->session[i], fd);
		if (p->session[i].reset) {
			sleep_us(100000); /* our side fills the buffers */
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		}
		close(fd);
		keep_session(p->session[i].bytes, p->session[i].len,
			     p->session[i].read_max || p->session[i].chunk ? KEEP_TORN
									   : KEEP_WHOLE);
		p->finished++;
	}
	return NULL;
}

void
peer_listen(struct peer *p, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(a);
	int on = 1, small = 16384;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ck_assert_int_eq(bind(p->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(p->fd, 5), 0);
	getsockname(p->fd, (struct sockaddr *)&a, &len);
	p->port = ntohs(a.sin_port);
}

void
peer_run(struct peer *p, unsigned sessions)
{
	p->sessions = sessions;
	ck_assert_int_eq(pthread_create(&p->thread, NULL, collect, p), 0);
}

void
peer_start(struct peer *p, unsigned sessions)
{
	peer_listen(p, 0);
	peer_run(p, sessions);
}

void
peer_await(struct peer *p, unsigned finished)
{
	for (unsigned i = 0; i < 1000 && p->finished < finished; i++)
		sleep_us(10000);
	ck_assert_uint_ge(p->finished, finished);
}

void
peer_end(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	for (unsigned i = 0; i < SESSIONS; i++)
		free(p->session[i].bytes);
}
