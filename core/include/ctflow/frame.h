/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctflow/frame.h - part of plugin.h: frames, in which records go to a sink. */
#ifndef CTFLOW_FRAME_H
#define CTFLOW_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ctf_layout {  /* what the bytes of a frame mean: templates, columns */
	uint64_t id; /* hash over the plugin's name and the bytes */
	uint32_t len;
	const uint8_t *p;
};

struct ctf_frame {
	uint8_t *p;
	uint32_t len, cap; /* bytes used and available */
	uint32_t recs;     /* the core counts them, */
	uint32_t flows;    /* and those of them that are not of sweeps */
	uint32_t stream;
	uint64_t number; /* per sink, ascending, never reused */
	uint64_t upto;   /* flows the sink was ever given, to the end of this frame */
	uint64_t first_ns, last_ns; /* at_ns of its records, or rx_ns, lies in between */
	const struct ctf_layout *layout;
};

/* False: no room, nothing was written. */
static inline bool
ctf_frame_put(struct ctf_frame *f, const void *p, size_t n)
{
	if (n > f->cap - f->len)
		return false;
	if (n) {
		memcpy(f->p + f->len, p, n);
		f->len += (uint32_t)n;
	}
	return true;
}

#endif
