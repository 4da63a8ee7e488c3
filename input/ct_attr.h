/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ct_attr.h - the attributes of ctnetlink messages, as tables by number.
 * Private to ct_decode.c and ct_shape.c.
 */
#ifndef CT_ATTR_H
#define CT_ATTR_H

#include "ct_raw.h"

enum ct_attr_kind { SKIP, NUM, FLAGS, IP4, IP6, TEXT, BYTES, NEST };

struct ct_attr_rule {
	uint8_t kind;
	uint8_t arg; /* NUM: length; NEST: index in ct_nests[] */
	uint8_t raw; /* value, or what the values of the nest are counted from */
};

struct ct_nest {
	const struct ct_attr_rule *attr;
	unsigned n;
};

extern const struct ct_nest ct_top, ct_nests[];

#endif
