/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctflow/plugin.h>
#include <fcntl.h>
#include <unistd.h>

void
ctf_boot_id(char ret_id[CTF_BOOT_ID])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_id, CTF_BOOT_ID - 1);

	if (fd >= 0)
		close(fd);
	ret_id[n > 0 ? n : 0] = '\0';
	ret_id[strcspn(ret_id, "\n")] = '\0';
}
