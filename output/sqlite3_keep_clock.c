/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: how late it is, as far as that may cost data. */
#include <inttypes.h>
#include <stdio.h>

#include "sqlite3_keep.h"
#include "sqlite3_meta.h"

#define SAVE_NS INT64_C(3600000000000) /* how much of it a crash may forget */

struct sq_sure
sq_sure_next(const struct sq_sure *was, const struct sq_clock *c)
{
	bool same = strcmp(was->boot, c->boot) == 0 && was->boot_ns <= c->boot_ns;
	int64_t passed = same ? c->boot_ns - was->boot_ns : c->boot_ns, most;
	struct sq_sure now = { .now_ns = c->wall_ns, .boot_ns = c->boot_ns };

	if (!c->sure)
		return *was;
	memcpy(now.boot, c->boot, sizeof(now.boot));
	if (was->now_ns < 0)
		return now;
	most = passed > (INT64_MAX - was->now_ns) / 2 ? INT64_MAX : was->now_ns + 2 * passed;
	if (now.now_ns > most)
		now.now_ns = most;
	return now;
}

/* "NOW BOOTTIME BOOT-ID" */
static int
sure_read(struct sq_sink *s, struct sq_sure *ret_sure)
{
	struct sq_sure k = { .now_ns = -1 };
	char text[128];
	int rc = sq_meta_get(s, "keep_clock", text, sizeof(text));

	if (rc == SQLITE_OK &&
	    sscanf(text, "%" SCNd64 " %" SCNd64 " %36s", &k.now_ns, &k.boot_ns, k.boot) < 2)
		k.now_ns = -1;
	if (rc == SQLITE_OK)
		*ret_sure = k;
	return rc;
}

static int
sure_write(struct sq_sink *s, const struct sq_sure *k)
{
	char text[128];

	snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %s", k->now_ns, k->boot_ns,
		 k->boot);
	return sq_meta_set(s, "keep_clock", text);
}

/* At first: not later than the newest row, whatever the clock says. */
static int
first_limit(struct sq_sink *s, struct sq_sure *k)
{
	int64_t last;
	int rc = sq_number(s->db,
			   sqlite3_mprintf("SELECT max(last_ns) FROM partitions"
					   " WHERE view = %Q COLLATE NOCASE",
					   SQ_CONF(s)->table),
			   INT64_MAX, &last);

	if (rc == SQLITE_OK && k->now_ns > last)
		k->now_ns = last;
	return rc;
}

int
sq_keep_now(struct sq_sink *s, const struct sq_clock *c, int64_t *ret_ns)
{
	struct sq_sure was, now;
	int rc = sure_read(s, &was);

	if (rc != SQLITE_OK)
		return rc;
	now = sq_sure_next(&was, c);
	if (was.now_ns < 0 && now.now_ns >= 0)
		rc = first_limit(s, &now);
	if (rc == SQLITE_OK && c->sure &&
	    (was.now_ns < 0 || strcmp(was.boot, now.boot) != 0 || now.now_ns < was.now_ns ||
	     now.now_ns - was.now_ns > SAVE_NS))
		rc = sure_write(s, &now);
	if (rc == SQLITE_OK)
		*ret_ns = now.now_ns;
	return rc;
}
