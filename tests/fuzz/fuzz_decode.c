/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder on any bytes, with all fields wanted and with some: the first 8
 * bytes choose which.  A field must not depend on what else is wanted, nor on
 * which messages came before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/ct_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
chosen(unsigned i, void *arg)
{
	return *(const uint64_t *)arg >> i % 64 & 1;
}

#define NOW UINT64_C(1700000000000000000)

static int
decode(struct rig *r, const uint8_t *p, size_t n)
{
	return rig_decode(r, p, n, NOW, 7);
}

/* Messages of a shape seen before are decoded another way, with the same result. */
static void
try_shape(struct rig *plain, struct rig *shaped, const uint8_t *p, size_t size)
{
	int n = decode(plain, p, size);

	if (decode(shaped, p, size) != n)
		abort();
	for (unsigned i = 0; n == 1 && i < rig_ports(); i++)
		if (!rig_same(plain, shaped, (ctf_ref)i))
			abort();
}

static void
try_shapes(struct rig *plain, const uint8_t *data, size_t size, uint64_t mask)
{
	struct rig shaped;
	uint8_t *p = malloc(size + 1);

	rig_init(&shaped, NULL, NULL);
	shaped.in.shapes = ct_shapes_new();
	if (!p || !shaped.in.shapes)
		abort();
	try_shape(plain, &shaped, data, size);
	try_shape(plain, &shaped, data, size);
	memcpy(p, data, size);
	for (unsigned i = 0; size && i < 8; i++, mask >>= 8) {
		p[(mask & 0xff) * size / 256] ^= (uint8_t)(1u << i);
		try_shape(plain, &shaped, p, size);
	}
	ct_shapes_free(shaped.in.shapes);
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig all, part;
	uint64_t mask = 0;
	int n;

	if (size < sizeof(mask))
		return 0;
	memcpy(&mask, data, sizeof(mask));
	data += sizeof(mask);
	size -= sizeof(mask);
	rig_init(&all, NULL, NULL);
	rig_init(&part, chosen, &mask);
	n = decode(&all, data, size);
	/* What is not wanted is not looked at, so less can be wrong with it. */
	if (decode(&part, data, size) < n)
		abort();
	for (unsigned i = 0; n == 1 && i < rig_ports(); i++)
		if (chosen(i, &mask) && !rig_same(&all, &part, (ctf_ref)i))
			abort();
	try_shapes(&all, data, size, mask);
	return 0;
}
