/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctflowd --split: an ulogd.conf divided between ctflowd and ulogd2, which then
 * run side by side.
 *
 * Every line keeps its number.  A line that belongs to the other file alone has
 * a comment in its place; what neither's stacks name is in both.
 */
#ifndef CTF_SPLIT_H
#define CTF_SPLIT_H

#include <stdio.h>

/*
 * Writes dir/ctflowd.conf, dir/ulogd.conf and dir/split.txt, and what the last
 * one says to out as well.  Existing files are not touched.  Returns the exit
 * code: 1 when a file could not be read or written (said in the log).
 */
int split_conf(const char *file, const char *dir, FILE *out);

#endif
