/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow/report.h - part of ctflow/plugin.h: what was lost, what was watched. */
#ifndef CTFLOW_REPORT_H
#define CTFLOW_REPORT_H

#define CTF_UNKNOWN UINT64_MAX

enum ctf_count_is { CTF_EXACT, CTF_AT_MOST, CTF_UNCOUNTED };

struct ctf_gap { /* loss made visible; never a record, no filter can drop it */
	/* Ascending, but with count 0, a step of the clock: what it said before and after. */
	uint64_t from_ns, to_ns;
	uint64_t count; /* flows; CTF_UNKNOWN with CTF_UNCOUNTED */
	enum ctf_count_is count_is;
	const char *cause;    /* one word: overrun queue ... */
	const char *instance; /* the input or the output that lost them */
	int nsid;             /* -1: the own network namespace */
	uint64_t told; /* of count: the encoder was told before, in a gap now part of this */
};

struct ctf_coverage { /* a stretch in which nothing relevant changed */
	uint64_t from_ns, last_alive_ns;
	uint64_t to_ns;        /* 0: still going on */
	const char *exporter;  /* host name */
	const char *instance;  /* the input */
	const char *boot_id;   /* /proc/sys/kernel/random/boot_id */
	const char *selection; /* what the input was told to leave out, or "" */
	const char *netns;     /* name or path of the network namespace, or "" */
	const char *abilities; /* what this kernel's DESTROY carries, words; "": unknown */
	int nsid;
	uint32_t event_mask;            /* CTF_NEW | CTF_UPDATE | CTF_DESTROY */
	int8_t acct, timestamp, events; /* the sysctls; -1 unknown */
	int8_t clock_synchronised;      /* adjtimex(2); -1 unknown */
	int64_t clock_error_ns;         /* its maximum error; below 0: unknown */
	int8_t offload, gro; /* flowtables, merging of packets: 1 there, -1 unknown */
	bool reliable;
};

/*
 * A look at every flow of the table; its records came before this.  A flow was
 * in it exactly if it began at or before at_ns - min_age_ns and lived at at_ns.
 */
struct ctf_sweep {
	uint64_t at_ns;       /* when it began */
	uint64_t previous_ns; /* the complete one before; 0: none in this run */
	uint64_t min_age_ns;
	bool complete; /* false: it broke off, so absence means nothing */
	bool delta;    /* its records were CTF_DELTA */
	int nsid;
};

/* Input: tells every encoder fed by it.  Copied before return. */
CTF_API void ctf_report_gap(struct ctf_ctx *, const struct ctf_gap *);
/*
 * Input, from start() on: an earlier run ended badly, and how much was lost
 * since is known only later.  Outputs that owe flows which that run had read
 * wait for it, so that one outage is one gap, and get nothing before.
 */
CTF_API void ctf_outage_begin(struct ctf_ctx *);
/* Now it is known; NULL: nothing was lost by the input. */
CTF_API void ctf_outage_end(struct ctf_ctx *, const struct ctf_gap *);
CTF_API void ctf_report_coverage(struct ctf_ctx *, const struct ctf_coverage *);
CTF_API void ctf_report_sweep(struct ctf_ctx *, const struct ctf_sweep *);

#endif
