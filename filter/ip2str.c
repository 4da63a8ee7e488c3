/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP2STR: the addresses of a flow as text, IPv6 as RFC 5952 has it. */
#include <ctflow/plugin.h>

#define ADDRS 4

struct ip2str {
	struct ctf_obj obj;
	ctf_ref ip[ADDRS], str[ADDRS];
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2str, ip[0]) },
	{ "orig.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2str, ip[1]) },
	{ "reply.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2str, ip[2]) },
	{ "reply.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2str, ip[3]) },
	{ NULL },
};

static const struct ctf_port writes[] = {
	{ "orig.ip.saddr.str", 0, offsetof(struct ip2str, str[0]) },
	{ "orig.ip.daddr.str", 0, offsetof(struct ip2str, str[1]) },
	{ "reply.ip.saddr.str", 0, offsetof(struct ip2str, str[2]) },
	{ "reply.ip.daddr.str", 0, offsetof(struct ip2str, str[3]) },
	{ NULL },
};

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct ip2str *f = self;
	char *p = ctf_batch_mem(b, ADDRS * (size_t)CTF_FMT_IP);

	if (!p)
		return CTF_PASS; /* out of memory: the texts are absent */
	for (unsigned i = 0; i < ADDRS; i++) {
		char *s = p;

		if (f->str[i] == CTF_NONE || !ctf_has(r, f->ip[i]))
			continue;
		p = ctf_fmt_ip(p, r->v[f->ip[i]].ip, r->family);
		ctf_put_bytes(r, f->str[i], s, (uint32_t)(p - s));
	}
	return CTF_PASS;
}

CTF_PLUGIN(ip2str) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "IP2STR",
	.doc = "addresses as text: orig.ip.saddr -> orig.ip.saddr.str",
	.reads = reads,
	.writes = writes,
	.size = sizeof(struct ip2str),
	.pure = true,
	.apply = apply,
};
