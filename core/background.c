/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "background.h"

void
background_fill_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void
wait_for_child(int fd)
{
	unsigned char code = 1;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? code : 1);
}

static void
to_null(int first, int last)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = first; null >= 0 && fd <= last; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* stderr is kept until the start has succeeded or said why not; stdout is not,
   or an output to /dev/stdout would keep the caller's terminal. */
int
background_start(int *ret_report_fd)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		int ret = -errno;

		close(p[0]);
		close(p[1]);
		return ret;
	}
	if (pid > 0) {
		close(p[1]);
		wait_for_child(p[0]);
	}
	close(p[0]);
	setsid();
	to_null(STDIN_FILENO, STDOUT_FILENO);
	*ret_report_fd = p[1];
	return 0;
}

void
background_done(int report_fd, int code)
{
	unsigned char byte = (unsigned char)code;

	if (report_fd < 0)
		return;
	if (code == 0)
		to_null(STDERR_FILENO, STDERR_FILENO);
	while (write(report_fd, &byte, 1) < 0 && errno == EINTR)
		;
	close(report_fd);
}
