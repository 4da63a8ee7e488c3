/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/timex.h>
#include <time.h>

#include "sqlite3_clock.h"

static int64_t
ns_of(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
sq_boot_ns(void)
{
	return ns_of(CLOCK_BOOTTIME);
}

void
sq_clock_look(struct sq_clock *ret_clock)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);

	*ret_clock = (struct sq_clock){
		.wall_ns = ns_of(CLOCK_REALTIME),
		.boot_ns = sq_boot_ns(),
		.sure = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC),
	};
	ctf_boot_id(ret_clock->boot);
}
