/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_sock.h - the two netlink sockets: one that only hears events, one for
 * requests.  A dump on the event socket would compete with the events for the
 * receive buffer, and be judged by the filter.
 */
#ifndef NFCT_SOCK_H
#define NFCT_SOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/filter.h>
#include <ctflow/plugin.h>

/* ---- events ---------------------------------------------------------------- */

struct nfct_mem {              /* of a socket, as the kernel accounts it */
	uint32_t used, rcvbuf; /* bytes; an event takes 1280 */
	uint32_t drops;        /* wraps */
};

/* A socket that hears nothing yet. */
int nfct_events_open(bool reliable, struct sock_filter *prog, unsigned len, int *ret_fd,
		     struct ctf_err *err);
/*
 * A socket that was open before: -EPROTOTYPE, it is not of that protocol of
 * netlink; -EXDEV, its namespace is not that of the socket `like`; another -errno, or 0.
 */
int nfct_events_check(int fd, int like, int protocol, bool *ret_all);
/* As nfct_events_open() makes it, in no groups but these. */
int nfct_events_set(int fd, bool reliable, struct sock_filter *prog, unsigned len,
		    unsigned mask, struct ctf_err *err);
/* Asks for `bytes` (the kernel doubles it); returns what is in force or -errno. */
int64_t nfct_events_buffer(int fd, uint64_t bytes);
/* mask: CTF_NEW | CTF_UPDATE | CTF_DESTROY */
int nfct_events_join(int fd, unsigned mask, struct ctf_err *err);
void nfct_events_leave(int fd, unsigned mask);
/* Whether the kernel keeps ended flows it could not deliver to a reliable socket. */
int nfct_events_keep(int fd, bool keep);
/* False: it does not. */
bool nfct_events_kept(int fd);
int nfct_events_mem(int fd, struct nfct_mem *ret_mem);

/* ---- requests -------------------------------------------------------------- */

struct nlmsghdr;

struct nfct_req {
	int fd;
	uint32_t seq;
	bool busy;        /* a dump is under way */
	uint64_t entries; /* it has shown so far */
	int error;        /* it ended with: 0 or -errno */
	_Alignas(8) char buf[8192];
};

int nfct_req_open(struct nfct_req *r, struct ctf_err *err);
void nfct_req_close(struct nfct_req *r);

struct nfct_fill {      /* of the table */
	uint32_t count; /* entries, also of ended flows that are kept for somebody */
	uint32_t max;   /* nf_conntrack_max; 0: none, or unknown */
};

/* Not while a dump is under way; 0 or -errno. */
int nfct_req_fill(struct nfct_req *r, struct nfct_fill *ret_fill);
/*
 * The same in words.  Being the first request it also loads the kernel's
 * module, and finds out whether we may ask at all.
 */
int nfct_req_first(struct nfct_req *r, struct nfct_fill *ret_fill, struct ctf_err *err);

/*
 * Not while a dump is under way: calls fn(arg, message) for each CPU's statistics;
 * 0 or -errno.
 */
int nfct_req_cpus(struct nfct_req *r, void (*fn)(void *arg, const struct nlmsghdr *),
		  void *arg);

/* Dumps, one at a time: -EBUSY while another is under way. */
int nfct_req_dying(struct nfct_req *r); /* ended flows not yet delivered */
/*
 * Reads on, at most `chunks` buffers.  Returns 1 when the dump is complete
 * (also when none was under way), else 0.
 */
int nfct_req_step(struct nfct_req *r, unsigned chunks);

#endif
