/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "noexec.h"
#include "nowrite.h"
#include "priv.h"

int
priv_lookup(const char *user, struct priv *ret_priv)
{
	const struct passwd *pw = getpwnam(user);
	struct priv p = { .known = 1 };
	char *end;

	if (pw) {
		p.uid = pw->pw_uid;
		p.gid = pw->pw_gid;
	} else {
		unsigned long n = strtoul(user, &end, 10);

		if (*user < '0' || *user > '9' || *end || n > UINT32_MAX - 1)
			return -ENOENT;
		p.uid = (uid_t)n;
		pw = getpwuid(p.uid);
		p.gid = pw ? pw->pw_gid : (gid_t)n;
	}
	snprintf(p.name, sizeof(p.name), "%s", pw ? pw->pw_name : user);
	*ret_priv = p;
	return 0;
}

static int
set_caps(uint64_t caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	uint32_t low = (uint32_t)caps, high = (uint32_t)(caps >> 32);
	struct __user_cap_data_struct data[2] = { { low, low, 0 }, { high, high, 0 } };

	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

/* In a container root itself may not have them; a replay works without. */
static uint64_t
permitted(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (syscall(SYS_capget, &head, data))
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static int
become(const struct priv *p)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	/* The C library makes all threads follow. */
	if (initgroups(p->name, p->gid) || setresgid(p->gid, p->gid, p->gid) ||
	    setresuid(p->uid, p->uid, p->uid))
		return -errno;
	return 0;
}

int
priv_drop(const struct priv *p)
{
	int ret = p->known ? become(p) : 0;

	if (ret)
		return ret;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	ret = noexec_lock();
	if (ret)
		log_info("other programs: cannot be locked out: %s", strerror(-ret));
	ret = nowrite_lock();
	if (ret)
		log_info("/proc and /sys: cannot be locked: %s", strerror(-ret));
	return set_caps(permitted() & (UINT64_C(1) << CAP_NET_ADMIN | p->keep));
}

void
priv_drop_thread(void)
{
	const uint64_t files = UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_CHOWN;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	set_caps(geteuid() == 0 ? permitted() & files : 0);
}

bool
priv_may_remake(const char *path, char *ret_folder, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!slash)
		snprintf(ret_folder, size, ".");
	else
		snprintf(ret_folder, size, "%.*s", len ? (int)len : 1, path);
	return faccessat(AT_FDCWD, ret_folder, W_OK | X_OK, AT_EACCESS) == 0 || errno == ENOENT;
}
