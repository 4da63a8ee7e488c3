/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FNV-1a, 64 bit. */
#include <ctflow/plugin.h>

uint64_t
ctf_hash(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		h = (h ^ *b++) * UINT64_C(1099511628211);
	return h;
}
