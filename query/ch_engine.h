/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ch_engine.h - the parts of a server as an engine. */
#ifndef CTF_QUERY_CH_ENGINE_H
#define CTF_QUERY_CH_ENGINE_H

#include "ch_sql.h"
#include "engine.h"

/* ch_scan.c: the row at hand, whose columns are those of ch_put_columns(). */
int ch_flow(struct ch_answer *, struct q_db *, enum ch_table, struct q_flow *ret_flow,
	    int64_t *ret_lost, struct ctf_err *);
int ch_streams(struct scan *, struct q_db *, struct ctf_err *);
/* ch_sums.c */
int ch_sums(struct sums *, struct q_db *, struct ctf_err *);
/* ch_find.c */
int ch_find(struct q *, struct q_db *, const struct who_ask *, struct who_matches *,
	    struct ctf_err *);
/* ch_settings.c: sees to it that no answer is cut. */
int ch_settings(struct q *, struct ch *, struct ctf_err *);
/* ch_kept.c: since when no day is missing of what db->db says is covered; -ENOENT: nothing is. */
int ch_kept(struct q *, struct q_db *, int64_t *ret_from_ns, struct ctf_err *);
/* ch_notes.c: copies them into db->db. */
int ch_notes(struct q *, struct q_db *, unsigned notes, int64_t about, struct ctf_err *);

#endif
