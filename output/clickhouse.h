/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clickhouse.h - CLICKHOUSE: what its files share. */
#ifndef CTF_OUTPUT_CLICKHOUSE_H
#define CTF_OUTPUT_CLICKHOUSE_H

#include "clickhouse_http.h"
#include "past.h"
#include "sqlite3_row.h"

#define CH_SCHEMA 1
#define CH_SERVERS 16u

struct ch_conf {
	const char *host, *db, *user, *password_file, *exporter, *cluster;
	const char *tls_ca, *tls_cert, *tls_key;
	uint64_t port, batch_rows, batch_time, connect_timeout, timeout;
	bool create, tls;
	char host_name[256]; /* what exporter is when it is not given */
	char *password;      /* as probe() has read it */
};

/* ---- clickhouse_row.c: what the encoder writes, as RowBinary has it ------------- */

enum {               /* flags of a row, beside those of sqlite3_row.h */
       CH_OPEN = 16, /* of a flow that lives */
       CH_DELTA = 32 /* which set its counters to 0 */
};

/* The columns of flows_raw and open_raw that have one size, in this order. */
struct ch_fixed {
	uint8_t outer[16];
	int32_t outer_port;
	int64_t at_ns; /* open_raw: seen_ns */
	int32_t nsid;
	int64_t id, start_ns, end_ns;
	uint8_t stamped;
	int16_t proto;
	uint8_t src[16];
	int32_t sport;
	uint8_t dst[16];
	int32_t dport;
	uint8_t nat_src[16];
	int32_t nat_sport;
	uint8_t nat_dst[16];
	int32_t nat_dport;
	int16_t icmp_type, icmp_code;
	int64_t counters[4];
	uint32_t mark;
	uint16_t zone;
	int64_t status;
	int16_t tcp_state, end_reason;
} __attribute__((packed));

enum ch_field {
	CH_SADDR, /* the first three must be there */
	CH_DADDR,
	CH_PROTO,
	CH_START,
	CH_LAST,
	CH_STOP,
	CH_SPORT,
	CH_DPORT,
	CH_RSADDR,
	CH_RDADDR,
	CH_RSPORT,
	CH_RDPORT,
	CH_ICMP_TYPE,
	CH_ICMP_CODE,
	CH_ICMP6_TYPE,
	CH_ICMP6_CODE,
	CH_NSID,
	CH_ID,
	CH_PACKETS,
	CH_BYTES,
	CH_RPACKETS,
	CH_RBYTES,
	CH_MARK,
	CH_ZONE,
	CH_STATUS,
	CH_TCP_STATE,
	CH_REASON,
	CH_SRC_NAME,
	CH_DST_NAME,
	CH_FIELDS
};

struct ch_enc {
	struct ctf_obj obj;
	ctf_ref ref[CH_FIELDS];
	const char *source;
	enum ctf_interim interim;
};

extern const char ch_columns[], ch_open_columns[]; /* of a row, comma between */
int ch_fields_want(struct ch_enc *, struct ctf_err *);
const char *ch_exporter(const struct ch_conf *);
bool ch_row_whole(const uint8_t *p, size_t n, bool lives);
bool ch_row_put(const struct ch_enc *, const struct ctf_rec *, struct ctf_frame *);
/* The columns' names go with the frames: a later version may have others. */
bool ch_layout_put(struct ctf_frame *);
int ch_layout_check(const struct ctf_layout *);

/* ---- clickhouse_ddl.c ------------------------------------------------------------ */

struct ch_dialect {
	const char *db, *cluster; /* "": none */
	unsigned version;         /* of the server: 1816 is 18.16 */
};

struct ch_table {
	const char *name, *columns; /* "name Type, name Type" */
	const char *version;        /* its column, or NULL */
	const char *partition, *order, *shard;
};

#define CH_PROJECTIONS 2500u /* servers from that version on have them for such tables */
extern const struct ch_table ch_tables[];
/* Every statement in its order; stops at the first that returns other than 0. */
int ch_ddl(const struct ch_dialect *, int (*run)(void *arg, const char *sql), void *arg);

/* ---- clickhouse_note.c: stretches of coverage, and gaps ---------------------------- */

struct ch_note;
struct ch_notes {         /* what the server has of late, and what it is to get */
	uint64_t version; /* of the row written last */
	unsigned nrows;
	struct ch_note *row;
};

