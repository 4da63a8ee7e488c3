/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what its files share: options, the table as it is, the sink. */
#ifndef CTF_SQLITE3_DB_H
#define CTF_SQLITE3_DB_H

#include <sqlite3.h>

#include "past.h"
#include "sqcolumn.h"
#include "sqlite3_flow.h"
#include "sqlite3_names.h"

/* ---- the table (sqlite3_schema.c) ----------------------------------------- */

enum sq_own {
	SQ_UNKNOWN, /* the database did not answer */
	SQ_MISSING, /* to be made */
	SQ_NATIVE,  /* a view we made */
	SQ_FOREIGN, /* somebody else's table */
};

struct sq_table {
	enum sq_own own;
	unsigned n; /* columns of a foreign table */
	struct sq_column *cols;
	char *open;               /* of a native one: of what lives; NULL: to be made */
	char *stamped, *received; /* base tables that a version before 3 left, or NULL */
	char why[160];            /* if not empty: why it cannot be filled */
};

/* These return an SQLite result code; SQLITE_MISMATCH: a newer version's. */
int sq_table_look(sqlite3 *, const char *table, struct sq_table *ret_table);
#define SQ_SCHEMA "3"
#define SQ_REASON_LOST "0" /* end_reason, where IPFIX has no value: nobody saw the end */
/* sqlite3_make.c: what is missing of it, or of an older version's. */
int sq_native_create(sqlite3 *, const char *table, struct sq_table *ret_table);
/* sqlite3_view.c: the readable views anew. */
int sq_views_make(sqlite3 *, const char *table, const struct sq_table *);
/* The text of the address in column x, as x and with a comma. */
void sq_put_addr(sqlite3_str *, const char *x);
/* Whether the first column of the first row is `want`. */
int sq_text_is(sqlite3 *, const char *sql, const char *arg, const char *want, bool *ret_same);
/* True for the names our own tables have. */
bool sq_name_taken(const char *table);
void sq_table_free(struct sq_table *);

enum sq_profile { SQ_FULL, SQ_NAT, SQ_ROLLUP }; /* the order of the option's choices */

struct sq_conf {
	const char *db, *table;
	uint64_t commit_every;
	uint64_t keep, keep_minutes, keep_hours, keep_days; /* ms; 0: for ever */
	uint64_t max_size;
	unsigned profile;
	struct sq_table seen; /* by probe() */
};

/* ---- the sink (sqlite3_sink.c) ---------------------------------------------- */

struct sq_ref {           /* one row to be inserted */
	int64_t key;      /* at_ns; of what lives: its start */
	const uint8_t *p; /* in its frame, known to be whole */
	uint8_t flags;
};
#define SQ_REF_LIVES 1u
#define SQ_REF_LATE 2u   /* of an end: the flow may be in open_flows */
#define SQ_REF_REPEAT 4u /* the table has it already */

#define SQ_GROUP 24576u /* rows of a transaction, about: what 64 frames hold */

enum {
	SQ_ST_BEGIN,
	SQ_ST_COMMIT,
	SQ_ST_PROGRESS,
	SQ_ST_FOREIGN,
	SQ_ST_GAP,
	SQ_ST_FRESH,
	SQ_ST_CHANGE,
	SQ_ST_COVER,
	SQ_ST_DOWN,
	SQ_ST_CLOSE,
	SQ_ST_KNOWN,
	SQ_ST_TRIM,
	SQ_ST_LIVES, /* sqlite3_open.c */
	SQ_ST_LIVED,
	SQ_ST_ENDED,
	SQ_ST_LOST,
	SQ_ST_LEVELS,  /* sqlite3_rollup.c */
	SQ_ST_VERSION, /* sqlite3_days.c */
	SQ_ST_KEEPER,
	SQ_ST_DAY,
	SQ_ST_PART,
	SQ_ST_PART_SET,
	SQ_ST_INSERT, /* those of the day at hand: dropped with it */
	SQ_ST_ADD,
	SQ_ST_INDEX,
	SQ_ST_COUNT = SQ_ST_INDEX + 4
};

/* ---- days and partitions: what the catalog says (sqlite3_days.c) ------------ */

struct sq_day { /* a range of at_ns with tables of its own */
	bool known;
	int64_t from, to;
	bool nat; /* profile=nat */
	char base[300];
};

struct sq_span { /* bounds of some rows */
	int64_t rows;
	int64_t start_ns; /* the smallest known start; INT64_MAX: none */
	bool nostart;     /* of some row the start is not known */
	int64_t end_ns;   /* the smallest end, at_ns where it is not known */
	int64_t last_ns;  /* the largest at_ns */
};

