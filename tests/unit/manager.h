/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A service manager with a store, as a thread of the test. */
#ifndef CTF_TEST_MANAGER_H
#define CTF_TEST_MANAGER_H

#include "handover.h"

/* Listens; $NOTIFY_SOCKET names it. */
void manager_start(void);
void manager_end(void);
/* The descriptor it keeps by that name, or -1. */
int manager_fd(const char *name);
unsigned manager_count(void);
void manager_forget(const char *name);
/* It reads in its own time: true as soon as it has nothing of that name. */
bool manager_has_forgotten(const char *name);
/* Something nobody has asked it to keep. */
void manager_put(const char *name, int fd);
/* As if a process were started with all that is in the store. */
struct handover *manager_new_process(void);

#endif
