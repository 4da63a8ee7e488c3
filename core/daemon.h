/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTF_DAEMON_H
#define CTF_DAEMON_H

/* The whole program; returns the exit code (0, 1, or 2: no log file). */
int ctf_main(int argc, char **argv);

#endif
