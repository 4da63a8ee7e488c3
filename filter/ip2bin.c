/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP2BIN: the addresses of a flow in 16 bytes each, IPv4 as ::ffff:a.b.c.d. */
#include <ctflow/plugin.h>
#include <sys/socket.h>

#define ADDRS 4
#define BYTES 16

struct ip2bin {
	struct ctf_obj obj;
	ctf_ref ip[ADDRS], bin[ADDRS];
};

static const struct ctf_port reads[] = {
	{ "orig.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2bin, ip[0]) },
	{ "orig.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2bin, ip[1]) },
	{ "reply.ip.saddr", CTF_OPTIONAL, offsetof(struct ip2bin, ip[2]) },
	{ "reply.ip.daddr", CTF_OPTIONAL, offsetof(struct ip2bin, ip[3]) },
	{ NULL },
};

static const struct ctf_port writes[] = {
	{ "orig.ip.saddr.bin", 0, offsetof(struct ip2bin, bin[0]) },
	{ "orig.ip.daddr.bin", 0, offsetof(struct ip2bin, bin[1]) },
	{ "reply.ip.saddr.bin", 0, offsetof(struct ip2bin, bin[2]) },
	{ "reply.ip.daddr.bin", 0, offsetof(struct ip2bin, bin[3]) },
	{ NULL },
};

static void
put(uint8_t to[BYTES], const uint8_t *ip, int family)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family == AF_INET6) {
		memcpy(to, ip, BYTES);
	} else {
		memcpy(to, mapped, sizeof(mapped));
		memcpy(to + sizeof(mapped), ip, 4);
	}
}

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	const struct ip2bin *f = self;
	uint8_t *p = ctf_batch_mem(b, (size_t)ADDRS * BYTES);

	if (!p)
		return CTF_PASS; /* out of memory: they are absent */
	for (unsigned i = 0; i < ADDRS; i++) {
		if (f->bin[i] == CTF_NONE || !ctf_has(r, f->ip[i]))
			continue;
		put(p, r->v[f->ip[i]].ip, r->family);
		ctf_put_bytes(r, f->bin[i], p, BYTES);
		p += BYTES;
	}
	return CTF_PASS;
}

CTF_PLUGIN(ip2bin) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "IP2BIN",
	.doc = "addresses in 16 bytes: orig.ip.saddr -> orig.ip.saddr.bin",
	.reads = reads,
	.writes = writes,
	.size = sizeof(struct ip2bin),
	.pure = true,
	.apply = apply,
};
