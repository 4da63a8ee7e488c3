/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_select.h - which flows are to be heard: `select` and accept_*_filter as
 * one expression, judged by the kernel for events, and here for what does not
 * come through the filter of the event socket.
 */
#ifndef NFCT_SELECT_H
#define NFCT_SELECT_H

#include <ctflow/plugin.h>
#include <linux/filter.h>

struct nfct;
struct nfct_conf;

struct nfct_select {
	struct sock_filter *prog; /* for the event socket */
	unsigned len;             /* 0: everything is accepted */
	struct ctf_match *match;  /* NULL: likewise */
	char *text;               /* NULL: likewise */
};

/* As probe() and unprobe(): the expression of the options. */
int nfct_select_probe(void *conf, struct ctf_ctx *, struct ctf_err *);
void nfct_select_unprobe(void *conf);
/* As setup() and release(). */
int nfct_select_setup(struct nfct *, struct ctf_err *);
void nfct_select_release(struct nfct *);

/* Whether a record is one of those to be heard. */
bool nfct_selected(const struct nfct *, const struct ctf_rec *);
/*
 * In words; "": all.  What the words do not say, as they name a file or would be
 * too many, is told by a hash of the program: another one, another selection.
 */
const char *nfct_selection(const struct nfct *);

#endif
