/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix.h - what the files of the IPFIX output share. */
#ifndef CTF_IPFIX_H
#define CTF_IPFIX_H

#include "ipfix_template.h"
#include "session.h"
#include "tls.h"

#define IPFIX_HEADER 16u   /* octets of a message header */
#define IPFIX_SET 4u       /* octets of a set header */
#define IPFIX_MTU_MIN 256u /* room for any one record or template, and headers */

enum { IPFIX_UDP, IPFIX_TCP, IPFIX_TLS, IPFIX_FILE }; /* ipfix_conf.proto */
enum { IPFIX_MODE_ALL, IPFIX_MODE_FAILOVER };         /* ipfix_conf.mode */
enum { IPFIX_ONCE, IPFIX_ALWAYS, IPFIX_NEVER };       /* ipfix_conf.send_template */

struct ipfix_conf {
	uint64_t oid, port, mtu, refresh, refresh_packets, pen, resend;
	uint64_t rotate_size, rotate_time;
	const char *host, *source, *file_path;
	unsigned preset, proto, mode, send_template;
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

/* ---- ipfix_encode.c -------------------------------------------------------- */

struct ipfix_step { /* one element of a record: how, and from which slots */
	uint8_t kind, b;
	ctf_ref a;
};

struct ipfix_program { /* one template */
	uint16_t id, len;
	unsigned n;
	struct ipfix_step step[IPFIX_ELEMS];
};

struct ipfix_programs {
	struct ipfix_refs refs;
	struct ipfix_program of[IPFIX_VARIANTS][IPFIX_SHAPES];
};

/* From the slots in refs. */
void ipfix_programs_make(struct ipfix_programs *, bool own);
/* Appends the record to a message that ipfix_finish() completes. */
enum ctf_put ipfix_append(const struct ipfix_programs *, const struct ctf_rec *,
			  struct ctf_frame *);
void ipfix_finish(struct ctf_frame *);
/* Room for n octets behind what is there, in a set with that id; NULL: full. */
uint8_t *ipfix_room(struct ctf_frame *, uint16_t id, uint32_t n);

/* Data Records of a finished message, options included (RFC 7011 section 3.1). */
static inline uint32_t
ipfix_records(const struct ctf_frame *f)
{
	return ipfix_get32(f->p + 8);
}

/* ---- ipfix_options.c: what was lost, what was watched ------------------------ */

struct ipfix_told {           /* by an encoder, in options records */
	uint64_t lost;        /* flows, for certain or at most */
	uint64_t covered[64]; /* hashes of the stretches told last */
	unsigned n;
};

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

struct ipfix_domain { /* an observation domain within the session */
	uint32_t id, sequence;
	uint64_t layout;       /* announced, if any */
	bool announced, again; /* again: the collector may have forgotten */
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
	uint8_t *announcement; /* messages with templates */
	uint32_t announcement_len, announcement_done;

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
	bool said_refused, said_split;

	ctf_counter *messages, *templates, *refused, *split, *errors, *most;
};

/* UDP, at the start of a session: how large a message may be. */
void ipfix_udp_measure(struct ipfix_sink *);
int ipfix_open(void *sink, int *ret_err, struct ctf_err *err);
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
/* Templates go out before this frame does. */
bool ipfix_due(const struct ipfix_sink *, const struct ipfix_domain *,
	       const struct ctf_layout *);
/* Makes the announcement: messages of at most limit bytes.  0 or -errno. */
int ipfix_announce(struct ipfix_sink *, struct ipfix_domain *, const struct ctf_layout *,
		   uint32_t limit);
/* The header of a message of that length as it goes out now; counts its records. */
void ipfix_head(struct ipfix_sink *, struct ipfix_domain *, uint32_t len, uint32_t records,
		uint8_t head[IPFIX_HEADER]);
/* Octets of a record of that template, 0 if the layout has no such. */
uint32_t ipfix_record_len(const struct ctf_layout *, uint16_t id);

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
