/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder against libnetfilter_conntrack, field by field, on recorded and
 * on random messages, and against itself with fewer fields wanted.  Only
 * well-formed messages: the library ends the process on others.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "ct_random.h"
#include "pcap.h"
#include "unit.h"

#define ROUNDS 4000u

enum how { N8, N16, N32, N64, B16, B32, IP, STR, LABELS };

/* B16, B32: the library keeps them in network order. */
static const struct pair {
	const char *name;
	enum how how;
	int attr, attr6; /* of IPv6, if it is another one */
	unsigned protos; /* bits of class(); 0: all */
} pairs[] = {
	{ "orig.ip.saddr", IP, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, 0 },
	{ "orig.ip.daddr", IP, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, 0 },
	{ "reply.ip.saddr", IP, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, 0 },
	{ "reply.ip.daddr", IP, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, 0 },
	{ "master.ip.saddr", IP, ATTR_MASTER_IPV4_SRC, ATTR_MASTER_IPV6_SRC, 0 },
	{ "master.ip.daddr", IP, ATTR_MASTER_IPV4_DST, ATTR_MASTER_IPV6_DST, 0 },
	{ "orig.ip.protocol", N8, ATTR_ORIG_L4PROTO, -1, 0 },
	{ "reply.ip.protocol", N8, ATTR_REPL_L4PROTO, -1, 0 },
	{ "master.ip.protocol", N8, ATTR_MASTER_L4PROTO, -1, 0 },
	{ "orig.l4.sport", B16, ATTR_ORIG_PORT_SRC, -1, 1 },
	{ "orig.l4.dport", B16, ATTR_ORIG_PORT_DST, -1, 1 },
	{ "reply.l4.sport", B16, ATTR_REPL_PORT_SRC, -1, 1 },
	{ "reply.l4.dport", B16, ATTR_REPL_PORT_DST, -1, 1 },
	{ "master.l4.sport", B16, ATTR_MASTER_PORT_SRC, -1, 0 },
	{ "master.l4.dport", B16, ATTR_MASTER_PORT_DST, -1, 0 },
	{ "orig.gre.skey", B16, ATTR_ORIG_PORT_SRC, -1, 8 },
	{ "orig.gre.dkey", B16, ATTR_ORIG_PORT_DST, -1, 8 },
	{ "reply.gre.skey", B16, ATTR_REPL_PORT_SRC, -1, 8 },
	{ "reply.gre.dkey", B16, ATTR_REPL_PORT_DST, -1, 8 },
	{ "icmp.type", N8, ATTR_ICMP_TYPE, -1, 2 },
	{ "icmp.code", N8, ATTR_ICMP_CODE, -1, 2 },
	{ "icmpv6.type", N8, ATTR_ICMP_TYPE, -1, 4 },
	{ "icmpv6.code", N8, ATTR_ICMP_CODE, -1, 4 },
	{ "orig.icmp.id", B16, ATTR_ICMP_ID, -1, 6 },
	{ "orig.raw.pktcount", N64, ATTR_ORIG_COUNTER_PACKETS, -1, 0 },
	{ "orig.raw.pktlen", N64, ATTR_ORIG_COUNTER_BYTES, -1, 0 },
	{ "reply.raw.pktcount", N64, ATTR_REPL_COUNTER_PACKETS, -1, 0 },
	{ "reply.raw.pktlen", N64, ATTR_REPL_COUNTER_BYTES, -1, 0 },
	{ "ct.status", N32, ATTR_STATUS, -1, 0 },
	{ "ct.timeout", N32, ATTR_TIMEOUT, -1, 0 },
	{ "ct.mark", N32, ATTR_MARK, -1, 0 },
	{ "ct.use", N32, ATTR_USE, -1, 0 },
	{ "ct.id", N32, ATTR_ID, -1, 0 },
	{ "flow.start.ns", N64, ATTR_TIMESTAMP_START, -1, 0 },
	{ "flow.destroy.ns", N64, ATTR_TIMESTAMP_STOP, -1, 0 },
	{ "ct.tcp.state", N8, ATTR_TCP_STATE, -1, 0 },
	{ "ct.tcp.wscale.orig", N8, ATTR_TCP_WSCALE_ORIG, -1, 0 },
	{ "ct.tcp.wscale.reply", N8, ATTR_TCP_WSCALE_REPL, -1, 0 },
	{ "ct.tcp.flags.orig", N8, ATTR_TCP_FLAGS_ORIG, -1, 0 },
	{ "ct.tcp.flags.reply", N8, ATTR_TCP_FLAGS_REPL, -1, 0 },
	{ "ct.sctp.state", N8, ATTR_SCTP_STATE, -1, 0 },
	{ "ct.sctp.vtag.orig", N32, ATTR_SCTP_VTAG_ORIG, -1, 0 },
	{ "ct.sctp.vtag.reply", N32, ATTR_SCTP_VTAG_REPL, -1, 0 },
	{ "ct.dccp.state", N8, ATTR_DCCP_STATE, -1, 0 },
	{ "ct.dccp.role", N8, ATTR_DCCP_ROLE, -1, 0 },
	{ "ct.dccp.handshake", N64, ATTR_DCCP_HANDSHAKE_SEQ, -1, 0 },
	{ "ct.helper", STR, ATTR_HELPER_NAME, -1, 0 },
	{ "ct.secctx", STR, ATTR_SECCTX, -1, 0 },
	{ "ct.labels", LABELS, ATTR_CONNLABELS, -1, 0 },
};

