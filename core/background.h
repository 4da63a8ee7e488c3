/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -d: into the background, but the caller learns how the start went. */
#ifndef CTF_BACKGROUND_H
#define CTF_BACKGROUND_H

/*
 * Whoever started us may have closed 0, 1 or 2; a file that got such a number
 * would be taken for stderr, or closed by background_done().
 */
void background_fill_fds(void);
/*
 * Forks; only the child returns.  The parent waits for background_done() and
 * exits with its code, or with 1 if the child dies before.
 */
int background_start(int *ret_report_fd);
/* Tells the parent, and lets go of the caller's terminal if all is well. */
void background_done(int report_fd, int code);

#endif
