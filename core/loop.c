/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop.h"

#define EVENTS 16

struct loop_fd {
	struct loop_fd *next;
	struct loop *loop;
	int fd;
	bool timer, dead;
	void (*fn)(void *);
	void *arg;
};

struct loop {
	int ep;
	struct loop_fd *first;
};

int
loop_new(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	if (l->ep < 0) {
		int ret = -errno;

		free(l);
		return ret;
	}
	*ret_loop = l;
	return 0;
}

/* Frees what was deleted; only when no event can still name it. */
static void
sweep(struct loop *l, bool all)
{
	struct loop_fd **p = &l->first;

	while (*p) {
		struct loop_fd *f = *p;

		if (!f->dead && !all) {
			p = &f->next;
			continue;
		}
		if (f->timer)
			close(f->fd);
		*p = f->next;
		free(f);
	}
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	sweep(l, true);
	close(l->ep);
	free(l);
}

int
loop_add(struct loop *l, int fd, void (*fn)(void *), void *arg, struct loop_fd **ret_fd)
{
	struct loop_fd *f = calloc(1, sizeof(*f));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = f };

	if (!f)
		return -ENOMEM;
	if (epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev)) {
		int ret = -errno;

		free(f);
		return ret;
	}
	*f = (struct loop_fd){ l->first, l, fd, false, false, fn, arg };
	l->first = f;
	*ret_fd = f;
	return 0;
}

void
loop_pause(struct loop_fd *f, bool paused)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = f };

	/* Out of the set altogether: an error condition would still be reported. */
	epoll_ctl(f->loop->ep, paused ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, f->fd, &ev);
}

void
loop_del(struct loop_fd *f)
{
	epoll_ctl(f->loop->ep, EPOLL_CTL_DEL, f->fd, NULL);
	f->dead = true;
}

int
loop_timer(struct loop *l, void (*fn)(void *), void *arg, struct loop_fd **ret_timer)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), ret;

	if (fd < 0)
		return -errno;
	ret = loop_add(l, fd, fn, arg, ret_timer);
	if (ret) {
		close(fd);
		return ret;
	}
	(*ret_timer)->timer = true;
	return 0;
}

void
timer_set(struct loop_fd *f, uint64_t msec, uint64_t period)
{
	struct itimerspec t = {
		{ (time_t)(period / 1000), (long)(period % 1000 * 1000000) },
		{ (time_t)(msec / 1000), (long)(msec % 1000 * 1000000) },
	};

	timerfd_settime(f->fd, 0, &t, NULL);
}

static void
fire(struct loop_fd *f)
{
	uint64_t n;

	if (f->dead || (f->timer && read(f->fd, &n, sizeof(n)) != sizeof(n)))
		return;
	f->fn(f->arg);
}

int
loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(l->ep, ev, EVENTS, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		fire(ev[i].data.ptr);
	sweep(l, false);
	return 0;
}
