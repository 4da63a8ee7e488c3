/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.h - recordings of netlink messages: pcap files of link type 253.
 *
 * Written with nanoseconds and in host byte order; both resolutions and both
 * byte orders are read.  The network namespace id, if there is one, stands in
 * the address field of the cooked header.
 */
#ifndef CTF_PCAP_H
#define CTF_PCAP_H

#include <ctflow/plugin.h>

#define PCAP_MAX_PACKET (256u * 1024u) /* larger ones are taken for damage */

struct pcap_reader;
struct pcap_writer;

struct pcap_msg {      /* one netlink message, in our byte order */
	const void *p; /* valid until the next call; aligned to 4 */
	size_t len;
	uint64_t ns; /* time stamp of its packet */
	int nsid;    /* -1: the own network namespace */
};

int pcap_reader_open(const char *path, struct pcap_reader **ret_reader, struct ctf_err *err);
/* 1: a message; 0: the orderly end; -errno: err names file, packet and offset. */
int pcap_reader_next(struct pcap_reader *, struct pcap_msg *ret_msg, struct ctf_err *err);
void pcap_reader_close(struct pcap_reader *); /* NULL is fine */

/* Creates or empties the file. */
int pcap_writer_open(const char *path, struct pcap_writer **ret_writer, struct ctf_err *err);
/*
 * Buffered.  0 or -errno; after an error the writer stays broken and gives
 * the same error again, and the file ends with the last whole packet.
 */
int pcap_writer_put(struct pcap_writer *, uint64_t ns, int nsid, const void *msg, size_t len);
int pcap_writer_flush(struct pcap_writer *);
/* Flushes and closes; 0 or the first -errno.  NULL is fine. */
int pcap_writer_close(struct pcap_writer *);

#endif
