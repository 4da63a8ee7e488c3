/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_nft.c - rules that keep packets from conntrack, or counts from flows. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "../input/nfct_host.h"
#include "doctor.h"
#include "doctor_nft.h"

#define PATIENCE 2 /* seconds, for one answer */
#define CT_NOTRACK 1u

static int
netfilter_socket(void)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* ---- one message ------------------------------------------------------------------------ */

static void
take_text(const struct nlattr *attr, char *to, size_t size)
{
	snprintf(to, size, "%.*s", (int)mnl_attr_get_payload_len(attr),
		 (const char *)mnl_attr_get_payload(attr));
}

static uint32_t
be32(const struct nlattr *attr)
{
	uint32_t x = 0;

	if (mnl_attr_get_payload_len(attr) == sizeof(x))
		memcpy(&x, mnl_attr_get_payload(attr), sizeof(x));
	return ntohl(x);
}

static int
see_hook(const struct nlattr *attr, void *data)
{
	struct dr_flowtable *t = data;

	if (mnl_attr_get_type(attr) == NFTA_FLOWTABLE_HOOK_PRIORITY)
		t->priority = (int32_t)be32(attr);
	return MNL_CB_OK;
}

static int
see_flowtable_attr(const struct nlattr *attr, void *data)
{
	struct dr_flowtable *t = data;

	switch (mnl_attr_get_type(attr)) {
	case NFTA_FLOWTABLE_TABLE:
		take_text(attr, t->table, sizeof(t->table));
		break;
	case NFTA_FLOWTABLE_NAME:
		take_text(attr, t->name, sizeof(t->name));
		break;
	case NFTA_FLOWTABLE_FLAGS:
		t->flags = be32(attr);
		break;
	case NFTA_FLOWTABLE_HOOK:
		(void)mnl_attr_parse_nested(attr, see_hook, t);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static const char *
family_word(uint8_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_NETDEV:
		return "netdev";
	default:
		return "inet";
	}
}

/* The family, or NULL when it is not that kind of message. */
static const char *
family_of(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | type) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg))
		return NULL;
	return family_word(nfg->nfgen_family);
}

bool
dr_see_flowtable(const void *nlh, struct dr_flowtable *ret)
{
	struct dr_flowtable t = { .family = family_of(nlh, NFT_MSG_NEWFLOWTABLE) };

	if (!t.family)
		return false;
	(void)mnl_attr_parse(nlh, sizeof(struct nfgenmsg), see_flowtable_attr, &t);
	*ret = t;
	return *t.name != '\0';
}

/* An expression: its name, and what iptables' own way of saying it is. */
struct expr {
	char name[32], target[32];
	bool notrack;
};

static int
see_target(const struct nlattr *attr, void *data)
{
	struct expr *e = data;
	uint16_t flags = 0;

	if (mnl_attr_get_type(attr) == NFTA_TARGET_NAME)
		take_text(attr, e->target, sizeof(e->target));
	if (mnl_attr_get_type(attr) == NFTA_TARGET_INFO &&
	    mnl_attr_get_payload_len(attr) >= sizeof(flags)) {
		memcpy(&flags, mnl_attr_get_payload(attr), sizeof(flags));
		e->notrack = flags & CT_NOTRACK;
	}
	return MNL_CB_OK;
}

static int
see_expr_attr(const struct nlattr *attr, void *data)
{
	struct expr *e = data;

	if (mnl_attr_get_type(attr) == NFTA_EXPR_NAME)
		take_text(attr, e->name, sizeof(e->name));
	if (mnl_attr_get_type(attr) == NFTA_EXPR_DATA && strcmp(e->name, "target") == 0)
		(void)mnl_attr_parse_nested(attr, see_target, e);
	return MNL_CB_OK;
}

static bool
is_notrack(const struct expr *e)
{
	if (strcmp(e->name, "notrack") == 0)
		return true;
	return strcmp(e->name, "target") == 0 && (strcmp(e->target, "NOTRACK") == 0 ||
						  (strcmp(e->target, "CT") == 0 && e->notrack));
}

