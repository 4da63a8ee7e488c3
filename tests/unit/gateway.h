/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gateway.h - made-up flows of traffic as behind a NAT gateway. */
#ifndef TEST_GATEWAY_H
#define TEST_GATEWAY_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define GATEWAY_SEC UINT64_C(1000000000)
#define GATEWAY_PEERS 4000

struct gateway {    /* where they come from */
	uint64_t x; /* what comes next */
	unsigned hosts;
};
#define GATEWAY_BEGIN(n) \
	{ \
		.x = UINT64_C(88172645463325252), .hosts = (n) \
	}

struct gateway_flow {
	bool v6;
	uint8_t proto, tcp_state; /* 0: none */
	char src[48], dst[48], outer[48];
	uint16_t sport, dport, outer_port; /* of ICMP dport is type << 8 | code */
	uint64_t packets, bytes, reply_packets, reply_bytes;
	uint64_t start, last, stop;
	uint32_t id, status;
	uint8_t reason;
};

static inline uint64_t
gateway_any(struct gateway *g)
{
	g->x ^= g->x << 13;
	g->x ^= g->x >> 7;
	g->x ^= g->x << 17;
	return g->x * UINT64_C(2685821657736338717) >> 11;
}

static inline double
gateway_share(struct gateway *g)
{
	return (double)gateway_any(g) / (double)(UINT64_C(1) << 53);
}

/* Mostly small, now and then very large. */
static inline uint64_t
gateway_heavy(struct gateway *g, double scale, double alpha)
{
	return (uint64_t)(scale * pow(1 - gateway_share(g), -1 / alpha));
}

static inline void
gateway_addresses(struct gateway *g, struct gateway_flow *f)
{
	unsigned host = (unsigned)(g->hosts * gateway_share(g) * gateway_share(g));
	unsigned peer = (unsigned)(GATEWAY_PEERS * gateway_share(g) * gateway_share(g) *
				   gateway_share(g)) *
			2654435761u;

	if (f->v6) {
		snprintf(f->src, sizeof(f->src), "2001:db8:77:1:%x:%x:%x:%x", host * 7 & 0xffff,
			 host * 31 & 0xffff, host * 1013 & 0xffff, 0x8000 | host);
		snprintf(f->dst, sizeof(f->dst), "2a00:%x:%x:%x::%x", peer >> 16, peer & 0xffff,
			 peer >> 8 & 0xffff, peer >> 4 & 0xffff);
	} else {
		snprintf(f->src, sizeof(f->src), "10.77.%u.%u", host >> 8, host & 255);
		snprintf(f->dst, sizeof(f->dst), "%u.%u.%u.%u", 1 + (peer >> 24) % 222,
			 peer >> 16 & 255, peer >> 8 & 255, peer & 255);
	}
	if (f->v6)
		snprintf(f->outer, sizeof(f->outer), "%s", f->src);
	else
		snprintf(f->outer, sizeof(f->outer), "203.0.113.%u", host % 8);
}

static inline void
gateway_ports(struct gateway *g, struct gateway_flow *f)
{
	static const uint16_t services[] = { 443, 443, 443, 443, 80, 53, 53, 123, 993, 8443 };

	f->sport = f->outer_port = (uint16_t)(32768 + gateway_any(g) % 28232);
	f->dport = services[gateway_any(g) % (sizeof(services) / sizeof(*services))];
	if (f->proto == 1 || f->proto == 58)
		f->dport = (uint16_t)((f->proto == 1 ? 8 : 128) << 8);
	else if (!f->v6 && gateway_share(g) >= 0.5)
		f->outer_port = (uint16_t)(1024 + gateway_any(g) % 64512);
}

static inline void
gateway_counters(struct gateway *g, struct gateway_flow *f)
{
	bool tcp = f->proto == 6;

	f->packets = tcp ? 4 + gateway_heavy(g, 2, 0.9) : gateway_heavy(g, 1, 1.3);
	f->reply_packets = gateway_share(g) < 0.05 ? 0
			   : tcp                   ? 4 + gateway_heavy(g, 3, 0.8)
						   : f->packets;
	f->bytes = f->packets * (60 + gateway_any(g) % 200);
	f->reply_bytes = f->reply_packets * (60 + gateway_any(g) % 1300);
}

static inline void
gateway_times(struct gateway *g, struct gateway_flow *f, uint64_t stop)
{
	bool stream = f->proto == 17 && gateway_share(g) < 0.3;
	uint64_t idle = (f->proto == 6 || stream ? 120 : 30) * GATEWAY_SEC;
	uint64_t lasted = gateway_heavy(g, 2e7, 0.7);

	if (gateway_share(g) < 0.2) /* deleted early: the rest is known, but not in whole ms */
		idle = 10 * GATEWAY_SEC + gateway_any(g) % GATEWAY_SEC;
	f->stop = stop;
	f->last = stop - idle;
	f->start = f->last - (lasted < 1000 * GATEWAY_SEC ? lasted : 1000 * GATEWAY_SEC);
}

/* The next flow, which ended at `stop`. */
static inline void
gateway_next(struct gateway *g, uint64_t stop, struct gateway_flow *f)
{
	double kind = gateway_share(g);

	f->v6 = gateway_share(g) < 0.15;
	f->proto = kind < 0.55 ? 6 : kind < 0.97 ? 17 : f->v6 ? 58 : 1;
	gateway_addresses(g, f);
	gateway_ports(g, f);
	gateway_counters(g, f);
	gateway_times(g, f, stop);
	f->id = (uint32_t)gateway_any(g);
	f->status = f->v6 ? 14 : 398;
	f->reason = f->proto == 6 ? 3 : 1;
	f->tcp_state = f->proto == 6 ? 7 : 0;
}

#endif
