/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse_note.h - CLICKHOUSE: what gaps and coverage are between server and frames. */
#ifndef CTF_OUTPUT_CLICKHOUSE_NOTE_H
#define CTF_OUTPUT_CLICKHOUSE_NOTE_H

#include "clickhouse.h"

struct ch_note { /* a row of gaps_raw or coverage_raw */
	struct sq_note n;
	uint64_t version;
	bool is_gap;
	bool concluded, gone; /* of gaps: by us; and it was none */
	bool dirty;           /* the server has not got it */
	char *text;           /* what n's texts lie in */
};

int ch_note_add(struct ch_notes *, const struct ch_note *);

#endif