static int
see_rule_attr(const struct nlattr *attr, void *data)
{
	struct dr_rule *r = data;
	const struct nlattr *one;
	uint64_t handle;

	switch (mnl_attr_get_type(attr)) {
	case NFTA_RULE_TABLE:
		take_text(attr, r->table, sizeof(r->table));
		break;
	case NFTA_RULE_CHAIN:
		take_text(attr, r->chain, sizeof(r->chain));
		break;
	case NFTA_RULE_HANDLE:
		if (mnl_attr_get_payload_len(attr) == sizeof(handle)) {
			memcpy(&handle, mnl_attr_get_payload(attr), sizeof(handle));
			r->handle = be64toh(handle);
		}
		break;
	case NFTA_RULE_EXPRESSIONS:
		mnl_attr_for_each_nested(one, attr)
		{
			struct expr e = { .name = "" };

			(void)mnl_attr_parse_nested(one, see_expr_attr, &e);
			r->notrack |= is_notrack(&e);
		}
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

bool
dr_see_rule(const void *nlh, struct dr_rule *ret)
{
	struct dr_rule r = { .family = family_of(nlh, NFT_MSG_NEWRULE) };

	if (!r.family)
		return false;
	(void)mnl_attr_parse(nlh, sizeof(struct nfgenmsg), see_rule_attr, &r);
	*ret = r;
	return r.notrack;
}

/* ---- dumps -------------------------------------------------------------------------------- */

static int
dump(uint16_t type, mnl_cb_t each, void *data)
{
	char buf[16384] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int r = -1, fd = netfilter_socket();

	if (fd < 0)
		return -errno;
	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct nfgenmsg));
	if (send(fd, nlh, nlh->nlmsg_len, 0) >= 0)
		do {
			ssize_t len = recv(fd, buf, sizeof(buf), 0);

			r = len < 0 ? -1 : mnl_cb_run(buf, (size_t)len, 0, 0, each, data);
		} while (r > MNL_CB_STOP);
	r = r < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* A question would load nf_tables where nobody uses it. */
static bool
ask(struct doctor *d, uint16_t type, mnl_cb_t each)
{
	int r = nfct_has_nf_tables() ? dump(type, each, d) : 0;

	if (r < 0)
		dr_unread(d, "nftables: %s%s", strerror(-r),
			  r == -EPERM ? " (needs root)" : "");
	return r == 0;
}

void
dr_tell_flowtable(struct doctor *d, const struct dr_flowtable *t)
{
	char word[DR_WORD], text[700];

	if (t->flags & NFT_FLOWTABLE_HW_OFFLOAD) {
		dr_find(d, DR_NOTE, "offload-hardware",
			"flowtable %s %s %s forwards in hardware: counts come from the card, "
			"late "
			"or not at all",
			t->family, t->table, t->name);
		dr_fix(d,
		       "{ echo flush ruleset; %snft -s list ruleset | sed '/flowtable %s "
		       "{/,/}/s/"
		       "flags offload//'; } | %snft -f -",
		       d->inside, t->name, d->inside);
	} else if (!(t->flags & NFT_FLOWTABLE_COUNTER)) {
		snprintf(text, sizeof(text),
			 "add flowtable %s %s %s { hook ingress priority %d; counter; }",
			 t->family, t->table, t->name, t->priority);
		dr_find(d, DR_WARNING, "offload",
			"flowtable %s %s %s does not count: connections have no packets and "
			"bytes "
			"from the moment they are offloaded",
			t->family, t->table, t->name);
		dr_fix(d, "%snft %s", d->inside, dr_word(word, text));
	}
}

static int
each_flowtable(const struct nlmsghdr *nlh, void *data)
{
	struct dr_flowtable t;

	if (dr_see_flowtable(nlh, &t))
		dr_tell_flowtable(data, &t);
	return MNL_CB_OK;
}

void
dr_check_offload(struct doctor *d)
{
	(void)ask(d, NFT_MSG_GETFLOWTABLE, each_flowtable);
}

static int
each_rule(const struct nlmsghdr *nlh, void *data)
{
	struct doctor *d = data;
	struct dr_rule r;
	char table[DR_WORD], chain[DR_WORD];

	if (!dr_see_rule(nlh, &r))
		return MNL_CB_OK;
	dr_find(d, DR_NOTE, "notrack",
		"a rule in %s %s %s keeps packets from conntrack (notrack): what it matches is "
		"not "
		"recorded",
		r.family, r.table, r.chain);
	dr_fix(d, "%snft delete rule %s %s %s handle %llu", d->inside, r.family,
	       dr_word(table, r.table), dr_word(chain, r.chain), (unsigned long long)r.handle);
	return MNL_CB_OK;
}

void
dr_check_notrack(struct doctor *d)
{
	(void)ask(d, NFT_MSG_GETRULE, each_rule);
}
