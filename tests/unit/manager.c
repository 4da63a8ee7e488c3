/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "manager.h"

#define STORE 16

static struct {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	unsigned n;
	struct notify_fd store[STORE];
	char name[64];
} manager = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
forget(const char *name)
{
	for (unsigned i = 0; i < manager.n; i++)
		if (strcmp(manager.store[i].name, name) == 0) {
			close(manager.store[i].fd);
			manager.store[i] = manager.store[--manager.n];
			i--;
		}
}

static void
obey(const char *text, int fd)
{
	char name[NOTIFY_NAME] = "";
	const char *at = strstr(text, "FDNAME=");

	if (at)
		sscanf(at, "FDNAME=%255[^\n]", name);
	if (strncmp(text, "FDSTORE=1", 9) == 0) {
		manager.store[manager.n].fd = fd;
		strcpy(manager.store[manager.n++].name, name);
		return;
	}
	if (strncmp(text, "FDSTOREREMOVE=1", 15) == 0)
		forget(name);
	if (fd >= 0)
		close(fd); /* a barrier */
}

static void *
manage(void *arg)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char buf[CMSG_SPACE(sizeof(int))];
		} c;
		char text[4097];
		struct iovec iov = { text, sizeof(text) - 1 };
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = c.buf,
				    .msg_controllen = sizeof(c.buf) };
		ssize_t n = recvmsg(manager.fd, &m, 0);
		struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
		int fd = -1;

		if (n <= 0)
			return NULL;
		text[n] = '\0';
		if (h)
			memcpy(&fd, CMSG_DATA(h), sizeof(fd));
		pthread_mutex_lock(&manager.lock);
		obey(text, fd);
		pthread_mutex_unlock(&manager.lock);
	}
}

void
manager_start(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char *name = manager.name;

	snprintf(name, sizeof(manager.name), "@ctl-handover-%d", (int)getpid());
	memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
	manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
		bind(manager.fd, (struct sockaddr *)&a,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
	pthread_create(&manager.thread, NULL, manage, NULL);
}

void
manager_end(void)
{
	shutdown(manager.fd, SHUT_RDWR);
	pthread_join(manager.thread, NULL);
	close(manager.fd);
	while (manager.n)
		forget(manager.store[0].name);
}

int
manager_fd(const char *name)
{
	int fd = -1;

	pthread_mutex_lock(&manager.lock);
	for (unsigned i = 0; i < manager.n; i++)
		if (strcmp(manager.store[i].name, name) == 0)
			fd = manager.store[i].fd;
	pthread_mutex_unlock(&manager.lock);
	return fd;
}

void
manager_forget(const char *name)
{
	pthread_mutex_lock(&manager.lock);
	forget(name);
	pthread_mutex_unlock(&manager.lock);
}

bool
manager_has_forgotten(const char *name)
{
	for (int i = 0; i < 60000 && manager_fd(name) >= 0; i++)
		usleep(1000);
	return manager_fd(name) < 0;
}

void
manager_put(const char *name, int fd)
{
	pthread_mutex_lock(&manager.lock);
	manager.store[manager.n].fd = fd;
	snprintf(manager.store[manager.n++].name, NOTIFY_NAME, "%s", name);
	pthread_mutex_unlock(&manager.lock);
}

unsigned
manager_count(void)
{
	unsigned n;

	pthread_mutex_lock(&manager.lock);
	n = manager.n;
	pthread_mutex_unlock(&manager.lock);
	return n;
}

struct handover *
manager_new_process(void)
{
	struct handover *h;

	setenv("NOTIFY_SOCKET", manager.name, 1);
	h = handover_new();
	pthread_mutex_lock(&manager.lock);
	h->fds.n = manager.n;
	h->fds.v = calloc(STORE, sizeof(*h->fds.v));
	for (unsigned i = 0; i < manager.n; i++) {
		h->fds.v[i] = manager.store[i];
		h->fds.v[i].fd = fcntl(manager.store[i].fd, F_DUPFD_CLOEXEC, 3);
	}
	pthread_mutex_unlock(&manager.lock);
	return h;
}
