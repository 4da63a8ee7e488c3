/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_table.c - reads a dump of the table, a buffer at a time.
 *
 * The kernel makes the next 32 KiB when the last were taken.  Nothing is
 * remembered of the flows but the last few, since it begins a bucket anew when
 * the entry it stopped at has gone.
 */
#include "nfct.h"

#include <errno.h>
#include <sys/socket.h>
#include <linux/netlink.h>

void
nfct_sweep_break(struct nfct_sweep *w, int error)
{
	w->error = error;
	w->ended = true;
	w->at = w->len;
}

/* True: it was among the last ones. */
static bool
is_repeat(struct nfct_sweep *w, const struct ct_entry *e)
{
	uint64_t key = (e->start_ns ^ (uint64_t)e->id << 32 ^ e->id) | 1;
	bool hit = false;

	for (unsigned i = 0; i < NFCT_RING; i++)
		hit |= w->ring[i] == key;
	if (!hit)
		w->ring[w->nring++ % NFCT_RING] = key;
	return hit;
}

/* Old enough for it. */
static bool
is_meant(const struct nfct_sweep *w, const struct ct_entry *e)
{
	return w->now == NFCT_SHOW || e->start_ns <= w->about.at_ns - w->about.min_age_ns;
}

/* 1: taken, whatever became of it; 0: no room. */
static int
take(struct nfct *s, struct ctf_batch *b, struct nfct_ask *a, const uint8_t *msg, size_t len,
     uint64_t now)
{
	struct nfct_sweep *w = &s->sweep;
	bool single = w->kinds & NFCT_SINGLE, record = w->kinds && !single;
	enum ctf_kind kind = w->kinds == 1u << CTF_PRESENCE ? CTF_PRESENCE : CTF_EVENT;
	struct ctf_rec *rec = ctf_batch_add(b);
	struct ct_entry e;

	if (!rec)
		return 0;
	if (ct_entry(msg, len, &e) != 1 || !is_meant(w, &e) || is_repeat(w, &e) ||
	    ct_decode_live(&s->in, msg, len, now, kind, rec) != 1 || !nfct_selected(s, rec)) {
		ctf_batch_drop(b);
		return 1;
	}
	w->entries++;
	w->old += e.start_ns <= w->bound_ns;
	if (record)
		w->records++;
	else
		ctf_batch_drop(b);
	if (single && nfct_ask_add(s, a, &e, w->about.delta) < 0)
		w->error = -EMSGSIZE;
	return 1;
}

/* How many flows can be asked for, so that all the records fit. */
static unsigned
asks_fit(const struct nfct_sweep *w, struct ctf_batch *b)
{
	unsigned n = 0, each = w->kinds & 1u << CTF_PRESENCE ? 2 : 1;

	while (n < w->ask_max * each && ctf_batch_add(b))
		n++;
	for (unsigned i = 0; i < n; i++)
		ctf_batch_drop(b);
	return n / each;
}

/* The end of the dump, and how it ended. */
static void
see_end(struct nfct_sweep *w, const uint8_t *msg, size_t len)
{
	int32_t error = 0;

	if (len >= NLMSG_HDRLEN + sizeof(error))
		memcpy(&error, msg + NLMSG_HDRLEN, sizeof(error));
	if (error < 0)
		nfct_sweep_break(w, error);
	w->ended = true;
	w->at = w->len;
}

/* One message of the buffer: 1, or 0: the batch or the dump is at its end. */
static int
read_message(struct nfct *s, struct ctf_batch *b, struct nfct_ask *a, uint64_t now)
{
	struct nfct_sweep *w = &s->sweep;
	const uint8_t *msg = w->buf + w->at;
	size_t left = w->len - w->at, step;
	struct nlmsghdr nlh;

	memcpy(&nlh, msg, left < sizeof(nlh) ? left : sizeof(nlh));
	if (left < sizeof(nlh) || nlh.nlmsg_len < sizeof(nlh) || nlh.nlmsg_len > left) {
		nfct_sweep_break(w, -EBADMSG);
		return 0;
	}
	if (nlh.nlmsg_seq == w->dump_seq) {
		if (nlh.nlmsg_flags & NLM_F_DUMP_INTR)
			w->error = -EINTR;
		if (nlh.nlmsg_type == NLMSG_DONE || nlh.nlmsg_type == NLMSG_ERROR) {
			see_end(w, msg, nlh.nlmsg_len);
			return 0;
		}
		if (!take(s, b, a, msg, nlh.nlmsg_len, now))
			return 0;
	}
	step = NLMSG_ALIGN(nlh.nlmsg_len);
	w->at += step < left ? step : left;
	return 1;
}

/* Reads on in the buffer until it or the batch is at its end. */
static void
read_buffer(struct nfct *s, struct ctf_batch *b)
{
	struct nfct_sweep *w = &s->sweep;
	bool single = w->kinds & NFCT_SINGLE;
	unsigned fit = single ? asks_fit(w, b) : 0;
	struct nfct_ask a = { .n = 0 };
	uint64_t now = ctf_now();
	int r;

	while (w->at < w->len && (!single || a.n < fit) && read_message(s, b, &a, now))
		;
	r = nfct_ask_go(s, &a, b, now);
	if (r < 0)
		nfct_sweep_break(w, r);
}

/* 1: the buffer has something; 0: there is nothing yet. */
static int
receive(struct nfct_sweep *w)
{
	ssize_t len = recv(w->fd, w->buf, NFCT_DUMP_SIZE, MSG_TRUNC);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0 || len > (ssize_t)NFCT_DUMP_SIZE) {
		nfct_sweep_break(w, len < 0 ? -errno : -EMSGSIZE);
		return 1;
	}
	w->at = 0;
	w->len = (size_t)len;
	return 1;
}

int
nfct_sweep_read(struct nfct *s, struct ctf_batch *b)
{
	struct nfct_sweep *w = &s->sweep;

	if (w->at == w->len && !receive(w))
		return CTF_READ_IDLE;
	nfct_times_look(s, ctf_now());
	read_buffer(s, b);
	return w->at < w->len ? CTF_READ_MORE : CTF_READ_IDLE;
}
