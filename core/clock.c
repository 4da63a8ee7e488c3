/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctflow/plugin.h>
#include <time.h>

uint64_t
ctf_mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}
