/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ulogd2's plugins for packets and counters, which are not what ctflowd is for. */
#ifndef CTF_PACKETS_H
#define CTF_PACKETS_H

#include <stdbool.h>
#include <stddef.h>

/* A plugin= line names the module of one of those. */
bool packets_file(const char *path);
/*
 * The first of them in a stack "id:PLUGIN,...", as "NFLOG reads packets"; false:
 * there is none.
 */
bool packets_in(const char *stack, char *ret_text, size_t size);

#endif
