/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_host.h - what the host does with packets before conntrack counts them,
 * and whether conntrack sees any.
 *
 * The answers may have to wait for the kernel's network configuration lock,
 * which anybody may hold for long: a thread asks.
 */
#ifndef NFCT_HOST_H
#define NFCT_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nfct;

struct nfct_found {       /* 1 yes, 0 no, -1 unknown */
	int8_t gro;       /* an interface merges packets on receipt */
	int8_t offload;   /* there is a flowtable */
	int8_t uncounted; /* and one that does not count */
	int8_t hooked;    /* conntrack is in the way of packets */
};

/* The thread's.  An input that ends does not wait for ever: it leaves this behind. */
struct nfct_asker {
	int route, netfilter;   /* sockets; below 0: cannot */
	struct nfct_found next; /* the thread's until it is done */
	atomic_bool done;
	atomic_bool left; /* whoever sees this set by the other frees it all */
};

struct nfct_host {
	struct nfct_asker *asker; /* NULL: no memory */
	pthread_t thread;
	bool running;
	struct nfct_found found; /* by the look before */
	bool said_uncounted, said_hooks;
	uint64_t since_ns;
};

void nfct_host_init(struct nfct *s);
void nfct_host_open(struct nfct *s); /* in the namespace listened in */
/* Begins a look, unless the last one still goes on. */
void nfct_host_look(struct nfct *s);
/* True: a look has ended and found something else than the one before. */
bool nfct_host_tick(struct nfct *s);
void nfct_host_close(struct nfct *s);

/* nfct_host_ask.c: blocking; 1, 0 or -1. */
int8_t nfct_ask_gro(int route);
void nfct_ask_flowtables(int netfilter, struct nfct_found *ret);
int8_t nfct_ask_hooks(int netfilter);
/* Somebody uses nf_tables: a question about it loads no module. */
bool nfct_has_nf_tables(void);
/* One message of an answer about flowtables; for tests, too. */
void nfct_see_flowtable(const void *nlh, struct nfct_found *found);
/* The same of an answer about hooks: whether it is conntrack's. */
bool nfct_see_hook(const void *nlh);

#endif
