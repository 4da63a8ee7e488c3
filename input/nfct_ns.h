/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_ns.h - namespaces=all: events of every network namespace that has an
 * id in ours.
 *
 * The kernel says with each event which id its namespace has; names are those
 * of /run/netns.  Deleting a namespace sends no event of its flows, only that
 * its id is gone: a gap.
 */
#ifndef NFCT_NS_H
#define NFCT_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ctflow/plugin.h>

struct nfct;

struct nfct_ns_known {
	int nsid;
	bool own;           /* it is ours, seen from itself */
	bool gone;          /* deleted, but what it sent before may still be unread */
	bool said;          /* that its flows lack something */
	bool looked;        /* at its settings */
	char *name;         /* or NULL */
	const char *folder; /* the name stands in */
	uint64_t ino;       /* of its file, if it has a name */
	uint64_t heard_ns;  /* its last event; before that: since when it is known */
};

struct nfct_ns {
	const char *path; /* of the namespace to listen in; "": ours */
	bool all;         /* and in all it has ids for */

	/* while started */
	int heard, ask;              /* rtnetlink: what changes, and questions */
	struct nfct_ns_known *known; /* ascending */
	unsigned n, room, last;      /* last: the one found last */
	uint64_t own_ino;            /* of our namespace */
	int64_t changed_ns[2];       /* of the folders with names, when last read */
	bool some_gone, stale, said_unheard, muted;
	unsigned seq;
	struct nfct_ns_left *left; /* what the next process is to know; or NULL */
};

/* nfct_ns.c */
/* setup(): what `namespaces` and network_namespace_path come to. */
int nfct_ns_choose(struct nfct *s, struct ctf_err *err);
/* start(), inside the namespace: before the event socket joins its groups. */
int nfct_ns_listen(struct nfct *s, struct ctf_err *err);
/* The rest of start(); watches and says who is heard. */
int nfct_ns_start(struct nfct *s);
void nfct_ns_stop(struct nfct *s); /* nothing more will be read: gaps; closes */
/* A message of that namespace was received; the id to report, -1: our own. */
int nfct_ns_hear(struct nfct *s, int nsid, uint64_t now);
/* A record of the namespace heard last: gets its name. */
void nfct_ns_name_record(struct nfct *s, struct ctf_rec *rec);
/* All that was sent so far has been read: what is gone is now a gap. */
void nfct_ns_settle(struct nfct *s);
/* Every second or so: names that have come up since, and what is left to the next. */
void nfct_ns_tick(struct nfct *s);

/* A gap: what lived there has ended unheard. */
void nfct_ns_say_gone(struct nfct *s, const struct nfct_ns_known *k);

/* nfct_ns_left.c */
/* start(): what the process before knew; listed: ours are all there are. */
void nfct_ns_recall(struct nfct *s, bool listed);
/* For the next process, however this one ends. */
void nfct_ns_note(struct nfct_ns *ns);
int nfct_ns_leave(struct nfct *s, struct ctf_legacy *to);

/* nfct_ns_name.c */
struct nfct_ns_known *nfct_ns_find(struct nfct_ns *ns, int nsid);
/* The same, made if need be; NULL: no memory. */
struct nfct_ns_known *nfct_ns_get(struct nfct_ns *ns, int nsid, uint64_t now);
/* All ids there are, from the kernel; 0 or -errno. */
int nfct_ns_list(struct nfct_ns *ns, void (*each)(void *arg, int nsid), void *arg);
/* Reads the folders with names again; the names without an id go to `unheard`. */
void nfct_ns_read_names(struct nfct_ns *ns, char *unheard, size_t size);
/* Whether these folders have changed since. */
bool nfct_ns_names_changed(const struct nfct_ns *ns);
int nfct_ns_ask_open(void);
/* The thread is in the namespace that counts as ours; it may have an id itself. */
void nfct_ns_find_own(struct nfct_ns *ns);

#endif
