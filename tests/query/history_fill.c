/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history: many random flows, as of a NAT gateway, in the order of their ends. */
#include <check.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "history.h"

struct fill {
	uint64_t count, from, to, seed, hosts, public, id;
};

/* xorshift64*: the same flows for the same seed anywhere. */
static uint64_t
draw(uint64_t *state, uint64_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(2685821657736338717) >> 11) % below;
}

static void
ip_put(const struct history *h, struct ctf_rec *r, unsigned i, uint32_t addr)
{
	uint32_t be = htobe32(addr);

	ctf_put_ip(r, h->slot[i], &be, 4);
}

static void
num_put(const struct history *h, struct ctf_rec *r, unsigned i, uint64_t n)
{
	ctf_put_num(r, h->slot[i], n);
}

static void
addresses(const struct history *h, struct ctf_rec *r, const struct fill *f, uint64_t *s)
{
	static const uint16_t ports[] = { 443, 443, 443, 443, 443, 80, 53, 53, 123, 22 };
	uint32_t host = 0x0a000000 + 2 + (uint32_t)draw(s, f->hosts);
	uint32_t far = 0x2d000000 + (uint32_t)draw(s, draw(s, 2) ? 200 : 1u << 24);
	uint64_t sport = 1024 + draw(s, 64512), dport = ports[draw(s, 10)];

	ip_put(h, r, H_SRC, host);
	ip_put(h, r, H_DST, far);
	ip_put(h, r, H_RSRC, far);
	ip_put(h, r, H_RDST, 0xcb007100 + (uint32_t)((host - 0x0a000000) % f->public));
	num_put(h, r, H_PROTO, dport == 53 || dport == 123 || draw(s, 4) == 0 ? 17 : 6);
	num_put(h, r, H_SPORT, sport);
	num_put(h, r, H_DPORT, dport);
	num_put(h, r, H_RSPORT, dport);
	num_put(h, r, H_RDPORT, draw(s, 3) ? sport : 1024 + draw(s, 64512));
}

static void
times_and_sums(const struct history *h, struct ctf_rec *r, uint64_t at, uint64_t *s)
{
	/* Most are short, some last for hours. */
	uint64_t idle = 1000000 * (1 + draw(s, 120000));
	uint64_t lived = draw(s, UINT64_C(1) << (20 + draw(s, draw(s, 20) ? 15 : 24)));
	uint64_t packets = 1 + draw(s, UINT64_C(1) << (1 + draw(s, 12)));

	num_put(h, r, H_START, at - idle - lived);
	num_put(h, r, H_LAST, at - idle);
	num_put(h, r, H_STOP, at);
	num_put(h, r, H_PACKETS, packets);
	num_put(h, r, H_BYTES, packets * (52 + draw(s, 200)));
	num_put(h, r, H_RPACKETS, packets + draw(s, 5));
	num_put(h, r, H_RBYTES, packets * (52 + draw(s, 1400)));
	num_put(h, r, H_STATUS, 0x39e);
	num_put(h, r, H_REASON, 1 + draw(s, 3));
}

void
history_fill(struct history *h, char *text)
{
	struct fill f = { .seed = 1, .hosts = 1000, .public = 16, .id = 1 };
	uint64_t state;

	for (char *word; (word = history_word(&text));)
		ck_assert_msg(sscanf(word, "count=%" SCNu64, &f.count) == 1 ||
				      sscanf(word, "from=%" SCNu64, &f.from) == 1 ||
				      sscanf(word, "to=%" SCNu64, &f.to) == 1 ||
				      sscanf(word, "seed=%" SCNu64, &f.seed) == 1 ||
				      sscanf(word, "hosts=%" SCNu64, &f.hosts) == 1 ||
				      sscanf(word, "public=%" SCNu64, &f.public) == 1 ||
				      sscanf(word, "id=%" SCNu64, &f.id) == 1,
			      "line %u: \"%s\"", h->line, word);
	ck_assert_msg(f.count && f.from < f.to && f.hosts && f.public,
		      "line %u: fill count= from= to=", h->line);
	state = f.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (uint64_t i = 0; i < f.count; i++) {
		uint64_t at = f.from + (uint64_t)((long double)(f.to - f.from) * i / f.count);
		struct ctf_rec *r = plug_rec(h->plug, AF_INET, CTF_DESTROY, at + 50000);

		r->kind = CTF_EVENT;
		r->at_ns = at;
		addresses(h, r, &f, &state);
		times_and_sums(h, r, at, &state);
		num_put(h, r, H_ID, (uint32_t)((f.id + i) * 2654435761u));
		history_encode(h);
	}
}
