/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hand-over of LIVE, and how TAG begins and ends. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fakes.h"

static int
leave_huge(struct ctf_legacy *to, size_t n)
{
	void *p = calloc(1, n);
	int ret;

	ck_assert_ptr_nonnull(p);
	ret = ctf_leave_bytes(to, "huge", p, n);
	free(p);
	return ret;
}

int
box_hand_over(struct box *b, struct ctf_legacy *to)
{
	int ret = ctf_leave_bytes(to, "fed", &b->fed, sizeof(b->fed));

	b->hands++;
	if (!ret && b->hand_huge)
		ret = leave_huge(to, b->hand_huge);
	if (ret)
		return ret;
	if (b->hand_agains) {
		b->hand_agains--;
		return -EAGAIN;
	}
	return -b->hand_errno;
}

void
box_inherit(struct box *b, struct ctf_ctx *ctx)
{
	const void *p;
	size_t n;
	int fd;

	if (ctf_inherit_bytes(ctx, "fed", &p, &n) == 0 && n == sizeof(b->inherited))
		memcpy(&b->inherited, p, n);
	if (ctf_inherit_fd(ctx, "event", &fd) == 0) {
		b->inherited_fd = true;
		close(fd);
	} else {
		ctf_keep_fd(ctx, "event", b->event_fd);
	}
}

bool
box_ready(void *filter)
{
	struct box *b = box_of(filter);

	return !b || !atomic_load(&b->tag_late);
}

bool
box_drain(void *filter, bool now)
{
	struct box *b = box_of(filter);

	return !b || !atomic_load(&b->tag_stays);
}
