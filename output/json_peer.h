/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON's sockets: connecting to a listener, and lines as datagrams. */
#ifndef CTF_OUTPUT_JSON_PEER_H
#define CTF_OUTPUT_JSON_PEER_H

#include "stream.h"

struct peer_counters {         /* of lines sent by UDP */
	ctf_counter *too_long; /* for a datagram: left out */
	ctf_counter *refused;  /* nobody listened */
};

/* Connects sink s by TCP or UDP; 0 or -errno. */
int peer_connect(struct stream *s, bool tcp, const char *host, const char *port,
		 struct ctf_err *);
int peer_connect_unix(struct stream *s, const char *path, struct ctf_err *);
/* One datagram a line. */
enum ctf_sent peer_datagrams(struct stream *s, const struct ctf_frame *const *, unsigned n,
			     unsigned *ret_taken, const struct peer_counters *,
			     struct ctf_err *);

#endif
