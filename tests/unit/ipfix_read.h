/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_read.h - libfixbuf as the collector that judges our messages. */
#ifndef IPFIX_READ_H
#define IPFIX_READ_H

#include <stddef.h>
#include <stdint.h>

#include "plug.h"

/*
 * Every data record of concatenated messages as a line "template id=value
 * pen/id=value ...\n", the order that of the template; what libfixbuf says
 * against them as lines "! ...".  pen: of our own elements.  The caller frees
 * it.
 */
char *ipfix_read(const uint8_t *bytes, size_t len, uint32_t pen);
/* The frame behind the templates of its encoder, likewise. */
char *ipfix_read_frame(struct plug *, const struct ctf_frame *, uint32_t pen);
/* The records a layout brings with its templates. */
char *ipfix_read_layout(struct plug *, uint32_t pen);

#endif
