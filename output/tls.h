/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls.h - TLS 1.2 and 1.3 as the client, on a connected TCP socket of a sink.
 *
 * The collector's certificate is verified by chain and by name, always; there
 * is no way to go on without.  Nothing here raises a signal, and nothing but
 * tls_open() and tls_end() waits, both with a time limit and in ctf_wait().
 */
#ifndef CTF_TLS_H
#define CTF_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include <ctflow/plugin.h>

struct session_io;

struct tls_conf { /* what the options of these names say; "": not given */
	const char *ca, *cert, *key, *name;
};

/* Lines of an option table; M(member) is the offset of a member of tls_conf. */
#define TLS_OPTIONS(M) \
	{ "tls_ca", \
	  CTF_OTEXT, \
	  M(ca), \
	  0, \
	  4095, \
	  "", \
	  NULL, \
	  "tls: PEM file with the authorities that may vouch for the collector; none = the " \
	  "system's" }, \
		{ "tls_cert", \
		  CTF_OTEXT, \
		  M(cert), \
		  0, \
		  4095, \
		  "", \
		  NULL, \
		  "tls: PEM file with our certificate, and the chain to its authority behind " \
		  "it" }, \
		{ "tls_key", \
		  CTF_OTEXT, \
		  M(key), \
		  0, \
		  4095, \
		  "", \
		  NULL, \
		  "tls: PEM file with the private key of tls_cert, without a passphrase; " \
		  "none = the " \
		  "same file" }, \
	{ \
		"tls_name", CTF_OTEXT, M(name), 0, 255, "", NULL, \
			"tls: DNS name or IP address that the collector's certificate must " \
			"be for; none = " \
			"host" \
	}

/* ---- tls_files.c: certificates and keys ---------------------------------------- */

/*
 * As they were read, for all sinks.  Before each connection they are read again
 * if they have changed; should they be unreadable (we may not be root any more)
 * or wrong by then, the log says so and what was read before goes on being used.
 */
struct tls_files;

/*
 * In probe(): reads them, so that what is wrong with them is a mistake in the
 * configuration, found by -n and while we may still read the key.  0, or
 * -errno with the option and its line in err.
 */
int tls_files_read(const struct ctf_ctx *, const struct tls_conf *,
		   struct tls_files **ret_files, struct ctf_err *);
void tls_files_free(struct tls_files *);

/* ---- tls.c: a session ------------------------------------------------------------ */

struct tls;

/*
 * Shakes hands on fd, which stays the caller's, with a collector that must be
 * tls_name, else host.  0; or -errno, never one that means a mistake in the
 * configuration, with the reason in err: then not a byte but the handshake's
 * has left.
 */
int tls_open(struct ctf_ctx *, const struct tls_conf *, struct tls_files *, int fd,
	     const char *host, int timeout_ms, struct tls **ret_tls, struct ctf_err *);
void tls_free(struct tls *);

/*
 * Bytes taken, -EAGAIN when nothing fits now, else -errno.  What was taken is
 * on its way: it need not be given again in this session.
 */
ssize_t tls_sendv(struct tls *, const struct iovec *, size_t n);
/* Bytes of the TCP stream that all that was taken became. */
uint64_t tls_made(const struct tls *);
/* Where of these that byte ends that was `behind` ones before the end of the last call. */
uint64_t tls_at(const struct tls *, size_t behind);
/* Of these the bytes that do not fit into the socket yet; sends what fits now. */
uint64_t tls_held(struct tls *);

/*
 * Is the session alive?  0, -EPIPE after an orderly end that the peer itself
 * has authenticated (close_notify), else -errno: -ECONNABORTED after a mere FIN,
 * which anybody on the way, or the kernel of a peer that was killed, can send;
 * as the answer to our own goodbye it will do.
 * What the peer sends is read and thrown away, tickets and new keys apart.
 */
int tls_peer(struct tls *);
/* Why tls_sendv() or tls_peer() failed. */
const char *tls_reason(const struct tls *);

/*
 * Says the end to the peer and shuts the socket for writing; waits up to wait_ms
 * to get rid of what is held.  0 or -errno.
 */
int tls_goodbye(struct tls *, int wait_ms);
/*
 * The same if need be, and waits up to wait_ms for the peer's end.  0: its end is
 * an orderly one, its TCP's as well; -ETIMEDOUT: there is none yet; else -errno.
 */
int tls_end(struct tls *, int wait_ms);

/* ---- tls_session.c: all that as what stands in a session.h ----------------------- */

extern const struct session_io tls_io;

#endif
