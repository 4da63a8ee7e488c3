/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ct_entry.c - of an entry of the table: its age, its id, and how to ask for it. */
#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "ct_decode.h"

/* Calls see() for each attribute of n bytes; -EBADMSG: they do not add up. */
static int
each(const uint8_t *p, size_t n, int (*see)(struct ct_entry *, unsigned, struct ct_attr),
     struct ct_entry *e)
{
	size_t step;

	for (; n; p += step, n -= step) {
		struct nlattr nla;
		int r;

		if (n < NLA_HDRLEN)
			return -EBADMSG;
		memcpy(&nla, p, sizeof(nla));
		if (nla.nla_len < NLA_HDRLEN || nla.nla_len > n)
			return -EBADMSG;
		r = see(e, nla.nla_type & NLA_TYPE_MASK, (struct ct_attr){ p, nla.nla_len });
		if (r < 0)
			return r;
		step = NLA_ALIGN((size_t)nla.nla_len);
		if (step > n)
			step = n;
	}
	return 0;
}

static int
see_time(struct ct_entry *e, unsigned type, struct ct_attr a)
{
	if (type != CTA_TIMESTAMP_START)
		return 0;
	if (a.len != NLA_HDRLEN + sizeof(e->start_ns))
		return -EBADMSG;
	memcpy(&e->start_ns, a.p + NLA_HDRLEN, sizeof(e->start_ns));
	e->start_ns = be64toh(e->start_ns);
	return 0;
}

static int
see(struct ct_entry *e, unsigned type, struct ct_attr a)
{
	switch (type) {
	case CTA_TUPLE_ORIG:
		e->tuple = a;
		return 0;
	case CTA_ZONE:
		e->zone = a;
		return 0;
	case CTA_TIMESTAMP:
		return each(a.p + NLA_HDRLEN, a.len - NLA_HDRLEN, see_time, e);
	case CTA_ID:
		if (a.len != NLA_HDRLEN + sizeof(e->id))
			return -EBADMSG;
		memcpy(&e->id, a.p + NLA_HDRLEN, sizeof(e->id));
		e->id = be32toh(e->id);
	}
	return 0;
}

int
ct_entry(const void *msg, size_t len, struct ct_entry *ret_entry)
{
	const size_t head = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	const uint8_t *p = msg;
	struct ct_entry e = { 0 };
	struct nlmsghdr nlh;
	int r;

	if (len < NLMSG_HDRLEN)
		return -EBADMSG;
	memcpy(&nlh, p, sizeof(nlh));
	if (nlh.nlmsg_len < NLMSG_HDRLEN || nlh.nlmsg_len > len)
		return -EBADMSG;
	if (nlh.nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return 0;
	if (nlh.nlmsg_len < head)
		return -EBADMSG;
	e.family = p[NLMSG_HDRLEN];
	r = each(p + head, nlh.nlmsg_len - head, see, &e);
	if (r < 0 || !e.tuple.p)
		return -EBADMSG;
	*ret_entry = e;
	return 1;
}
