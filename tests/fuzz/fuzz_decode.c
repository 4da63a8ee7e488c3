/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoder on any bytes, with all fields wanted and with some: the first 8
 * bytes choose which.  A field must not depend on what else is wanted.
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

static bool
is_text(const char *name)
{
	return !strcmp(name, "ct.labels") || !strcmp(name, "ct.helper") ||
	       !strcmp(name, "ct.secctx") || !strcmp(name, "flow.end.kind");
}

/* Touches every byte of the value, so that a sanitizer sees it is there. */
static void
must_agree(const struct rig *all, const struct rig *part, ctf_ref i)
{
	const union ctf_val *a = &all->rec.v[i], *b = &part->rec.v[i];
	const char *name = ct_ports[i].name;
	size_t ip = all->rec.family == AF_INET ? 4 : 16;
	bool same;

	if (!ctf_has(&all->rec, i) || !ctf_has(&part->rec, i)) {
		if (ctf_has(&all->rec, i) != ctf_has(&part->rec, i))
			abort();
		return;
	}
	if (strstr(name, ".ip.saddr") || strstr(name, ".ip.daddr"))
		same = !memcmp(a->ip, b->ip, ip);
	else if (is_text(name))
		same = a->s.len == b->s.len && !memcmp(a->s.p, b->s.p, a->s.len);
	else
		same = a->u == b->u;
	if (!same)
		abort();
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
	n = rig_decode(&all, data, size, UINT64_C(1700000000000000000), 7);
	/* What is not wanted is not looked at, so less can be wrong with it. */
	if (rig_decode(&part, data, size, UINT64_C(1700000000000000000), 7) < n)
		abort();
	if (n != 1)
		return 0;
	for (unsigned i = 0; i < rig_ports(); i++)
		if (chosen(i, &mask))
			must_agree(&all, &part, (ctf_ref)i);
	return 0;
}
