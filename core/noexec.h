/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that never becomes another program, whatever is done to it. */
#ifndef CTF_NOEXEC_H
#define CTF_NOEXEC_H

/*
 * From now on execve(2) fails with EPERM in every thread.  After no_new_privs;
 * -ENOSYS where the architecture is not known, else -errno.
 */
int noexec_lock(void);

#endif
