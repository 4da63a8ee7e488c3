/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main thread's event loop: epoll, and timers as timerfds. */
#ifndef CTF_LOOP_H
#define CTF_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_fd;

/* -errno */
int loop_new(struct loop **ret_loop);
void loop_free(struct loop *);

/* Calls fn(arg) whenever fd is readable.  The fd stays the caller's. */
int loop_add(struct loop *, int fd, void (*fn)(void *arg), void *arg, struct loop_fd **ret_fd);
/* Leaves it in place, but silent. */
void loop_pause(struct loop_fd *, bool paused);
void loop_del(struct loop_fd *);

/* A timer, not armed; the loop's. */
int loop_timer(struct loop *, void (*fn)(void *arg), void *arg, struct loop_fd **ret_timer);
/* Fires after msec, then every period msec if that is not 0; msec 0 disarms. */
void timer_set(struct loop_fd *, uint64_t msec, uint64_t period);

/* One wait of at most timeout_ms (-1: for ever) and the calls due. */
int loop_once(struct loop *, int timeout_ms);

#endif
