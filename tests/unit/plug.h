/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One plugin under test, wired by the real core between an input that can
 * give every field of the dictionary and, for a filter, an output that wants
 * what the filter writes.  No loop and no threads: the test makes the calls.
 */
#ifndef CTF_TEST_PLUG_H
#define CTF_TEST_PLUG_H

#include <ctflow/plugin.h>

struct plug;

/* options: "file=\"/tmp/x\"\nsync=1\n".  Aborts the test on an error. */
struct plug *plug_new(const struct ctf_plugin *, const char *options);
/* Option, probe and setup errors: 0 or -errno, with the first message. */
int plug_try(const struct ctf_plugin *, const char *options, struct ctf_err *ret_err);
void plug_free(struct plug *);

void *plug_self(struct plug *); /* instance or encoder */
void *plug_sink(struct plug *);

/* Starts a fresh record; the one before is gone. */
struct ctf_rec *plug_rec(struct plug *, int family, int event, uint64_t rx_ns);
/* These do nothing for a field the plugin did not want. */
void plug_num(struct plug *, const char *field, uint64_t value);
void plug_ip(struct plug *, const char *field, const char *addr);
void plug_text(struct plug *, const char *field, const char *text);
void plug_bytes(struct plug *, const char *field, const void *p, uint32_t len);

/* Where a field is in the records, for what is put often; CTF_NONE: not wanted. */
ctf_ref plug_slot(const struct plug *, const char *field);

/* Filter, on the current record. */
enum ctf_verdict plug_apply(struct plug *);
bool plug_has(struct plug *, const char *field);
/* NULL if absent; valid until the next call. */
const char *plug_get_text(struct plug *, const char *field);
uint64_t plug_get_num(struct plug *, const char *field);

/* Output: the current record into the open frame; seals once when it is full. */
enum ctf_put plug_encode(struct plug *);
/* Each in a frame of its own, sealed and queued. */
enum ctf_put plug_gap(struct plug *, const struct ctf_gap *);
enum ctf_put plug_coverage(struct plug *, const struct ctf_coverage *);
/* The n-th queued, from 0. */
const struct ctf_frame *plug_frame(struct plug *, unsigned n);
enum ctf_put plug_sweep(struct plug *, const struct ctf_sweep *);
/* Seals the open frame and queues it; NULL when there was none. */
const struct ctf_frame *plug_seal(struct plug *);
const struct ctf_layout *plug_layout(struct plug *);
/* Whether it asked for a frame a batch. */
bool plug_sync(const struct plug *);

/*
 * Opens the sink if need be and delivers what is queued until all is taken or
 * the answer is not CTF_SENT.  CTF_RETRY also when open() fails.
 */
enum ctf_sent plug_deliver(struct plug *, struct ctf_err *ret_err);
/* Frames not taken yet; numbers of the frames begin at 1. */
unsigned plug_pending(struct plug *);
/* Lets go of the frames that were taken; only what comes after can be delivered again. */
void plug_forget(struct plug *);
/* As after a broken session: everything above that number is delivered again. */
void plug_rewind(struct plug *, uint64_t number);
/* From now on ctf_wait() returns -EINTR, as at the end of the daemon. */
void plug_interrupt(struct plug *);
void plug_close(struct plug *);
/* What its sink does between deliveries; opens it if need be. */
int plug_spare(struct plug *);

#endif