enum sq_state { SQ_OPEN, SQ_CLOSED, SQ_INDEXED, SQ_DROPPED };
extern const char *const sq_state_name[];

struct sq_part { /* a range of at_ns of a day */
	bool known;
	int64_t from, to;
	int64_t run; /* its prefix in the index tables; -1: none */
	int shift;
	enum sq_state state;
	struct sq_span span;
};

#define SQ_PART_ROWS 500000 /* it is closed then, */
#define SQ_PART_SOME 20000  /* or with these, when there is time, */
#define SQ_PART_MANY 150000 /* and with these soon, for readers go through all of it */

struct sq_sink {
	struct ctf_obj obj;
	sqlite3 *db;
	sqlite3_stmt *st[SQ_ST_COUNT];
	struct sq_table table;
	struct past *past; /* in the state page: the last group */
	char spool[80];    /* this run's key of the progress table */
	bool known;        /* done is */
	uint64_t done;     /* the last frame committed */

	struct sq_layout layout; /* of the frames at hand */
	int map[F_COUNT];        /* native: places in the layout, or -1 */
	bool opened;             /* before, by this run */
	bool damaged;            /* the database is, as a statement met */
	bool aside;              /* one was set aside */
	bool or_abort;           /* the table's own ON CONFLICT broke a transaction */

	struct sq_ref *refs;
	unsigned n, room, living;
	unsigned from, to;     /* what the virtual table shows, */
	unsigned at;           /* and where it is; */
	struct sq_flow *flow;  /* that row, */
	bool storing;          /* which is being stored */
	struct sq_span shown;  /* of those */
	uint64_t rows, stored; /* of this transaction */
	uint64_t since;        /* when it was opened first */

	int64_t data_version; /* of the database, at the last look; -1: none yet */
	bool keeper;          /* the maintenance of the table is ours */
	int wal_pages;        /* in the WAL, if there was a commit */
	struct sq_wal *wal;   /* sqlite3_wal.c; NULL: not needed yet */
	struct sq_day day;    /* as they are in the catalog */
	struct sq_part part;
	int64_t middle;   /* where the open partition may be cut, or 0 */
	int64_t filled;   /* at_ns of what was stored in an open one lately */
	uint64_t part_ms; /* since when we fill it, */
	uint64_t busy_ms; /* and how long of that we have been at work */
	uint64_t last_ms; /* when rows came */
	struct sq_spare *spare;
	struct sq_rollup *roll; /* NULL: no sums are kept; */
	bool has_sums;          /* there are some all the same */
	int64_t roll_ns;        /* since the machine was started: hours are made again */
	struct sq_keep *keep;
	struct sq_names *names; /* sqlite3_names.c */

	int64_t horizon;   /* no flow that began later is in open_flows; -1: none is */
	int64_t sweep_age; /* profile=rollup: what sweeps want of; INT64_MAX: there were none */
	uint64_t seen_from; /* of this transaction: when the first was seen; 0: none */
	bool sweeping;      /* records of a sweep came, but not yet its note */

	bool said_busy;
	uint64_t said_ns;  /* when refused rows were logged last */
	uint64_t unsaid;   /* rows refused since */
	uint64_t refusing; /* in this transaction */
	char reason[160];  /* for the last one */
	ctf_counter *refused, *repeats, *expired;
};

/*
 * Of n keys in order, the k-th to be inserted.  Keys that ascend leave pages an
 * eighth empty behind, as SQLite spreads over three of them what does not fit.
 * So one in nine is held back until the others are there, and fills them.
 */
static inline unsigned
sq_order(unsigned k, unsigned n)
{
	unsigned first = n - n / 9;

	return k < first ? k + k / 8 : 9 * (k - first) + 8;
}

/* The row shown at s->at.  Sightings come as they are: the last one counts. */
static inline struct sq_ref *
sq_row_at(const struct sq_sink *s)
{
	struct sq_ref *first = &s->refs[s->from];

	return first->flags & SQ_REF_LIVES ? &s->refs[s->at]
					   : first + sq_order(s->at - s->from, s->to - s->from);
}

#define SQ_ROWS "ctflow_rows" /* the virtual table a group is read from */

#define SQ_CONF(s) ((const struct sq_conf *)(s)->obj.conf)

int sq_sink_open(void *sink, int *ret_err, struct ctf_err *);
void sq_sink_close(void *sink);
/* sqlite3_group.c */
enum ctf_sent sq_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			 unsigned *ret_taken, struct ctf_err *);
int sq_frame_store(struct sq_sink *, const struct ctf_frame *);

