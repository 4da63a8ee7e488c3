/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: the clocks that retention goes by. */
#ifndef CTF_SQLITE3_CLOCK_H
#define CTF_SQLITE3_CLOCK_H

#include <ctflow/plugin.h>

struct sq_clock {
	int64_t wall_ns; /* since 1970 */
	int64_t boot_ns; /* since the machine was started, sleep included */
	bool sure;       /* the kernel says that the first is synchronised */
	char boot[CTF_BOOT_ID];
};

/* Alone in their file: a test has clocks of its own. */
void sq_clock_look(struct sq_clock *ret_clock);
int64_t sq_boot_ns(void);

#endif
