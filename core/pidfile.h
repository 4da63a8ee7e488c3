/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTF_PIDFILE_H
#define CTF_PIDFILE_H

/*
 * Creates and locks it; the lock is the descriptor's, kept over fork().  A
 * stale file is replaced.  -EEXIST: another one runs (said), else -errno (said).
 */
int pidfile_open(const char *path, int *ret_fd);
/* Writes the caller's process id. */
int pidfile_write(int fd);
void pidfile_remove(const char *path, int fd);

#endif