/* sqlite3_conn.c: the connection; SQLite result codes. */
int sq_conn_open(struct sq_sink *, struct ctf_err *);
void sq_conn_close(struct sq_sink *);
int sq_prepare(struct sq_sink *, int which, const char *sql);
int sq_run(sqlite3_stmt *);
bool sq_conn_moved(struct sq_sink *);
/* One number, or `none`; frees sql. */
int sq_number(sqlite3 *, char *sql, int64_t none, int64_t *ret_n);
/* Runs and frees sql. */
int sq_exec(sqlite3 *, char *sql);
/* Says in err what the last call on this database met; -errno. */
int sq_fail(const struct sq_sink *, struct ctf_err *, int rc, const char *doing);
/* Looks at a table without leaving a trace, for less than 2 s. */
int sq_probe_look(const char *path, const char *table, struct sq_table *ret_table);
bool sq_is_busy(int rc);

/* sqlite3_wal.c */
void sq_wal_watch(struct sq_sink *);
/* After a commit: the WAL is to be copied into the file, if it is long. */
void sq_checkpoint(struct sq_sink *);
/* Waits a little for a copy that goes on: a good time for it to come to its end. */
void sq_wal_pause(struct sq_sink *);
void sq_wal_close(struct sq_sink *);

/* sqlite3_aside.c */
bool sq_is_damage(int rc);
/* Whether a file that cannot be read was a database of our making. */
bool sq_path_is_ours(const char *path);
/* The first bytes of a database; false: there are not as many. */
bool sq_read_head(const char *path, void *p, int n);
/* The open database gets another name, if it is ours; true: open it anew. */
bool sq_aside(struct sq_sink *, const char *why);

/*
 * sqlite3_native.c, sqlite3_foreign.c: statements and rows; result codes, of
 * which SQLITE_FORMAT means a row that is none.
 */
int sq_native_ready(struct sq_sink *);
void sq_native_map(struct sq_sink *);
int sq_native_store(struct sq_sink *);
/* The insert for s->day. */
int sq_insert_ready(struct sq_sink *);
/* sqlite3_open.c: the flows that live. */
int sq_open_ready(struct sq_sink *);
/* The living rows of this group are in s->from..to. */
int sq_open_store(struct sq_sink *);
/* What sweeps told of this flow, into f->was. */
int sq_open_lived(struct sq_sink *, struct sq_flow *f);
/* The ends shown are stored: their flows live no more. */
int sq_open_ended(struct sq_sink *);
int sq_open_swept(struct sq_sink *, const struct sq_row *);
/*
 * sqlite3_days.c: the day and the partition that hold at_ns, into s->day and
 * s->part; made if missing.  What is known of them is good for a transaction
 * that began with sq_days_begin() and is forgotten when one is rolled back.
 */
int sq_days_ready(struct sq_sink *);
/* A base table as days have them. */
int sq_base_make(struct sq_sink *, const char *name);
int sq_days_begin(struct sq_sink *);
int sq_days_find(struct sq_sink *, int64_t at);
void sq_days_forget(struct sq_sink *);
/* Days made for another profile end here. */
int sq_days_turn(struct sq_sink *);
/* sqlite3_part.c: rows were added to s->part. */
int sq_part_added(struct sq_sink *, const struct sq_span *);
/* Cuts s->part, which is open, at that time, or closes it at its end. */
int sq_part_close(struct sq_sink *, int64_t cut);
void sq_span_add(struct sq_span *, const struct sq_flow *);
/* sqlite3_index.c: index entries of the rows shown, which came late. */
int sq_index_late(struct sq_sink *);
/* sqlite3_spare.c */
int sq_spare(void *sink);
int sq_spare_ready(struct sq_sink *);
void sq_spare_close(struct sq_sink *);
/* sqlite3_cover.c */
int sq_note_ready(struct sq_sink *);
int sq_note_store(struct sq_sink *, const struct sq_row *);
int sq_sweep_store(struct sq_sink *, const struct sq_swept *);
int sq_foreign_map(struct sq_sink *);
int sq_foreign_store(struct sq_sink *);
/* Counts the rows refused by what was committed; logs them now and then. */
void sq_foreign_say(struct sq_sink *, bool last);

/*
 * sqlite3_past.c: whether the last group of a killed daemon was committed.
 * Opened with the progress table there.
 */
void sq_past_open(struct sq_sink *s);

#endif
