/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SLOWSTART: an input whose start() takes `seconds`, and that hears nothing. */
#include <ctflow/plugin.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slow {
	struct ctf_obj obj;
	int fd;
};

struct conf {
	uint64_t seconds;
};

static const struct ctf_opt opts[] = {
	{ "seconds", CTF_OUINT, offsetof(struct conf, seconds), 0, 60, "0", NULL, "to sleep" },
	{ NULL },
};

static const struct ctf_port writes[] = { { NULL } };

static int
start(void *self, struct ctf_err *err)
{
	struct slow *s = self;
	const struct conf *c = s->obj.conf;
	unsigned left = (unsigned)c->seconds;

	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		return ctf_fail(err, errno, "no eventfd");
	while (left)
		left = sleep(left);
	return 0;
}

static int
pollable(void *self)
{
	return ((struct slow *)self)->fd;
}

static int
nothing(void *self, struct ctf_batch *b)
{
	return CTF_READ_IDLE;
}

static void
stop(void *self)
{
	close(((struct slow *)self)->fd);
}

CTF_PLUGIN(slowstart) = {
	.abi = CTF_ABI,
	.role = CTF_INPUT,
	.name = "SLOWSTART",
	.doc = "starts slowly",
	.opts = opts,
	.writes = writes,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct slow),
	.start = start,
	.fd = pollable,
	.read = nothing,
	.stop = stop,
};
