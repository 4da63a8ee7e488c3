/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix.h - what the files of the IPFIX output share. */
#ifndef CTF_IPFIX_H
#define CTF_IPFIX_H

#include "ipfix_template.h"
#include "session.h"
#include "tls.h"

#define IPFIX_HEADER 16u      /* octets of a message header */
#define IPFIX_SET 4u          /* octets of a set header */
#define IPFIX_MTU_MIN 256u    /* room for any one record or template, and headers */
#define IPFIX_UDP_HEADERS 48u /* IPv6 and UDP; 20 less with IPv4 */

enum { IPFIX_UDP, IPFIX_TCP, IPFIX_TLS, IPFIX_FILE }; /* ipfix_conf.proto */
enum { IPFIX_MODE_ALL, IPFIX_MODE_FAILOVER };         /* ipfix_conf.mode */
enum { IPFIX_MS, IPFIX_NS };                          /* ipfix_conf.timestamps */
enum { IPFIX_ONCE, IPFIX_ALWAYS, IPFIX_NEVER };       /* ipfix_conf.send_template */

struct ipfix_conf {
	uint64_t oid, port, mtu, refresh, refresh_packets, options_interval, pen, resend;
	uint64_t rotate_size, rotate_time;
	const char *host, *source, *file_path, *zone_names;
	unsigned preset, proto, mode, send_template, timestamps, nat_events, flow_events;
	bool uniflow, flows;
	struct tls_conf tls;
	struct tls_files *tls_files; /* by probe(); NULL without TLS */
};

/* The largest message this output makes: what `mtu` leaves for it. */
uint32_t ipfix_limit(const struct ipfix_conf *);

static inline void
ipfix_put16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static inline void
ipfix_put32(uint8_t *p, uint32_t x)
{
	ipfix_put16(p, (uint16_t)(x >> 16));
	ipfix_put16(p + 2, (uint16_t)x);
}

static inline uint16_t
ipfix_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
ipfix_get32(const uint8_t *p)
{
	return (uint32_t)ipfix_get16(p) << 16 | ipfix_get16(p + 2);
}

/* ---- ipfix_program.c, ipfix_encode.c ------------------------------------------ */

/* How and how long in one, so that a step costs one jump. */
enum ipfix_step_kind {
	NUM8,
	NUM4,
	NUM2,
	NUM1,
	MSEC,
	NTP,
	WHEN_MSEC,
	WHEN_NTP,
	ADDR4,
	ADDR16,
	ICMP,
	ICMP_BACK,
	ICMP6_BACK,
	CONST,
	BY_EVENT
};

struct ipfix_step { /* one element of a record: how, and from which slots */
	uint8_t kind, b;
	ctf_ref a;
};

struct ipfix_program { /* one template */
	uint16_t id, len;
	unsigned n;
	struct ipfix_step step[IPFIX_ELEMS];
};

/* ---- ipfix_case.c ------------------------------------------------------------- */

enum ipfix_move_kind {
	MOVE_NUM8, /* as the first steps */
	MOVE_NUM4,
	MOVE_NUM2,
	MOVE_NUM1,
	MOVE_MSEC,
	MOVE_ADDR4,
	MOVE_FIX4, /* the number b itself */
	MOVE_FIX1,
	MOVE_USUAL, /* most records have no others */
	MOVE_FIX8 = MOVE_USUAL,
	MOVE_FIX2,
	MOVE_NTP,
	MOVE_ADDR16,
	MOVE_ICMP,
	MOVE_KINDS
};

struct ipfix_move {    /* one value: where to, and from which slots */
	uint16_t at;   /* octets from the begin of what is written, */
	uint16_t from; /* and of the record to the first slot */
	uint16_t a, b;
};

struct ipfix_moves { /* a program, for records with certain fields */
	uint16_t id, len;
	uint8_t end[MOVE_KINDS]; /* those of a kind stand together, in pairs */
	struct ipfix_move move[IPFIX_ELEMS + MOVE_KINDS];
};

struct ipfix_case { /* which fields, and what follows */
	uint64_t set[2];
	uint8_t family, kind;
	bool reply;
	unsigned pairs;
	struct { /* these differ in a translated flow; CTF_NONE: 0 */
		ctf_ref a, b;
	} pair[3];
	struct ipfix_moves plain, nat;
};

#define IPFIX_CASES 16u

struct ipfix_programs {
	struct ipfix_refs refs;
	struct ipfix_form form;
	bool plain;       /* a record becomes one record */
	uint64_t need[2]; /* the slots every record has */
	struct ipfix_program of[IPFIX_VARIANTS][IPFIX_SHAPES];
	struct ipfix_program back[IPFIX_VARIANTS][IPFIX_SHAPES]; /* uniflow: the replies */
	struct ipfix_program nat[2];                             /* with ports; ICMP */
	struct ipfix_program event[2];                           /* IPv4, IPv6 */
	unsigned ncases, last, oldest;
	struct ipfix_case cases[IPFIX_CASES];
};

