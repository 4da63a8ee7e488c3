/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a callback says why it failed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <ctflow/plugin.h>

int
ctf_fail(struct ctf_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->file = NULL;
		err->line = 0;
		va_start(ap, fmt);
		vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
	}
	/* A caller that lost errno must not turn a failure into success. */
	return errnum > 0 ? -errnum : -EIO;
}
