/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_pcap FILE FLOWS HOSTS RATE: a recording for REPLAY of FLOWS ends, of
 * HOSTS hosts behind a NAT gateway, RATE a second, the last one just now.
 */
#include <stdlib.h>
#include <time.h>

#include "../unit/ct_msg.h"
#include "../unit/gateway.h"
#include "pcap.h"

static void
tuples_put(struct msg *m, const struct gateway_flow *f)
{
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	uint16_t dport = icmp ? f->dport - 0x800 * (f->proto == IPPROTO_ICMP) : f->dport;

	msg_tuple(m, CTA_TUPLE_ORIG, f->src, f->dst, f->proto, f->sport, f->dport);
	/* An echo is answered by one, of ICMPv6 by the next number. */
	if (icmp)
		msg_tuple(m, CTA_TUPLE_REPLY, f->dst, f->outer, f->proto, f->outer_port,
			  f->proto == IPPROTO_ICMP ? dport : (uint16_t)(dport + 0x100));
	else
		msg_tuple(m, CTA_TUPLE_REPLY, f->dst, f->outer, f->proto, dport, f->outer_port);
}

static void
message_make(struct msg *m, const struct gateway_flow *f)
{
	msg_begin(m, MSG_DESTROY, 0, 0, f->v6 ? AF_INET6 : AF_INET);
	tuples_put(m, f);
	msg_u32(m, CTA_ID, f->id);
	msg_u32(m, CTA_STATUS, f->status);
	msg_counters(m, CTA_COUNTERS_ORIG, f->packets, f->bytes);
	msg_counters(m, CTA_COUNTERS_REPLY, f->reply_packets, f->reply_bytes);
	msg_times(m, f->start, f->stop);
	if (f->tcp_state)
		msg_state(m, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, f->tcp_state);
}

int
main(int argc, char **argv)
{
	uint64_t flows = argc > 4 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t step = flows ? GATEWAY_SEC / strtoull(argv[4], NULL, 10) : 0;
	struct gateway g = GATEWAY_BEGIN(argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0);
	uint64_t begin = (uint64_t)time(NULL) * GATEWAY_SEC - flows * step;
	struct pcap_writer *w;
	struct gateway_flow f;
	struct ctf_err err;
	struct msg m;
	int r = 0;

	if (!flows || pcap_writer_open(argv[1], &w, &err) < 0)
		return EXIT_FAILURE;
	for (uint64_t n = 0; n < flows && r == 0; n++) {
		gateway_next(&g, begin + n * step, &f);
		message_make(&m, &f);
		r = pcap_writer_put(w, f.stop + 20000, -1, m.p, m.len);
	}
	return pcap_writer_close(w) < 0 || r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
