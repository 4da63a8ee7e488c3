/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * no_new_privs keeps a program started by us from gaining rights; nothing of
 * ours starts one at all, so the kernel may as well refuse it (seccomp).
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "noexec.h"

#if defined(__x86_64__) && defined(__ILP32__)
#define ARCH 0
#elif defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCH AUDIT_ARCH_S390X
#else
#define ARCH 0
#endif

#define OTHER_ABI UINT32_C(0x40000000) /* x32 calls on x86-64; above all numbers elsewhere */
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define REFUSE_IN(n) /* lines from here, if it is equal */ (n)

int
noexec_lock(void)
{
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ARCH, 0, REFUSE_IN(4)),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_ABI, REFUSE_IN(2), 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, REFUSE_IN(1), 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, REFUSE_IN(0), 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };
	long ret;

	if (!ARCH)
		return -ENOSYS;
	ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
	if (ret > 0) /* a thread that could not follow */
		return -EBUSY;
	return ret < 0 ? -errno : 0;
}
