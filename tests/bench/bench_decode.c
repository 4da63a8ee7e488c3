/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cost of decoding the DESTROY events of a recording: all fields, those of
 * IPFIX, 10 and 7; walked, and by shape; libnetfilter_conntrack's parser for
 * comparison.  bench_decode FILE [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "../unit/ct_msg.h"
#include "pcap.h"

#define MESSAGES 256
#define SIZE 512

struct set {
	uint8_t p[MESSAGES][SIZE];
	size_t len[MESSAGES];
	unsigned n;
};

static const char *const ten[] = { "orig.ip.saddr",
				   "orig.ip.daddr",
				   "orig.ip.protocol",
				   "orig.l4.sport",
				   "orig.l4.dport",
				   "orig.raw.pktlen",
				   "reply.raw.pktlen",
				   "orig.raw.pktcount",
				   "flow.start.ns",
				   "flow.destroy.ns",
				   NULL };
static const char *const ipfix[] = { "orig.ip.saddr",
				     "orig.ip.daddr",
				     "orig.ip.protocol",
				     "orig.l4.sport",
				     "orig.l4.dport",
				     "reply.ip.saddr",
				     "reply.ip.daddr",
				     "reply.l4.sport",
				     "reply.l4.dport",
				     "orig.raw.pktlen",
				     "reply.raw.pktlen",
				     "orig.raw.pktcount",
				     "reply.raw.pktcount",
				     "icmp.type",
				     "icmp.code",
				     "ct.mark",
				     "ct.id",
				     "ct.zone",
				     "flow.start.ns",
				     "flow.slice.ns",
				     "flow.last.ns",
				     "flow.end.reason",
				     "ct.status",
				     "ct.tcp.state",
				     NULL };
static const char *const seven[] = { "orig.ip.saddr",    "orig.ip.daddr",
				     "orig.ip.protocol", "orig.l4.sport",
				     "orig.l4.dport",    "orig.raw.pktlen",
				     "ct.mark",          NULL };

static bool
listed(unsigned i, void *arg)
{
	const char *const *names = arg;

	for (; *names; names++)
		if (strcmp(*names, ct_ports[i].name) == 0)
			return true;
	return false;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
ours(const struct set *s, const char *const *names, struct ct_shapes *shapes, unsigned rounds)
{
	static struct rig rig;
	double begin;

	rig_init(&rig, names ? listed : NULL, (void *)(uintptr_t)names);
	rig.in.shapes = shapes;
	ct_prepare(&rig.in);
	begin = now();
	for (unsigned k = 0; k < rounds; k++)
		for (unsigned i = 0; i < s->n; i++)
			if (rig_decode(&rig, s->p[i], s->len[i], 1, -1) != 1)
				abort();
	return (now() - begin) / rounds / s->n;
}

static double
theirs(const struct set *s, unsigned rounds)
{
	double begin = now();

	for (unsigned k = 0; k < rounds; k++) {
		for (unsigned i = 0; i < s->n; i++) {
			struct nf_conntrack *ct = nfct_new();

			if (nfct_nlmsg_parse((const void *)s->p[i], ct) < 0)
				abort();
			nfct_destroy(ct);
		}
	}
	return (now() - begin) / rounds / s->n;
}

static int
load(const char *path, struct set *s)
{
	struct pcap_reader *r;
	struct pcap_msg msg;
	struct ctf_err err;
	struct rig rig;

	if (pcap_reader_open(path, &r, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return -1;
	}
	rig_init(&rig, NULL, NULL);
	while (s->n < MESSAGES && pcap_reader_next(r, &msg, &err) == 1) {
		if (msg.len > SIZE || rig_decode(&rig, msg.p, msg.len, 1, -1) != 1 ||
		    rig.rec.event != CTF_DESTROY)
			continue;
		memcpy(s->p[s->n], msg.p, msg.len);
		s->len[s->n++] = msg.len;
	}
	pcap_reader_close(r);
	return s->n ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static struct set set;
	struct ct_shapes *shapes = ct_shapes_new();
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 20000;
	double lib;

	if (argc < 2 || load(argv[1], &set) < 0) {
		fprintf(stderr, "usage: bench_decode FILE.pcap [ROUNDS]\n");
		return 1;
	}
	lib = theirs(&set, rounds);
	printf("%u DESTROY events, ns each; in brackets: nfct_nlmsg_parse() takes x times "
	       "that\n%-12s %16s %16s\n",
	       set.n, "", "walked", "by shape");
	for (int i = 0; i < 4; i++) {
		static const char *const *const lists[] = { NULL, ipfix, ten, seven };
		static const char *const names[] = { "all fields", "IPFIX", "10 fields",
						     "7 fields" };
		double x = ours(&set, lists[i], NULL, rounds);
		double y = ours(&set, lists[i], shapes, rounds);

		printf("%-12s %8.1f (%5.1f) %8.1f (%5.1f)\n", names[i], x, lib / x, y, lib / y);
	}
	printf("%-12s %7.1f\n", "library", lib);
	ct_shapes_free(shapes);
	return 0;
}
