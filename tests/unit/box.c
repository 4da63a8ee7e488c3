/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test and the fake plugins tell each other. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "fakes.h"

void
box_init(struct box *b)
{
	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->lock, NULL);
	b->feed_end = CTF_READ_IDLE;
	b->event_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	b->watch_fd = -1;
}

void
box_free(struct box *b)
{
	close(b->event_fd);
	pthread_mutex_destroy(&b->lock);
}

unsigned
box_get(struct box *b, const unsigned *member)
{
	unsigned v;

	pthread_mutex_lock(&b->lock);
	v = *member;
	pthread_mutex_unlock(&b->lock);
	return v;
}

bool
box_wait(struct box *b, const unsigned *member, unsigned n)
{
	for (int i = 0; i < 2000; i++) {
		if (box_get(b, member) >= n)
			return true;
		usleep(5000);
	}
	return false;
}
