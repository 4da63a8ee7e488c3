/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_hand.h - the event socket outlives the process.
 *
 * It lies in the service manager's store from the start on, so that what is
 * queued, and what the kernel keeps for it, waits for the next process however
 * this one ends.
 */
#ifndef NFCT_HAND_H
#define NFCT_HAND_H

#include <stdbool.h>
#include <stdint.h>
#include <ctflow/plugin.h>

struct nfct;

struct nfct_legacy { /* left by a process that handed over */
	uint32_t version;
	uint32_t mask;    /* groups it was in */
	uint32_t drops;   /* of the drop counter: accounted for */
	uint32_t unkept;  /* the kernel keeps nothing from here on: what drops is lost */
	uint64_t read_ns; /* all that came before was read */
	uint64_t calm_ns, event_ns;
};

struct nfct_hand {
	bool inherited; /* the socket is that of the process before */
	bool judge;     /* what it heard by other rules may be queued */
	bool kept;      /* it is in the store, */
	bool ns_kept;   /* and that of namespaces that come and go */
	bool handed;    /* the next process has it */
	bool told;      /* `left` is what the process before said */
	struct nfct_legacy left;
	uint32_t drops; /* of the drop counter, when it came */
};

/* In the namespace: s->fd becomes the socket of the process before; else -ENOENT. */
int nfct_hand_take(struct nfct *s);
/*
 * The same for the socket that hears namespaces come and go; a new one is to
 * be stored.
 */
int nfct_hand_take_ns(struct nfct *s, int *ret_fd);
void nfct_hand_keep_ns(struct nfct *s, int fd);
/* Since when what is heard now may have been: the process before has read until then. */
uint64_t nfct_hand_since(const struct nfct *s, uint64_t now);
/* It is set anew: filter, groups, options. */
int nfct_hand_renew(struct nfct *s, struct ctf_err *err);
/* The start has succeeded: accounts for what came before, and stores the socket. */
void nfct_hand_start(struct nfct *s);
/* False: a record that was let through by rules no longer in force. */
bool nfct_hand_wants(const struct nfct *s, const struct ctf_rec *rec);
/* As hand_over(). */
int nfct_hand_over(void *self, struct ctf_legacy *to);
/* The planned end: the store is to forget the socket. */
void nfct_hand_stop(struct nfct *s);

#endif
