/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_policy.c - timeouts that rules give to some flows.
 *
 * An entry does not say which timeout it has.  So where such an object exists
 * for its protocol the timeout is one of a range, and the last packet was not
 * later than the shortest of them says.
 */
#include "nfct.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>

#define MODULE "/sys/module/"

/* An object is one of nft's or of nfct's; what it holds has the same form. */
struct source {
	uint8_t subsys, get;
	const char *module; /* that answers */
	uint16_t data;      /* attribute with the object's own; 0: not nested */
	uint16_t proto, timeouts;
};

static const struct source sources[] = {
	{ NFNL_SUBSYS_NFTABLES, NFT_MSG_GETOBJ, MODULE "nf_tables", NFTA_OBJ_DATA,
	  NFTA_CT_TIMEOUT_L4PROTO, NFTA_CT_TIMEOUT_DATA },
	{ NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_GET, MODULE "nfnetlink_cttimeout",
	  0, CTA_TIMEOUT_L4PROTO, CTA_TIMEOUT_DATA },
};

/* Asking loads the module; who has not needed it has no such object. */
static bool
may_ask(const struct source *src)
{
	return access(src->module, F_OK) == 0 ||
	       access(MODULE "nf_conntrack_netlink", F_OK) != 0;
}

struct answer {
	const struct source *src;
	struct ct_times *times;
};

static int
see_timeout(const struct nlattr *attr, void *data)
{
	struct ct_policy *p = data;
	uint32_t sec;

	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return MNL_CB_OK;
	sec = ntohl(mnl_attr_get_u32(attr));
	p->min = p->min < sec ? p->min : sec;
	p->max = p->max > sec ? p->max : sec;
	return MNL_CB_OK;
}

struct found {
	const struct source *src;
	const struct nlattr *proto, *timeouts;
};

static int
see_part(const struct nlattr *attr, void *data)
{
	struct found *f = data;

	if (mnl_attr_get_type(attr) == f->src->proto &&
	    mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
		f->proto = attr;
	if (mnl_attr_get_type(attr) == f->src->timeouts)
		f->timeouts = attr;
	return MNL_CB_OK;
}

static int
see_nested(const struct nlattr *attr, void *data)
{
	struct found *f = data;

	if (mnl_attr_get_type(attr) == f->src->data)
		return mnl_attr_parse_nested(attr, see_part, f);
	return MNL_CB_OK;
}

static int
see_object(const struct nlmsghdr *nlh, void *data)
{
	const struct answer *a = data;
	struct found f = { .src = a->src };
	struct ct_policy p = { .min = UINT32_MAX };

	(void)mnl_attr_parse(nlh, sizeof(struct nfgenmsg), a->src->data ? see_nested : see_part,
			     &f);
	if (!f.proto || !f.timeouts)
		return MNL_CB_OK;
	p.proto = mnl_attr_get_u8(f.proto);
	(void)mnl_attr_parse_nested(f.timeouts, see_timeout, &p);
	if (p.max)
		ct_times_policy(a->times, &p);
	return MNL_CB_OK;
}

static int
send_get(struct nfct *s, const struct source *src)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (uint16_t)(src->subsys << 8 | src->get);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++s->sweep.seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->version = NFNETLINK_V0;
	if (src->subsys == NFNL_SUBSYS_NFTABLES)
		mnl_attr_put_u32(nlh, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_CT_TIMEOUT));
	return send(s->sweep.ask, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The kernel makes each part of the dump before recv() returns. */
static void
read_objects(struct nfct *s, const struct source *src, struct ct_times *times)
{
	char buf[16384] __attribute__((aligned(8)));
	struct answer a = { src, times };
	int r = MNL_CB_OK;

	while (r > MNL_CB_STOP) {
		ssize_t len = recv(s->sweep.ask, buf, sizeof(buf), 0);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return;
		r = mnl_cb_run(buf, (size_t)len, s->sweep.seq, 0, see_object, &a);
	}
}

void
nfct_policy_read(struct nfct *s, struct ct_times *t)
{
	struct ct_times fresh = *t;
	bool asked = true;

	fresh.npolicies = 0;
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		if (!may_ask(&sources[i]))
			continue;
		if (send_get(s, &sources[i]) == 0)
			read_objects(s, &sources[i], &fresh);
		else
			asked = false;
	}
	if (asked) /* else what was known of them still holds */
		*t = fresh;
}
