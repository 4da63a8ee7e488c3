/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of lines: connecting to a listener, and lines as datagrams. */
#ifndef CTF_OUTPUT_PEER_H
#define CTF_OUTPUT_PEER_H

#include "session.h"
#include "stream.h"
#include "transport.h"

struct peer_counters {         /* of lines sent as datagrams */
	ctf_counter *too_long; /* for a datagram: left out */
	ctf_counter *refused;  /* nobody listened; NULL: that ends the session */
};

struct peer { /* a session of lines, frame by frame */
	struct session session;
	uint64_t number;        /* of the frame sent in part, */
	uint32_t off;           /* that many bytes of it */
	bool fresh;             /* nothing was sent in this session */
	uint64_t first;         /* frame of it, */
	uint32_t skipped;       /* without these bytes */
	uint64_t read, read_of; /* bytes the peer before has read of that frame */
};

/* Connects sink s by TCP or UDP; 0 or -errno. */
int peer_connect(struct stream *s, const struct transport_to *, struct ctf_err *);
/* type: SOCK_STREAM or SOCK_DGRAM; -EPROTOTYPE: the listener is of the other one. */
int peer_connect_unix(struct stream *s, int type, const char *path, struct ctf_err *);
/* The stream's socket, connected, becomes the session's. */
void peer_begin(struct peer *, struct stream *, uint64_t resend);
enum ctf_sent peer_deliver(struct peer *, struct stream *, const struct ctf_frame *const *,
			   unsigned n, unsigned *ret_taken, struct ctf_err *);
/* Nothing is to be sent: RETRY, with the reason, when the session is over. */
enum ctf_sent peer_idle(struct peer *, const struct stream *, struct ctf_err *);
void peer_finish(struct peer *, struct stream *);
/* One datagram a line. */
enum ctf_sent peer_datagrams(struct stream *s, const struct ctf_frame *const *, unsigned n,
			     unsigned *ret_taken, const struct peer_counters *,
			     struct ctf_err *);

#endif