enum ipfix_shape ipfix_shape_of(const struct ipfix_refs *, const struct ctf_rec *, bool nat);
enum ipfix_variant ipfix_variant_of(const struct ipfix_refs *, const struct ctf_rec *);
/* How to write a record that becomes one flow record (ipfix_programs.plain). */
const struct ipfix_moves *ipfix_case(struct ipfix_programs *, const struct ctf_rec *);
void ipfix_write(const struct ipfix_moves *, const struct ctf_rec *, uint8_t *out);

/* From the slots in refs. */
void ipfix_programs_make(struct ipfix_programs *, const struct ipfix_form *);
/* It has addresses and protocol. */
static inline bool
ipfix_complete(const struct ipfix_programs *ps, const struct ctf_rec *r)
{
	return !((ps->need[0] & ~r->set[0]) | (ps->need[1] & ~r->set[1]));
}

/* 32.32 bits since 1900, modulo 2^32 seconds (RFC 7011 section 6.1.9). */
uint64_t ipfix_ntp(uint64_t ns);
/*
 * Appends a complete record to a message that ipfix_finish() completes; CTF_SKIP:
 * the form has no records for such.
 */
enum ctf_put ipfix_append(struct ipfix_programs *, const struct ctf_rec *, struct ctf_frame *);
void ipfix_finish(struct ctf_frame *);
/* Room for n octets behind what is there, in a set with that id; NULL: full. */
uint8_t *ipfix_room(struct ctf_frame *, uint16_t id, uint32_t n);

/* Data Records of a finished message, options included (RFC 7011 section 3.1). */
static inline uint32_t
ipfix_records(const struct ctf_frame *f)
{
	return ipfix_get32(f->p + 8);
}

/* The frame begins with the name of its domain. */
static inline bool
ipfix_is_named(const struct ctf_frame *f)
{
	return ipfix_get16(f->p + IPFIX_HEADER) == IPFIX_NAME_ID;
}

/* Those that are of flows; what stands aside (recs 0) is options records. */
static inline uint32_t
ipfix_flows(const struct ctf_frame *f)
{
	return f->recs ? ipfix_records(f) - ipfix_is_named(f) : 0;
}

/* ---- ipfix_options.c: what was lost, what was watched ------------------------ */

#define IPFIX_DOMAINS 64u   /* that are told about one by one */
#define IPFIX_NAME_MOST 64u /* octets */

struct ipfix_lost { /* by the input, in a domain */
	uint32_t domain;
	uint64_t flows, first_ns, last_ns;
	uint64_t passed; /* of flows: to the encoder after this one */
};

struct ipfix_told {       /* by an encoder, in options records */
	const char *self; /* the output's own name */
	char host[65];
	uint64_t boot_ns;     /* when the host was started */
	uint64_t lost;        /* flows, for certain or at most */
	uint64_t passed;      /* of these, as above */
	uint64_t covered[64]; /* hashes of the stretches told last */
	uint64_t named[64];   /* and of names */
	unsigned n, nnamed, nlost;
	struct ipfix_lost by[IPFIX_DOMAINS];
};

void ipfix_told_init(struct ipfix_told *, const char *self);
/* A reload: totals go on; again, and only what has come since is added. */
void ipfix_told_go_on(struct ipfix_told *, struct ipfix_told *before);
/*
 * At the beginning of a frame with flows of another namespace: what it is
 * called, unless that was told.  untell: it was not, after all.
 */
bool ipfix_tell_netns(struct ipfix_told *, const union ctf_val *netns, struct ctf_frame *);
void ipfix_untell_name(struct ipfix_told *);
#define IPFIX_NAMED_LEAST 400u /* octets of a frame that has room for that, too */
/* Both set the frame's stream. */
enum ctf_put ipfix_gap(struct ipfix_told *, const struct ipfix_conf *, const struct ctf_gap *,
		       struct ctf_frame *);
/*
 * Frames of gaps may have changed places since they were made: the total in
 * this one, if it is one, is no less than *most, which it becomes.
 */
void ipfix_gap_total(const struct ctf_frame *, uint64_t *most);
/* CTF_SKIP: nothing has changed, or there is no enterprise number to say it with. */
enum ctf_put ipfix_coverage(struct ipfix_told *, const struct ipfix_conf *,
			    const struct ctf_coverage *, struct ctf_frame *);

/* ipfix_doubts.c: of probe() */
void ipfix_doubts(const struct ctf_ctx *, const struct ipfix_conf *);

/* ---- ipfix_peers.c: the collectors ------------------------------------------- */

#define IPFIX_PEERS 16u /* at most */

