/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rows that travel from the encoder to the sink of SQLITE3.  A frame is a
 * run of rows; its layout names the fields and their types, so that any table
 * of today can be filled by name.  Everything is little endian.
 *
 *   layout  "CTSQ" u16 version u16 fields { u8 type u8 zero u8 len name }*
 *   row     u32 len u8 kind u8 family u16 flags u64 key
 *           SQ_REC: bitmap of the fields present, then their values;
 *           of a flow that lives, key is its start, and before that stand
 *           u64 seen_ns u8 len source (the input)
 *           the others: see sqlite3_note.c
 */
#ifndef CTF_SQLITE3_ROW_H
#define CTF_SQLITE3_ROW_H

#include <ctflow/plugin.h>

#define SQ_FIELDS 127u /* the fields of one layout */
#define SQ_HEAD 16u

enum sq_kind { SQ_REC = 1, SQ_GAP, SQ_COVER, SQ_SWEEP };
enum {                  /* flags */
       SQ_STAMPED = 1,  /* key is conntrack's stop */
       SQ_FINISHED = 2, /* a DESTROY */
       SQ_LIVES = 4,    /* seen by a sweep */
       SQ_DELTA = 8,    /* which set its counters to 0 */
};

struct sq_text { /* borrowed */
	const char *p;
	uint16_t len;
};

struct sq_fields { /* what an encoder writes */
	unsigned n;
	uint32_t room;       /* the longest record without its texts */
	ctf_ref start, stop; /* flow.start.ns, flow.destroy.ns, or CTF_NONE */
	const char *source;  /* the input */
	ctf_ref ref[SQ_FIELDS];
	const struct ctf_field *def[SQ_FIELDS];
};

struct sq_layout { /* the same, as the sink reads it */
	uint64_t id;
	unsigned n;
	uint8_t type[SQ_FIELDS];
	bool zero[SQ_FIELDS];  /* 0 where absent, as ulogd2 has it */
	char *name[SQ_FIELDS]; /* into text */
	char *text;
};

struct sq_cell { /* one value of a record, borrowed from the frame */
	bool has;
	uint32_t len;     /* of p */
	uint64_t u;       /* numbers and times */
	const uint8_t *p; /* addresses, texts, bytes */
};

struct sq_row {
	enum sq_kind kind;
	uint8_t family;
	uint16_t flags;
	uint64_t key;     /* conntrack's stop, else the receive time; lives: start or 0 */
	uint64_t seen_ns; /* lives: when */
	struct sq_text source;
	const uint8_t *p; /* what follows */
	uint32_t len;
};

int sq_fields_add(struct sq_fields *, ctf_ref, const struct ctf_field *);
/* The slot of a field added before, or CTF_NONE. */
ctf_ref sq_fields_ref(const struct sq_fields *, const char *name);
bool sq_layout_put(const struct sq_fields *, struct ctf_frame *);
bool sq_rec_put(const struct sq_fields *, const struct ctf_rec *, struct ctf_frame *);
bool sq_head_put(struct ctf_frame *, const struct sq_row *);

int sq_layout_get(struct sq_layout *, const struct ctf_layout *);
void sq_layout_free(struct sq_layout *);
/* The field's index, or -1. */
int sq_layout_find(const struct sq_layout *, const char *name);
/* The row at p, at most n bytes; returns its whole length or -EBADMSG. */
int sq_row_get(const uint8_t *p, size_t n, struct sq_row *ret_row);
/* Fills cells[0..layout->n). */
int sq_rec_get(const struct sq_layout *, const struct sq_row *, struct sq_cell *cells);

/* Gaps, coverage and sweeps.  The texts got are borrowed from the row. */
struct sq_note {
	uint64_t from_ns, to_ns, alive_ns, count;
	int64_t clock_error_ns;
	int32_t nsid;
	uint32_t event_mask;
	uint8_t count_is;
	int8_t acct, timestamp, events, reliable, clock_synchronised, offload, gro;
	struct sq_text cause, instance, exporter, boot_id, selection, netns, abilities;
};

struct sq_swept {
	uint64_t at_ns, previous_ns, min_age_ns;
	int32_t nsid;
	bool complete;
	struct sq_text source;
};

bool sq_gap_put(struct ctf_frame *, const struct ctf_gap *);
bool sq_cover_put(struct ctf_frame *, const struct ctf_coverage *);
bool sq_sweep_put(struct ctf_frame *, const struct ctf_sweep *, const char *source);
int sq_note_get(const struct sq_row *, struct sq_note *ret_note);
int sq_sweep_get(const struct sq_row *, struct sq_swept *ret_sweep);

#endif