struct ch;
int ch_notes_load(struct ch *, struct ctf_err *);
void ch_notes_part(struct ch *, unsigned servers);
int ch_notes_take(struct ch *, const struct sq_row *);
int ch_notes_post(struct ch *, struct ctf_err *);
void ch_notes_free(struct ch_notes *);

/* ---- clickhouse_open.c: flows that live ---------------------------------------------- */

/* What the server knows of them, at the first open. */
int ch_open_load(struct ch *, struct ctf_err *);
/* The end of a flow that a sweep may have seen. */
bool ch_open_may(const struct ch *, const struct ch_fixed *);
/* Of the row that says so: above those of all its sightings. */
uint64_t ch_ended_version(const struct ch_fixed *);
/* After the rows of a sweep. */
int ch_swept(struct ch *, const struct sq_swept *, struct ctf_err *);

/* ---- clickhouse_delta.c: counters that sweeps set to 0 ------------------------------- */

struct ch_ref;
int ch_delta_load(struct ch *, struct ctf_err *);
/* The rows of the frames at hand get what belongs to them. */
int ch_delta_take(struct ch *);
int ch_delta_end(struct ch *, struct ch_ref *);
void ch_delta_done(struct ch *);
void ch_delta_tidy(struct ch *, uint64_t now);
void ch_delta_free(struct ch *);

/* ---- clickhouse_conn.c ---------------------------------------------------------------- */

struct ch_server {
	char host[256];
	uint16_t port;
};

struct ch_ref { /* a row of the frames at hand */
	const uint8_t *p;
	uint32_t len;
	int32_t day; /* of at_ns, or what else it is; what comes first is sent first */
	const struct ch_taken *taken; /* an end: by sweeps, before */
};

enum { CH_DAY_DELTA = -3, CH_DAY_OPEN, CH_DAY_NOTE };
#define CH_DAY_NS UINT64_C(86400000000000)

struct ch { /* the sink */
	struct ctf_obj obj;
	struct ch_http http;
	unsigned server; /* of the list, */
	bool failed;     /* which did not take what it was sent */
	char where[300]; /* "db" on host port n */
	char *password;  /* of this session */
	unsigned version;
	bool up, said_making;
	struct past *past;
	char spool[80];
	struct ch_ref *refs;
	unsigned n, room;
	struct ch_notes notes;
	unsigned wrote;   /* the server that took the last insert, and one; 0: none did */
	uint64_t noted;   /* version of the last row of coverage, wherever */
	uint64_t part_ns; /* older rows are about what may have gone on elsewhere */
	struct {
		char boot[64]; /* ours */
		uint64_t at_ns, alive_ns;
		bool said;
	} others;            /* that feed it by our name */
	uint64_t min_age_ns; /* sweeps leave younger flows out; UINT64_MAX: there were none */
	bool looked;         /* for that */
	struct ch_delta *delta; /* NULL: no sweep sets counters to 0 */
	uint8_t **copies;       /* rows with other counters, of the frames at hand */
	unsigned ncopies;
	uint64_t since_ns; /* when it was opened first */
	ctf_counter *posts, *failovers;
};

#define CH_CONF(s) ((const struct ch_conf *)(s)->obj.conf)

/* The i-th of host=; 1, 0 after the last, -EINVAL. */
int ch_server_nth(const struct ch_conf *, unsigned i, struct ch_server *ret_server);
unsigned ch_servers(const struct ch_conf *);
int ch_password_read(const char *path, char **ret_password);
void ch_password_forget(char **password);
int ch_session(struct ch *, struct ctf_err *);
/* A statement; what it answers is the caller's, NULL: of no interest. */
int ch_run(struct ch *, const char *sql, struct buf *ret_text, struct ctf_err *err);
/* INSERT INTO db.table(columns): a body of rows. */
int ch_insert(struct ch *, const char *table, const char *columns, struct ch_body *,
	      struct ctf_err *);
/* A statement in the making; text in quotes. */
void ch_put_quoted(struct buf *, const char *text);

/* ---- clickhouse_sink.c ------------------------------------------------------------------ */

int ch_ref_add(struct ch *, const uint8_t *p, uint32_t len, int32_t day);
int ch_open(void *sink, int *ret_err, struct ctf_err *);
enum ctf_sent ch_deliver(void *sink, const struct ctf_frame *const *, unsigned n,
			 unsigned *ret_taken, struct ctf_err *);
void ch_close(void *sink);

#endif