static struct rig rig;
static struct msg m;

/* The printed seed replays a failure: CT_SEED=n. */
static uint64_t
seed(void)
{
	const char *s = getenv("CT_SEED");
	uint64_t x = s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL);

	printf("CT_SEED=%llu\n", (unsigned long long)x);
	return x;
}

static unsigned class(const struct nf_conntrack *ct)
{
	switch (nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO)) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 1;
	case IPPROTO_ICMP:
		return 2;
	case IPPROTO_ICMPV6:
		return 4;
	case IPPROTO_GRE:
		return 8;
	}
	return 0;
}

static bool
same_labels(const struct nf_conntrack *ct, const union ctf_val *v)
{
	const struct nfct_bitmask *b = nfct_get_attr(ct, ATTR_CONNLABELS);
	uint32_t word;

	if (v->s.len * 8 != nfct_bitmask_maxbit(b) + 1)
		return false;
	for (unsigned i = 0; i < v->s.len * 8; i++) {
		memcpy(&word, (const uint8_t *)v->s.p + i / 32 * 4, 4);
		if ((word >> i % 32 & 1) != (unsigned)nfct_bitmask_test_bit(b, i))
			return false;
	}
	return true;
}

static bool
same(const struct nf_conntrack *ct, enum how how, enum nf_conntrack_attr a,
     const union ctf_val *v)
{
	const char *text;

	switch (how) {
	case N8:
		return v->u == nfct_get_attr_u8(ct, a);
	case N16:
		return v->u == nfct_get_attr_u16(ct, a);
	case N32:
		return v->u == nfct_get_attr_u32(ct, a);
	case N64:
		return v->u == nfct_get_attr_u64(ct, a);
	case B16:
		return v->u == ntohs(nfct_get_attr_u16(ct, a));
	case B32:
		return v->u == ntohl(nfct_get_attr_u32(ct, a));
	case IP:
		return !memcmp(v->ip, nfct_get_attr(ct, a), rig.rec.family == AF_INET ? 4 : 16);
	case STR:
		text = nfct_get_attr(ct, a);
		return strlen(text) == v->s.len && !memcmp(text, v->s.p, v->s.len);
	case LABELS:
		return same_labels(ct, v);
	}
	return false;
}

static void
check_pair(const struct nf_conntrack *ct, const struct pair *p)
{
	int a = rig.rec.family == AF_INET6 && p->attr6 >= 0 ? p->attr6 : p->attr;
	bool theirs = nfct_attr_is_set(ct, (enum nf_conntrack_attr)a) > 0;

	if (p->protos && !(p->protos & class(ct)))
		theirs = false;
	ck_assert_msg(rig_has(&rig, p->name) == theirs, "%s is %s", p->name,
		      theirs ? "missing" : "there");
	if (theirs)
		ck_assert_msg(
			same(ct, p->how, (enum nf_conntrack_attr)a, rig_val(&rig, p->name)),
			"%s differs", p->name);
}

