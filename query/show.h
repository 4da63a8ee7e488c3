/* SPDX-License-Identifier: GPL-2.0-or-later */
/* show.h - flows as rows, for the verbs that show them. */
#ifndef CTF_QUERY_SHOW_H
#define CTF_QUERY_SHOW_H

#include "query.h"

/* Reads "[EXPR] since ... limit N" into *ask as well; to be freed with the words. */
int show_words(struct q *, int argc, char **argv, struct q_words *ret_words, struct q_ask *ask,
	       struct ctf_err *err);
/* Rows of flows follow, until q_out_end(). */
int show_begin(struct q *);
/* What was asked, with a beginning and an end; of a limit the newest, in order. */
int show_flows(struct q *, struct q_ask *ask, struct ctf_err *err);

/* Flows kept aside; zeroed: none. */
struct flows {
	struct q_flow *flow;
	size_t n, room;
};

int flows_keep(void *flows, const struct q_flow *); /* for q_scan() */
void flows_free(struct flows *);

#endif
