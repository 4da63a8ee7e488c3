/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_bpf.h - selection in the kernel: an expression as a classic BPF program
 * for the event socket.
 */
#ifndef NFCT_BPF_H
#define NFCT_BPF_H

#include <ctflow/plugin.h>
#include <linux/filter.h>

#define NFCT_BPF_MAX 4096u /* instructions the kernel takes: BPF_MAXINSNS */

/*
 * A test on something that not every message about a flow carries, so that
 * the kernel cannot judge by it; NULL: there is none.
 */
const struct ctf_node *nfct_bpf_cannot(const struct ctf_node *root);

/*
 * Writes the program, which accepts the messages whose records the expression
 * chooses; one that the decoder would refuse for its family is accepted.
 * Returns its length; above max it is not all there, and prog of no use.
 */
unsigned nfct_bpf_compile(const struct ctf_node *root, struct sock_filter *prog, unsigned max);

#endif
