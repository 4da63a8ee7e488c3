/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"
#include "sink.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 4096u

/* ---- to the manager ---- */

static int
address(const char *s, struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(s);

	if ((s[0] != '/' && s[0] != '@') || n < 2)
		return -EAFNOSUPPORT;
	if (n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, s, n);
	if (s[0] == '@')
		a.sun_path[0] = '\0';
	*ret_addr = a;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (s[0] == '/'));
	return 0;
}

int
notify_open(struct notify *n)
{
	const char *where = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a;
	socklen_t len;
	int ret;

	n->fd = -1;
	if (!where || !*where)
		return 0;
	ret = address(where, &a, &len);
	unsetenv("NOTIFY_SOCKET");
	if (ret)
		return ret;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return -errno;
	if (connect(n->fd, (struct sockaddr *)&a, len)) {
		ret = -errno;
		notify_close(n);
	}
	return ret;
}

void
notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* A manager that does not read holds up nobody for long. */
static int
send_msg(const struct notify *n, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { .buf = { 0 } };
	char copy[4096];
	struct iovec iov = { copy, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd p = { .fd = n->fd, .events = POLLOUT };

	memcpy(copy, text, len);
	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	for (int tries = 0; tries < 2; tries++) {
		if (sendmsg(n->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		poll(&p, 1, 1000);
	}
	return -EAGAIN;
}

int
notify_send(const struct notify *n, int fd, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int len;

	if (n->fd < 0)
		return 0;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(text))
		return -EMSGSIZE;
	return send_msg(n, text, (size_t)len, fd);
}

/*
 * FDPOLL=0: without it the manager lets go of a socket as soon as that has an
 * error to report, which an overrun is.
 */
int
notify_store(const struct notify *n, const char *name, int fd)
{
	return notify_send(n, fd, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0\n", name);
}

int
notify_forget(const struct notify *n, const char *name)
{
	return notify_send(n, -1, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
}

/* Until the other end of a pipe is closed; signals do not make it longer. */
static int
wait_closed(int fd, int timeout_ms)
{
	uint64_t now = ctf_mono_ms(), until = now + (uint64_t)timeout_ms;
	struct pollfd wait = { .fd = fd };

	for (; now < until; now = ctf_mono_ms()) {
		int n = poll(&wait, 1, (int)(until - now));

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return -ETIMEDOUT;
}

/* The manager closes its end when it gets there. */
int
notify_barrier(const struct notify *n, int timeout_ms)
{
	int p[2], ret;

	if (n->fd < 0)
		return 0;
	if (pipe2(p, O_CLOEXEC))
		return -errno;
	ret = notify_send(n, p[1], "BARRIER=1");
	close(p[1]);
	if (!ret)
		ret = wait_closed(p[0], timeout_ms);
	close(p[0]);
	return ret;
}

/* ---- from the manager ---- */

/* A decimal number and nothing else. */
static bool
number(const char *s, unsigned long max, unsigned long *ret_n)
{
	char *end;
	unsigned long n;

	if (!s || *s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (*end || errno || n > max)
		return false;
	*ret_n = n;
	return true;
}

/* Takes the next of the colon-separated names; those that lack are "unknown". */
static void
next_name(const char **names, char ret_name[NOTIFY_NAME])
{
	size_t n = *names ? strcspn(*names, ":") : 0;

	snprintf(ret_name, NOTIFY_NAME, "%.*s", *names ? (int)n : 7,
		 *names ? *names : "unknown");
	if (*names)
		*names = (*names)[n] ? *names + n + 1 : NULL;
}

static int
inherit(const char *count, const char *names, struct notify_fds *ret_fds)
{
	struct notify_fds f = { 0 };
	unsigned long n;

	if (!number(count, FDS_MAX, &n))
		return -EINVAL;
	f.v = calloc(n ? n : 1, sizeof(*f.v));
	if (!f.v)
		return -ENOMEM;
	for (f.n = 0; f.n < n; f.n++) {
		struct notify_fd *to = &f.v[f.n];

		next_name(&names, to->name);
		to->fd = FIRST_FD + (int)f.n;
		if (fcntl(to->fd, F_SETFD, FD_CLOEXEC))
			to->fd = -1; /* it was announced, but is not there */
	}
	*ret_fds = f;
	return 0;
}

int
notify_inherit(struct notify_fds *ret_fds)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	struct notify_fds fds = { 0 };
	unsigned long mine;
	int ret = 0;

	if (!pid && !count) {
		*ret_fds = fds;
		return 0;
	}
	if (!number(pid, INT_MAX, &mine))
		ret = -EINVAL;
	else if (mine == (unsigned long)getpid())
		ret = inherit(count, getenv("LISTEN_FDNAMES"), &fds);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!ret)
		*ret_fds = fds;
	return ret;
}

int
notify_fds_add(struct notify_fds *fds, const char *name, int fd)
{
	struct notify_fd *v = realloc(fds->v, (fds->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	fds->v = v;
	v[fds->n].fd = fd;
	snprintf(v[fds->n++].name, sizeof(v->name), "%s", name);
	return 0;
}

void
notify_fds_free(struct notify_fds *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i].fd >= 0)
			close(f->v[i].fd);
	free(f->v);
	*f = (struct notify_fds){ 0 };
}

static size_t
put_escaped(char *to, size_t at, size_t size, const char *s)
{
	for (; *s && at < size; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = c > ' ' && c < 0x7f && c != ':' && c != '%' && c != '.';

		at += (size_t)snprintf(to + at, size - at, plain ? "%c" : "%%%02X", c);
	}
	return at;
}

bool
notify_name(char ret_name[NOTIFY_NAME], const char *prefix, const char *a, const char *b)
{
	char name[NOTIFY_NAME];
	size_t at = put_escaped(name, 0, sizeof(name), prefix);

	for (int i = 0; i < 2; i++) {
		if (at + 1 >= sizeof(name))
			return false;
		name[at++] = '.';
		at = put_escaped(name, at, sizeof(name), i ? b : a);
	}
	if (at >= sizeof(name))
		return false;
	name[at] = '\0';
	memcpy(ret_name, name, at + 1);
	return true;
}