struct ipfix_peer {
	char host[256], port[8];
};

/* The nth of host=, from 0: 1, 0 after the last, -EINVAL: it is none. */
int ipfix_peer_nth(const struct ipfix_conf *, unsigned nth, struct ipfix_peer *ret_peer);
/* How many there are; -EINVAL, -E2BIG. */
int ipfix_peers(const struct ipfix_conf *);
/* A callback of struct ctf_plugin. */
unsigned ipfix_sinks(const void *conf);

/* ---- the sink: ipfix_sink.c, ipfix_tcp.c, ipfix_udp.c ------------------------ */

#define IPFIX_KNOWN_MOST 80u

struct ipfix_known {     /* an options record that is said again in each session */
	uint64_t layout; /* of its template */
	uint32_t len;    /* 0: none yet */
	uint8_t set[IPFIX_SET + IPFIX_KNOWN_MOST];
};

struct ipfix_total { /* sent, of an observation domain, since the sink exists */
	uint32_t domain;
	uint64_t messages, octets, flows;
	struct ipfix_known name, lost; /* what the encoder said last */
};

struct ipfix_domain { /* an observation domain within the session */
	uint32_t id, sequence;
	struct ipfix_total *total; /* or NULL */
	uint64_t told_ms;          /* when the collector last got them */
	uint64_t layout;           /* announced, if any */
	bool announced, again;     /* again: the collector may have forgotten */
	uint64_t announced_ms, group;
	uint64_t packets; /* UDP: sent since */
};

struct ipfix_file { /* proto=file */
	int timer;  /* of rotate_time, or -1 */
	uint64_t dev, ino;
	uint64_t off;              /* it holds that many octets of whole messages */
	uint32_t begun;            /* Export Time of the first of them */
	uint64_t end_ms, stuck_ms; /* rotate_time; not to be renamed before */
	uint64_t upto;             /* ctf_frame.upto of what was written */
	bool said;
	struct ipfix_written *written; /* in the state page */
	ctf_counter *errors, *finished;
};

struct ipfix_sink {
	struct ctf_obj o;
	bool up;
	int fd;
	uint64_t settled;     /* UDP: survives sessions */
	uint64_t group;       /* deliver() calls */
	uint64_t now_ms;      /* monotonic */
	uint32_t export_time; /* s since 1970 */

	struct ipfix_domain *domain;
	unsigned domains;
	struct ipfix_total total[IPFIX_DOMAINS]; /* survives sessions */
	unsigned totals;
	uint8_t *announcement; /* messages with templates */
	uint32_t announcement_len, announcement_done, announcement_records;

	uint64_t begun; /* the frame partly sent, begun_done > 0 bytes of it */
	uint32_t begun_done;

	unsigned peer, peer_said; /* the collector of this session */
	uint64_t peer_failed_ms[IPFIX_PEERS];
	bool own_end; /* the session ends because we want another one */

	/* TCP, TLS */
	struct tls *tls; /* NULL: plain */
	bool has_layout;
	uint64_t layout; /* of the session */
	struct session session;
	uint8_t begun_head[IPFIX_HEADER];
	uint64_t lost; /* told so far, also in sessions before */

	struct ipfix_file file;

	/* UDP */
	uint32_t limit;
	struct ipfix_generations *generations; /* in the state page */
	bool has_shift;
	uint16_t shift; /* of the layout asked for last */
	uint64_t shift_of;
	uint8_t *shifted; /* copies of frames with other template ids */
	bool said_refused, said_split;

	ctf_counter *messages, *templates, *refused, *split, *errors, *most;
};

/* UDP, at the start of a session: how large a message may be. */
void ipfix_udp_measure(struct ipfix_sink *);
int ipfix_open(void *sink, int *ret_err, struct ctf_err *err);
int ipfix_usable(void *sink, struct ctf_err *err);
enum ctf_sent ipfix_deliver(void *sink, const struct ctf_frame *const *frames, unsigned n,
			    unsigned *ret_taken, struct ctf_err *err);
uint64_t ipfix_settled(void *sink);
uint64_t ipfix_needed(void *sink);
enum ctf_sent ipfix_idle(void *sink, struct ctf_err *err);
int ipfix_reopen(void *sink, struct ctf_err *err);
void ipfix_close(void *sink);

/* Connects to the collector, the first that can be reached; the socket or -errno. */
int ipfix_connect(struct ipfix_sink *, struct ctf_err *err);
/* The session was broken: with failover, the next is another collector's turn. */
void ipfix_peer_failed(struct ipfix_sink *);

/* Reads the clocks; before each system call that sends. */
void ipfix_clock(struct ipfix_sink *);
/* The domain's state in this session; NULL: no memory. */
struct ipfix_domain *ipfix_domain(struct ipfix_sink *, uint32_t id);
/* Something goes out before this frame does: templates, or statistics. */
bool ipfix_due(const struct ipfix_sink *, const struct ipfix_domain *,
	       const struct ctf_layout *);
