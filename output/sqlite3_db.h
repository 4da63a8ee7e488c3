/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: what its files share: options, the table as it is, the sink. */
#ifndef CTF_SQLITE3_DB_H
#define CTF_SQLITE3_DB_H

#include <sqlite3.h>

#include "sqlite3_row.h"

/* ---- the table (sqlite3_schema.c) ----------------------------------------- */

enum sq_own {
	SQ_UNKNOWN, /* the database did not answer */
	SQ_MISSING, /* to be made */
	SQ_NATIVE,  /* a view we made */
	SQ_FOREIGN, /* somebody else's table */
};

enum sq_as { /* how a value is stored, by the declared type */
	     SQ_AS_INT,
	     SQ_AS_TEXT,
	     SQ_AS_BLOB,
};

struct sq_column {
	char *name;
	enum sq_as as;
	int field; /* its place in the layout of the frames at hand, or -1 */
};

struct sq_table {
	enum sq_own own;
	unsigned n; /* columns of a foreign table */
	struct sq_column *cols;
	char *stamped, *received; /* base tables of a native one */
	char *open;               /* and of what lives; NULL: to be made */
	char why[160];            /* if not empty: why it cannot be filled */
};

/* These return an SQLite result code; SQLITE_MISMATCH: a newer version's. */
int sq_table_look(sqlite3 *, const char *table, struct sq_table *ret_table);
#define SQ_SCHEMA "2"
#define SQ_REASON_LOST "0" /* end_reason, where IPFIX has no value: nobody saw the end */
/* sqlite3_make.c: what is missing of it, or of an older version's. */
int sq_native_create(sqlite3 *, const char *table, struct sq_table *ret_table);
/* Whether the first column of the first row is `want`. */
int sq_text_is(sqlite3 *, const char *sql, const char *arg, const char *want, bool *ret_same);
/* True for the names our own tables have. */
bool sq_name_taken(const char *table);
void sq_table_free(struct sq_table *);
/* "orig_ip_saddr" -> "orig.ip.saddr"; false: too long. */
bool sq_key_of(const char *column, char *ret_key, size_t size);

struct sq_conf {
	const char *db, *table;
	uint64_t commit_every;
	struct sq_table seen; /* by probe() */
};

/* ---- the sink (sqlite3_sink.c) ---------------------------------------------- */

struct sq_ref {           /* one row to be inserted */
	uint64_t key;     /* its place in the table's order */
	const uint8_t *p; /* in its frame, known to be whole */
};

/* In the key of a row, so that those with a stop come first, what lives last: */
#define SQ_RECEIVED (UINT64_C(1) << 63) /* its stop is not known */
#define SQ_LIVING (UINT64_C(3) << 62)   /* it has none */
#define SQ_LATE (UINT64_C(1) << 62)     /* of an end: the flow may be in open_flows */

#define SQ_GROUP 16384u /* rows of a transaction, about */

/* The fields a native table is made of, in this order. */
enum sq_field {
	F_SADDR, /* the first three must be there */
	F_DADDR,
	F_PROTO,
	F_START,
	F_LAST,
	F_STOP,
	F_SPORT,
	F_DPORT,
	F_RSADDR,
	F_RDADDR,
	F_RSPORT,
	F_RDPORT,
	F_BYTES,
	F_PACKETS,
	F_RBYTES,
	F_RPACKETS,
	F_ICMP_TYPE,
	F_ICMP_CODE,
	F_ICMP6_TYPE,
	F_ICMP6_CODE,
	F_MARK,
	F_ZONE,
	F_NSID,
	F_ID,
	F_STATUS,
	F_TCP_STATE,
	F_REASON,
	F_COUNT,
};
#define F_NEEDED F_START
extern const char *const sq_native_fields[F_COUNT];

enum {
	SQ_ST_BEGIN,
	SQ_ST_COMMIT,
	SQ_ST_PROGRESS,
	SQ_ST_A,
	SQ_ST_B,
	SQ_ST_GAP,
	SQ_ST_FRESH,
	SQ_ST_CHANGE,
	SQ_ST_COVER,
	SQ_ST_DOWN,
	SQ_ST_CLOSE,
	SQ_ST_KNOWN,
	SQ_ST_TRIM,
	SQ_ST_LIVES,
	SQ_ST_SUM_A,
	SQ_ST_SUM_B,
	SQ_ST_DROP_A,
	SQ_ST_DROP_B,
	SQ_ST_LOST,
	SQ_ST_COUNT
};
#define SQ_ST_STAMPED SQ_ST_A
#define SQ_ST_RECEIVED SQ_ST_B
#define SQ_ST_FOREIGN SQ_ST_A

