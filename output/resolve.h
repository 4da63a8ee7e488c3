/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host name looked up within a time, which no resolver promises. */
#ifndef CTF_RESOLVE_H
#define CTF_RESOLVE_H

#include <ctflow/plugin.h>

/*
 * Whether the names ("a,b": all of them) can be looked up by now; what came
 * out is left to the resolver's cache and to whoever asks next.  0,
 * -EHOSTUNREACH: there is no such host, or -ETIMEDOUT.  Paths and "" are none.
 */
int resolve_within(const char *hosts, uint64_t msec, struct ctf_err *err);

#endif
