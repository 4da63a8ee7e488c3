/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_peer.h - a TCP collector on a thread, as bad as the test wants it. */
#ifndef IPFIX_PEER_H
#define IPFIX_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSIONS 3u

struct peer_session {      /* how a collector behaves, and what it got */
	size_t read_max;   /* bytes it reads; 0: until the end */
	size_t chunk;      /* bytes a read, 0: as they come */
	unsigned pause_us; /* before each read */
	bool reset;        /* ends with RST, not FIN */
	uint8_t *bytes;
	size_t len;
};

struct peer {
	int fd;
	uint16_t port;
	unsigned sessions;
	struct peer_session session[SESSIONS];
	pthread_t thread;
	_Atomic unsigned finished;
};

void peer_listen(struct peer *, uint16_t port); /* 0: any */
/* Listens, and accepts that many sessions one after the other. */
void peer_start(struct peer *, unsigned sessions);
/* The same after peer_listen(). */
void peer_run(struct peer *, unsigned sessions);
/* Until that many sessions are over. */
void peer_await(struct peer *, unsigned finished);
void peer_end(struct peer *);

void sleep_us(unsigned us);

#endif