struct sq_sink {
	struct ctf_obj obj;
	sqlite3 *db;
	sqlite3_stmt *st[SQ_ST_COUNT];
	struct sq_table table;
	struct sq_past *past; /* in the state page: the last group */
	char spool[80];       /* this run's key of the progress table */
	bool known;           /* done is */
	uint64_t done;        /* the last frame committed */

	struct sq_layout layout; /* of the frames at hand */
	int map[F_COUNT];        /* native: places in the layout, or -1 */
	bool or_abort;           /* the table's own ON CONFLICT broke a transaction */

	struct sq_ref *refs;
	unsigned n, room, stamped, living;
	unsigned from, to;     /* what the virtual table shows */
	uint64_t rows, stored; /* of this transaction */
	uint64_t since;        /* when it was opened first */

	int64_t horizon;    /* no flow that began later is in open_flows; -1: none is */
	uint64_t seen_from; /* of this transaction: when the first was seen; 0: none */
	bool sweeping;      /* records of a sweep came, but not yet its note */

	bool said_busy;
	uint64_t said_ns;  /* when refused rows were logged last */
	uint64_t unsaid;   /* rows refused since */
	uint64_t refusing; /* in this transaction */
	char reason[160];  /* for the last one */
	ctf_counter *refused, *repeats;
};

#define SQ_ROWS "ctflow_rows" /* the virtual table a group is read from */

#define SQ_CONF(s) ((const struct sq_conf *)(s)->obj.conf)

int sq_sink_open(void *sink, int *ret_err, struct ctf_err *);
void sq_sink_close(void *sink);
/* sqlite3_group.c */
enum ctf_sent sq_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			 unsigned *ret_taken, struct ctf_err *);

/* sqlite3_conn.c: the connection; SQLite result codes. */
int sq_conn_open(struct sq_sink *, struct ctf_err *);
void sq_conn_close(struct sq_sink *);
int sq_prepare(struct sq_sink *, int which, const char *sql);
int sq_run(sqlite3_stmt *);
bool sq_conn_moved(const struct sq_sink *);
/* Says in err what the last call on this database met; -errno. */
int sq_fail(const struct sq_sink *, struct ctf_err *, int rc, const char *doing);
/* Looks at a table without leaving a trace, for less than 2 s. */
int sq_probe_look(const char *path, const char *table, struct sq_table *ret_table);
bool sq_is_busy(int rc);

/*
 * sqlite3_native.c, sqlite3_foreign.c: statements and rows; result codes, of
 * which SQLITE_FORMAT means a row that is none.
 */
int sq_native_ready(struct sq_sink *);
void sq_native_map(struct sq_sink *);
int sq_native_store(struct sq_sink *);
/* Where the row went in its table, for sqlite3_open.c. */
struct sq_key {
	sqlite3_int64 destroy_ns, id, start_ns, nsid;
};
int sq_native_key(struct sq_sink *, const struct sq_ref *, struct sq_key *ret_key);
/* sqlite3_open.c: the flows that live. */
int sq_open_ready(struct sq_sink *);
/* The living rows of this group are in s->from..to. */
int sq_open_store(struct sq_sink *);
/* These ends are stored: their flows live no more. */
int sq_open_ended(struct sq_sink *, bool stamped, unsigned from, unsigned to);
int sq_open_swept(struct sq_sink *, const struct sq_row *);
/* sqlite3_cover.c */
int sq_note_ready(struct sq_sink *);
int sq_note_store(struct sq_sink *, const struct sq_row *);
int sq_foreign_map(struct sq_sink *);
int sq_foreign_store(struct sq_sink *);
/* Counts the rows refused by what was committed; logs them now and then. */
void sq_foreign_say(struct sq_sink *, bool last);

/*
 * sqlite3_past.c: whether the last group of a killed daemon was committed.
 * Opened with the progress table there.
 */
void sq_past_open(struct sq_sink *s);
/* Around the commit of a group that ends with that frame. */
void sq_past_begin(struct sq_sink *s, const struct ctf_frame *last);
void sq_past_end(struct sq_sink *s, bool committed);

#endif