static void
check_zones(const struct nf_conntrack *ct)
{
	static const struct {
		const char *name;
		enum nf_conntrack_attr attr;
	} dirs[] = { { "ct.zone", ATTR_ORIG_ZONE }, { "ct.zone.reply", ATTR_REPL_ZONE } };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t want = UINT64_MAX;

		if (nfct_attr_is_set(ct, dirs[i].attr) > 0)
			want = nfct_get_attr_u16(ct, dirs[i].attr);
		if (nfct_attr_is_set(ct, ATTR_ZONE) > 0)
			want = nfct_get_attr_u16(ct, ATTR_ZONE);
		ck_assert_uint_eq(rig_num(&rig, dirs[i].name), want);
	}
}

static void
compare(const void *p, size_t len)
{
	struct nf_conntrack *ct = nfct_new();

	ck_assert_int_eq(rig_decode(&rig, p, len, 1, -1), 1);
	ck_assert_int_eq(nfct_nlmsg_parse(p, ct), 0);
	for (unsigned i = 0; i < COUNT(pairs); i++)
		check_pair(ct, &pairs[i]);
	check_zones(ct);
	nfct_destroy(ct);
}

START_TEST(random_messages)
{
	struct rnd r = { seed() };

	rig_init(&rig, NULL, NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		rnd_message(&r, &m);
		compare(m.p, m.len);
	}
}
END_TEST

/* Every recording of whole, well-formed messages; returns how many. */
static unsigned
compare_file(const char *path)
{
	struct pcap_reader *reader;
	struct pcap_msg msg;
	unsigned n = 0;

	ck_assert_int_eq(pcap_reader_open(path, &reader, NULL), 0);
	while (pcap_reader_next(reader, &msg, NULL) == 1) {
		int is = rig_decode(&rig, msg.p, msg.len, 1, -1);

		if (is == 1)
			compare(msg.p, msg.len);
		n += is == 1;
	}
	pcap_reader_close(reader);
	return n;
}

START_TEST(recorded_messages)
{
	const char *src = getenv("srcdir");
	char dir[4096], path[8192];
	unsigned n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/tests/replay/data", src ? src : ".");
	d = opendir(dir);
	ck_assert_msg(d != NULL, "%s", dir);
	rig_init(&rig, NULL, NULL);
	while ((e = readdir(d)) != NULL) {
		if (!strstr(e->d_name, ".pcap"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		n += compare_file(path);
	}
	closedir(d);
	ck_assert_uint_gt(n, 100);
}
END_TEST

/* A field does not depend on which others are wanted. */
static bool
some(unsigned i, void *arg)
{
	return rnd_one_in(arg, 3);
}

static bool
same_field(const struct ctf_rec *a, const struct ctf_rec *b, ctf_ref i)
{
	const char *name = ct_ports[i].name;

	if (ctf_has(a, i) != ctf_has(b, i))
		return false;
	if (!ctf_has(a, i))
		return true;
	if (strstr(name, ".ip.saddr") || strstr(name, ".ip.daddr"))
		return !memcmp(a->v[i].ip, b->v[i].ip, a->family == AF_INET ? 4 : 16);
	if (!strcmp(name, "ct.labels") || !strcmp(name, "ct.helper") ||
	    !strcmp(name, "ct.secctx") || !strcmp(name, "flow.end.kind"))
		return a->v[i].s.len == b->v[i].s.len &&
		       !memcmp(a->v[i].s.p, b->v[i].s.p, a->v[i].s.len);
	return a->v[i].u == b->v[i].u;
}

START_TEST(any_demand)
{
	static struct rig part;
	struct rnd r = { seed() };
	unsigned n = rig_ports();

	rig_init(&rig, NULL, NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		rig_init(&part, some, &r);
		rnd_message(&r, &m);
		ck_assert_int_eq(rig_decode(&rig, m.p, m.len, 1, 3), 1);
		ck_assert_int_eq(rig_decode(&part, m.p, m.len, 1, 3), 1);
		for (ctf_ref k = 0; k < n; k++) {
			ctf_ref ref = ((const ctf_ref *)&part.in)[ct_ports[k].off];

			if (ref == CTF_NONE)
				ck_assert(!ctf_has(&part.rec, k));
			else
				ck_assert_msg(same_field(&rig.rec, &part.rec, k), "%s",
					      ct_ports[k].name);
		}
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_test(t, random_messages);
	tcase_add_test(t, recorded_messages);
	tcase_add_test(t, any_demand);
}

int
main(void)
{
	return unit_main("ct_diff", add_tests);
}
