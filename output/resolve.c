/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread that asks is left alone when the answer takes too long. */
#include "resolve.h"

#include <errno.h>
#include <linux/capability.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct asked {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done, left; /* who comes second frees it */
	int result;      /* of getaddrinfo() */
	char hosts[];
};

static void
asked_free(struct asked *a)
{
	pthread_cond_destroy(&a->cond);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/*
 * It may outlive the start, after which nobody has more rights than he needs.
 * Those to become another user stay: when the main thread does, the C library
 * makes all threads follow, and aborts if one of them may not.  The kernel
 * takes them from a thread that ceases to be root.
 */
static void
give_up_rights(void)
{
	const uint32_t become = 1u << CAP_SETUID | 1u << CAP_SETGID;
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } }, few[2] = { { 0 } };

	if (syscall(SYS_capget, &head, data) == 0)
		few[0].permitted = few[0].effective = data[0].permitted & become;
	syscall(SYS_capset, &head, few);
}

/* A signal is for the main thread, which may not block its own as yet. */
static void
hear_nothing(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static int
look_up(char *hosts)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char *save = NULL;
	int r = 0;

	for (char *h = strtok_r(hosts, ",", &save); h && !r; h = strtok_r(NULL, ",", &save)) {
		if (*h == '/' || *h == '@')
			continue;
		r = getaddrinfo(h, NULL, &hints, &list);
		if (!r)
			freeaddrinfo(list);
	}
	return r;
}

static void *
ask(void *arg)
{
	struct asked *a = arg;
	bool left;
	int r;

	hear_nothing();
	give_up_rights();
	r = look_up(a->hosts);
	pthread_mutex_lock(&a->lock);
	a->result = r;
	a->done = true;
	left = a->left;
	pthread_cond_signal(&a->cond);
	pthread_mutex_unlock(&a->lock);
	if (left)
		asked_free(a);
	return NULL;
}

static struct asked *
asked_new(const char *hosts)
{
	struct asked *a = calloc(1, sizeof(*a) + strlen(hosts) + 1);
	pthread_condattr_t attr;

	if (!a)
		return NULL;
	strcpy(a->hosts, hosts);
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->cond, &attr);
	pthread_condattr_destroy(&attr);
	return a;
}

/* True: *ret_result is what the resolver said. */
static bool
await(struct asked *a, uint64_t msec, int *ret_result)
{
	uint64_t at = ctf_mono_ms() + msec;
	struct timespec until = { (time_t)(at / 1000), (long)(at % 1000 * 1000000) };
	bool done;

	pthread_mutex_lock(&a->lock);
	while (!a->done && pthread_cond_timedwait(&a->cond, &a->lock, &until) == 0)
		;
	done = a->done;
	a->left = true;
	*ret_result = a->result;
	pthread_mutex_unlock(&a->lock);
	if (done)
		asked_free(a);
	return done;
}

int
resolve_within(const char *hosts, uint64_t msec, struct ctf_err *err)
{
	struct asked *a = asked_new(hosts);
	pthread_t thread;
	int r;

	if (!a)
		return ctf_fail(err, ENOMEM, "out of memory");
	r = pthread_create(&thread, NULL, ask, a);
	if (r) {
		asked_free(a);
		return ctf_fail(err, r, "no thread: %s", strerror(r));
	}
	pthread_detach(thread);
	if (!await(a, msec, &r))
		return ctf_fail(err, ETIMEDOUT, "%.200s: the name is not looked up in time",
				hosts);
	return r ? ctf_fail(err, EHOSTUNREACH, "cannot resolve %.200s: %s", hosts,
			    gai_strerror(r))
		 : 0;
}
