/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames as they are kept outside of a process: for the successor in a
 * hand-over, and on disk.  A sequence of blocks, numbers little endian:
 *
 *   0 magic "ctfb"   4 type (16 bit)   6 length of the block's own head (16)
 *   8 length of all that follows these 16 bytes (32)   12 CRC-32C of the
 *     first 12 bytes and of what follows (32)
 *
 * then the head, to which later versions may append, and the rest: the bytes
 * of a frame or of a layout.  A layout is stored once, before the first frame
 * that names it by its id.  Blocks of unknown type are passed over.
 */
#ifndef CTF_FRAME_IO_H
#define CTF_FRAME_IO_H

#include "queue.h"

enum block_type { BLOCK_LAYOUT = 1, BLOCK_FRAME = 2, BLOCK_BYTES = 3 };

#define BLOCK_PREFIX 16u
#define BLOCK_MAX (64u << 20) /* bytes a block may claim to have */
#define BLOCK_TEXT 255u       /* of a cause, an instance, a name */

/*
 * A block as read: everything borrowed from the bytes it was read from.  Text
 * is not terminated.
 */
struct block {
	unsigned type;
	uint64_t layout; /* id: LAYOUT, FRAME */
	/* FRAME */
	uint64_t number, first_ns, last_ns, upto;
	uint32_t recs, stream, flows;
	bool taken; /* it was sent before, and may have arrived */
	bool is_gap;
	struct ctf_gap gap; /* its texts are the two below */
	const char *cause, *instance;
	size_t cause_len, instance_len;
	/* BYTES: something else that has a name */
	const char *name;
	size_t name_len;
	/* all */
	const uint8_t *p;
	uint32_t len;
};

/*
 * Bytes that block_put_*() would write; 0: too large, or a text is.  Each is
 * given the same arguments again with room for that many, and cannot fail.
 */
size_t block_frame_size(const struct qframe *);
size_t block_layout_size(const struct ctf_layout *);
size_t block_bytes_size(const char *name, size_t n);
void block_put_frame(uint8_t *to, const struct qframe *);
void block_put_layout(uint8_t *to, const struct ctf_layout *);
void block_put_bytes(uint8_t *to, const char *name, const void *p, size_t n);

/*
 * The block at p.  Returns its size; 0 at the end (n is 0); -ENODATA when it is
 * cut short (a write that did not end); -EBADMSG when the bytes are not, or no
 * longer, a block.
 */
int64_t block_read(const uint8_t *p, size_t n, struct block *ret_block);
/* An empty frame with that much room becomes that of a FRAME block, but for the texts. */
void block_fill(struct qframe *, const struct block *, const struct ctf_layout *);
/* A queue's frame of a FRAME block; the layout and the texts are the caller's. */
struct qframe *block_to_frame(const struct block *, const struct ctf_layout *,
			      struct encoder *enc, const char *cause, const char *instance);

/* CRC-32C (Castagnoli); begin with 0, go on with what it returned. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
