/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_ask.c - flows of a sweep, each by a request of its own.
 *
 * An entry of a dump may have ended by the time it is read, and its DESTROY
 * have been read before it.  The answer to a request is about a flow that
 * lives, and its end comes later.  Counters are set back in this way alone: a
 * dump that does so loses those of the entry that does not fit into a message.
 */
#include "nfct.h"

#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define WANTED_BUFFER (1 << 20)
#define CHARGE 16384u /* an answer takes no more of the buffer, whatever the page size */
#define OVERRUNS 8u   /* in a row before an answer is given up */

int
nfct_ask_open(struct nfct *s, struct ctf_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int64_t got;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		int errnum = errno;

		if (fd >= 0)
			close(fd);
		return ctf_fail(err, errnum, "no netlink socket: %s", strerror(errnum));
	}
	got = nfct_events_buffer(fd, WANTED_BUFFER);
	s->sweep.ask = fd;
	s->sweep.ask_max = got > CHARGE ? (unsigned)((uint64_t)got / CHARGE) : 1;
	if (s->sweep.ask_max > NFCT_ASK_MAX)
		s->sweep.ask_max = NFCT_ASK_MAX;
	return 0;
}

static void
put_attr(struct nfct_ask *a, struct ct_attr attr)
{
	size_t size = NLA_ALIGN(attr.len);

	if (!attr.p)
		return;
	memset(a->p + a->len, 0, size);
	memcpy(a->p + a->len, attr.p, attr.len);
	a->len += size;
}

int
nfct_ask_add(struct nfct *s, struct nfct_ask *a, const struct ct_entry *e, bool zero)
{
	const size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	size_t size = head + NLA_ALIGN(e->tuple.len) + NLA_ALIGN(e->zone.len);
	struct nlmsghdr nlh = { .nlmsg_len = (uint32_t)size,
				.nlmsg_flags = NLM_F_REQUEST,
				.nlmsg_seq = ++s->sweep.seq };
	struct nfgenmsg nfg = { .nfgen_family = e->family, .version = NFNETLINK_V0 };
	unsigned type = zero ? IPCTNL_MSG_CT_GET_CTRZERO : IPCTNL_MSG_CT_GET;

	if (size > NFCT_ASK_SIZE || a->n == NFCT_ASK_MAX)
		return -EMSGSIZE;
	nlh.nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	if (a->n++ == 0)
		a->first = nlh.nlmsg_seq;
	memcpy(a->p + a->len, &nlh, sizeof(nlh));
	memcpy(a->p + a->len + NLMSG_HDRLEN, &nfg, sizeof(nfg));
	a->len += head;
	put_attr(a, e->tuple);
	put_attr(a, e->zone);
	return 0;
}

/*
 * Another flow may have taken the tuple since the dump.  It is too young for
 * the sweep; but what was set back to 0 has to be told.
 */
static void
make_records(struct nfct *s, struct ctf_batch *b, const uint8_t *msg, size_t len, uint64_t now)
{
	const struct ctf_sweep *about = &s->sweep.about;
	unsigned kinds = s->sweep.kinds;
	struct ct_entry e;

	if (ct_entry(msg, len, &e) != 1)
		return;
	if (e.start_ns > about->at_ns - about->min_age_ns)
		kinds &= 1u << CTF_DELTA;
	for (unsigned kind = CTF_PRESENCE; kind < CTF_KINDS; kind++) {
		struct ctf_rec *rec = kinds >> kind & 1 ? ctf_batch_add(b) : NULL;

		if (!rec)
			continue;
		if (ct_decode_live(&s->in, msg, len, now, kind, rec) == 1)
			s->sweep.records++;
		else
			ctf_batch_drop(b);
	}
}

/* Whether there is an answer, of which flow: an index below n. */
static bool
is_answer(const struct nfct_ask *a, const uint8_t *msg, size_t len, unsigned *ret_index,
	  int *ret_error)
{
	struct nlmsghdr nlh;
	int32_t error = 0;

	if (len < sizeof(nlh))
		return false;
	memcpy(&nlh, msg, sizeof(nlh));
	if (nlh.nlmsg_seq - a->first >= a->n || nlh.nlmsg_len > len)
		return false;
	if (nlh.nlmsg_type == NLMSG_ERROR) {
		if (nlh.nlmsg_len < NLMSG_HDRLEN + sizeof(error))
			return false;
		memcpy(&error, msg + NLMSG_HDRLEN, sizeof(error));
	}
	*ret_index = nlh.nlmsg_seq - a->first;
	*ret_error = error;
	return true;
}

/* The kernel has answered all of it before send() returned. */
static unsigned
read_answers(struct nfct *s, const struct nfct_ask *a, struct ctf_batch *b, uint64_t now,
	     int *ret_refused)
{
	uint8_t *msg = s->sweep.answers;
	unsigned open = a->n, lost = 0, overruns = 0;
	uint32_t answered = 0;

	while (open && overruns < OVERRUNS) {
		ssize_t len = recv(s->sweep.ask, msg, NFCT_ANSWER_SIZE, 0);
		unsigned i;
		int error;

		if (len < 0 && errno == EAGAIN)
			break;
		if (len < 0) {
			overruns++;
			continue;
		}
		if (!is_answer(a, msg, (size_t)len, &i, &error) || answered >> i & 1)
			continue;
		answered |= UINT32_C(1) << i;
		open--;
		if (error == -EPERM || error == -EINVAL || error == -EOPNOTSUPP)
			*ret_refused = error;
		else if (error && error != -ENOENT) /* it has ended meanwhile */
			lost++;
		if (error)
			continue;
		make_records(s, b, msg, (size_t)len, now);
		msg += NFCT_ANSWER_SIZE; /* the record may borrow from it */
	}
	return lost + open;
}

int
nfct_ask_go(struct nfct *s, struct nfct_ask *a, struct ctf_batch *b, uint64_t now)
{
	int refused = 0;

	if (a->n == 0)
		return 0;
	if (send(s->sweep.ask, a->p, a->len, 0) < 0)
		return -errno;
	s->sweep.lost += read_answers(s, a, b, now, &refused);
	return refused;
}
