/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a test and the fake plugins tell each other. */
#include <errno.h>
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
	for (int i = 0; i < 12000; i++) {
		if (box_get(b, member) >= n)
			return true;
		usleep(5000);
	}
	return false;
}

unsigned
box_sinks(const void *conf)
{
	const struct box *b = box_of(&(struct ctf_obj){ .conf = conf });

	return b ? b->many : 3;
}

enum ctf_sent
box_many(void *sink, const struct ctf_frame *const *frames, unsigned n, unsigned *ret_taken,
	 struct ctf_err *err)
{
	const struct ctf_obj *o = sink;
	struct box *b = box_of(sink);
	unsigned nth = ctf_sink_nth(o->ctx);
	bool away;

	pthread_mutex_lock(&b->lock);
	away = b->many_away & 1u << nth;
	for (unsigned i = 0; i < n && !away; i++) {
		unsigned ids = frames[i]->len / 8;

		if (frames[i]->recs && b->many_n[nth] + ids <= KEPT / 64)
			memcpy(b->many_got[nth] + b->many_n[nth], frames[i]->p, ids * 8);
		b->many_n[nth] += frames[i]->recs;
	}
	pthread_mutex_unlock(&b->lock);
	*ret_taken = away ? 0 : n;
	return away ? ctf_fail(err, EIO, "told so"), CTF_RETRY : CTF_SENT;
}

int
box_reopen(void *sink, struct ctf_err *err)
{
	struct box *b = box_of(sink);

	pthread_mutex_lock(&b->lock);
	b->reopens++;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

void
box_close(void *sink)
{
	struct box *b = box_of(sink);

	pthread_mutex_lock(&b->lock);
	b->closes++;
	if (b->close)
		b->close(b);
	pthread_mutex_unlock(&b->lock);
}
