/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_times.h - part of ct_decode.h: conntrack's timeouts, as the kernel of the
 * flows had them.
 *
 * An entry gets its timeout with each packet, and keeps it when the setting is
 * changed.  So a change is remembered for as long as an entry may end that had
 * its last packet before.
 */
#ifndef CT_TIMES_H
#define CT_TIMES_H

#include <stdint.h>

#define CT_TIMES 40u
#define CT_POLICIES 16u

struct ct_policy { /* rules may give flows of this protocol other timeouts */
	uint8_t proto;
	uint32_t min, max; /* seconds */
};

struct ct_time {
	uint32_t sec;
	uint32_t min, max; /* of the values before */
	/* An entry that ended before was_ns may have one of those, one after is_ns sec. */
	uint64_t was_ns, is_ns;
};

struct ct_times {
	struct ct_time at[CT_TIMES]; /* as ct_time_names */
	unsigned npolicies, nformer;
	struct ct_policy policy[CT_POLICIES]; /* one per protocol */
	struct ct_policy former[CT_POLICIES]; /* gone since, */
	uint64_t former_ns[CT_POLICIES];      /* but entries that ended before may have it */
};

struct ct_time_name {
	const char *sysctl; /* file below /proc/sys/net/netfilter/; ends with NULL */
	uint32_t dflt;      /* seconds */
};
extern const struct ct_time_name ct_time_names[];

void ct_times_default(struct ct_times *);
/* 0, or -ENOENT: no timeout of that name. */
int ct_times_set(struct ct_times *, const char *sysctl, unsigned seconds);
void ct_times_policy(struct ct_times *, const struct ct_policy *);
/*
 * They have been looked at again and are as in `fresh` by to_ns; at after_ns
 * they were still as before.
 */
void ct_times_update(struct ct_times *, const struct ct_times *fresh, uint64_t after_ns,
		     uint64_t to_ns);

#endif
