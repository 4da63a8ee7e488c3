/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No setting of the kernel can be changed any more. */
#ifndef CTF_NOWRITE_H
#define CTF_NOWRITE_H

/*
 * The calling thread, and those it makes, can open no file below /proc or /sys
 * for writing, CAP_NET_ADMIN or not; a new file right in / neither, nor any of
 * a file system that is mounted on a folder right in / later, as Landlock knows
 * allowed folders alone.  After PR_SET_NO_NEW_PRIVS.  0, or -errno, and nothing
 * is locked: the kernel cannot, or something else would be locked with it.
 */
int nowrite_lock(void);

#endif
