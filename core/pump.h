/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One batch through filters and encoders; gaps and coverage round them. */
#ifndef CTF_PUMP_H
#define CTF_PUMP_H

#include "batch.h"
#include "graph.h"
#include "queue.h"

void pump_batch(struct input *, struct ctf_batch *);
/* Seals what the input's encoders have open. */
void pump_seal(struct input *);

/* encoder.c; after setup: the layout, the counters. */
int encoder_ready(struct encoder *, struct ctf_err *);
/* A frame that holds only this gap; NULL when the output shows none.  -ENOMEM */
bool encoder_tells_gaps(const struct encoder *);
int encoder_gap_frame(struct encoder *, const struct ctf_gap *, struct qframe **ret_frame);
/* Frees frames that were never sealed. */
void encoder_discard(struct encoder *);

#endif
