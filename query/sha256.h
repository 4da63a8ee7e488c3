/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sha256.h - SHA-256 (FIPS 180-4) of what comes piece by piece. */
#ifndef CTF_QUERY_SHA256_H
#define CTF_QUERY_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT 65u

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t block[64];
};

void sha256_begin(struct sha256 *);
void sha256_add(struct sha256 *, const void *p, size_t n);
void sha256_end(struct sha256 *, char text[SHA256_TEXT]);

#endif
