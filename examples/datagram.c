/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DATAGRAM: "source destination bytes" of each flow, some lines to a UDP datagram. */
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctflow/plugin.h>

#define SIZE 1400u /* what fits into a packet */

struct conf {
	const char *host, *port;
};

struct encoder {
	struct ctf_obj obj; /* first: the core fills it in */
	ctf_ref src, dst, orig, reply;
};

struct sink {
	struct ctf_obj obj;
	int fd;
};

static const struct ctf_opt opts[] = {
	{ "host", CTF_OTEXT, offsetof(struct conf, host), 1, 255, "localhost", NULL,
	  "name or address lines are sent to" },
	{ "port", CTF_OTEXT, offsetof(struct conf, port), 1, 32, NULL, NULL, "UDP port there" },
	{ NULL },
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_REQUIRED, offsetof(struct encoder, src) },
	{ "orig.ip.daddr", CTF_REQUIRED, offsetof(struct encoder, dst) },
	{ "orig.raw.pktlen", CTF_REQUIRED, offsetof(struct encoder, orig) },
	{ "reply.raw.pktlen", CTF_REQUIRED, offsetof(struct encoder, reply) },
	{ NULL },
};

/* ---- the encoder: main thread, never waits ---- */

static int
setup(void *self, struct ctf_err *err)
{
	struct encoder *e = self;

	ctf_frames(e->obj.ctx, SIZE, false);
	return 0;
}

static enum ctf_put
encode(void *self, const struct ctf_rec *r, struct ctf_frame *f)
{
	const struct encoder *e = self;
	char line[2 * CTF_FMT_IP + CTF_FMT_NUM + 3], *p = line;

	if (!ctf_has(r, e->src) || !ctf_has(r, e->dst))
		return CTF_SKIP;
	p = ctf_fmt_ip(p, r->v[e->src].ip, r->family);
	*p++ = ' ';
	p = ctf_fmt_ip(p, r->v[e->dst].ip, r->family);
	*p++ = ' ';
	p = ctf_fmt_num(p, ctf_num_or(r, e->orig, 0) + ctf_num_or(r, e->reply, 0));
	*p++ = '\n';
	return ctf_frame_put(f, line, (size_t)(p - line)) ? CTF_OK : CTF_FULL;
}

/* ---- the sink: a thread of its own, may wait and fail ---- */

static int
dial(const struct addrinfo *list)
{
	int fd = -1;

	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			close(fd);
			fd = -1;
		}
	}
	return fd;
}

static int
open_socket(void *self, int *ret_err, struct ctf_err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct sink *s = self;
	const struct conf *c = s->obj.conf;
	struct addrinfo *list;
	int r = getaddrinfo(c->host, c->port, &hints, &list);

	s->fd = -1;
	if (r == 0) {
		s->fd = dial(list);
		freeaddrinfo(list);
	}
	if (s->fd < 0) { /* asked again later; *ret_err is not "wrong configuration" */
		*ret_err = EHOSTUNREACH;
		ctf_fail(err, EHOSTUNREACH, "cannot reach %s port %s: %s", c->host, c->port,
			 r ? gai_strerror(r) : strerror(errno));
	}
	return -1; /* nothing to watch */
}

static enum ctf_sent
deliver(void *self, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken,
	struct ctf_err *err)
{
	const struct sink *s = self;

	for (unsigned i = 0; i < n; i++) {
		/* "Refused" is the answer to an earlier one, that nobody listens. */
		if (send(s->fd, f[i]->p, f[i]->len, MSG_NOSIGNAL) < 0) {
			ctf_fail(err, errno, "cannot send: %s", strerror(errno));
			*ret_taken = i;
			return CTF_RETRY;
		}
	}
	*ret_taken = n;
	return CTF_SENT;
}

static void
close_socket(void *self)
{
	struct sink *s = self;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

CTF_PLUGIN(datagram) = {
	.abi = CTF_ABI,
	.role = CTF_OUTPUT,
	.name = "DATAGRAM",
	.doc = "source, destination and bytes of each flow in UDP datagrams",
	.opts = opts,
	.reads = reads,
	.conf_size = sizeof(struct conf),
	.size = sizeof(struct encoder),
	.sink_size = sizeof(struct sink),
	.setup = setup,
	.encode = encode,
	.open = open_socket,
	.deliver = deliver,
	.close = close_socket,
};