bool ipfix_templates_due(const struct ipfix_sink *, const struct ipfix_domain *,
			 const struct ctf_layout *);
/* Octets of a record of that template, 0 if the layout has no such. */
uint32_t ipfix_record_len(const struct ctf_layout *, uint16_t id);

/* ---- ipfix_announce.c -------------------------------------------------------- */

#define IPFIX_PARTING 64u

bool ipfix_statistics_due(const struct ipfix_sink *, const struct ipfix_domain *);
/* Makes the announcement: messages of at most limit bytes.  0 or -errno. */
int ipfix_announce(struct ipfix_sink *, struct ipfix_domain *, const struct ctf_layout *,
		   uint32_t limit);
/* A frame went out: what it said of its domain is to be said again. */
void ipfix_learn(struct ipfix_sink *, const struct ctf_frame *);
/* The last message of a session; octets, 0: there is none. */
uint32_t ipfix_parting(struct ipfix_sink *, struct ipfix_domain *, uint8_t out[IPFIX_PARTING]);
/*
 * The header of a message of that length as it goes out now; counts its
 * records, and which of them are flows.  unhead: it did not go out.
 */
void ipfix_head(struct ipfix_sink *, struct ipfix_domain *, uint32_t len, uint32_t records,
		uint32_t flows, uint8_t head[IPFIX_HEADER]);
void ipfix_unhead(struct ipfix_domain *, uint32_t len, uint32_t records, uint32_t flows);
/*
 * The header of a message of the announcement, as it goes out (head may be its
 * own); returns its records.
 */
uint32_t ipfix_stamp(struct ipfix_sink *, struct ipfix_domain *, uint8_t *msg,
		     uint8_t head[IPFIX_HEADER]);
void ipfix_unstamp(struct ipfix_domain *, uint32_t len, uint32_t records);
/* Of all of them: they go out one after the other; unstamp: or none did. */
void ipfix_stamp_all(struct ipfix_sink *, struct ipfix_domain *);
void ipfix_unstamp_all(struct ipfix_sink *, struct ipfix_domain *);
/* Length of the set at p; 0 when there is none. */
uint32_t ipfix_set_len(const uint8_t *p, const uint8_t *end);

/* ---- ipfix_shift.c ------------------------------------------------------------ */

#define IPFIX_UDP_MOST 65507u /* IPv4: 65535 less IP and UDP header */

/* To be added to the template ids of a layout and its frames. */
uint16_t ipfix_shift(struct ipfix_sink *, const struct ctf_layout *);
void ipfix_shift_set(uint8_t *set, uint16_t by);
/*
 * The frame as it goes out, header apart: itself, or a copy in that one of so
 * many slots, until the next for that slot; NULL: no memory.
 */
uint8_t *ipfix_shifted(struct ipfix_sink *, const struct ctf_frame *, unsigned slot,
		       unsigned slots);

/* ---- ipfix_tcp.c, ipfix_udp.c ------------------------------------------------- */

enum ctf_sent ipfix_tcp_deliver(struct ipfix_sink *, const struct ctf_frame *const *frames,
				unsigned n, unsigned *ret_taken, struct ctf_err *err);
/* ipfix_file_open.c */
int ipfix_file_open(struct ipfix_sink *, struct ctf_err *err);
int ipfix_file_reopen(struct ipfix_sink *, struct ctf_err *err);
void ipfix_file_close(struct ipfix_sink *);
/* ipfix_file.c */
enum ctf_sent ipfix_file_deliver(struct ipfix_sink *, const struct ctf_frame *const *frames,
				 unsigned n, unsigned *ret_taken, struct ctf_err *err);
enum ctf_sent ipfix_file_idle(struct ipfix_sink *, struct ctf_err *err);
enum ctf_sent ipfix_udp_deliver(struct ipfix_sink *, const struct ctf_frame *const *frames,
				unsigned n, unsigned *ret_taken, struct ctf_err *err);

/* ---- ipfix_tls.c ------------------------------------------------------------ */

int ipfix_probe(void *conf, struct ctf_ctx *, struct ctf_err *);
void ipfix_unprobe(void *conf);
uint16_t ipfix_port(const struct ipfix_conf *);
/* proto=tcp or tls. */
static inline bool
ipfix_is_stream(const struct ipfix_conf *c)
{
	return c->proto == IPFIX_TCP || c->proto == IPFIX_TLS;
}
/* The session on a socket just connected to that host: 0 or -errno. */
int ipfix_begin(struct ipfix_sink *, int fd, const char *host, struct ctf_err *);
/* In words, why session_...() failed with that. */
const char *ipfix_reason(const struct ipfix_sink *, int error);

#endif
