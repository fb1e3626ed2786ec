/* err.c - see err.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

static void fill(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code ? code : EIO;
	int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	if (n >= (int)sizeof e->text)
		memcpy(e->text + sizeof e->text - 4, "...", 4);
	utf8_clean(e->text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, code, fmt, ap);
		va_end(ap);
	}
	return code ? -code : -EIO;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	if (e) {
		char head[sizeof e->text];
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(head, sizeof head, fmt, ap);
		va_end(ap);
		return err_set(e, code, "%s: %s", head, strerror(code));
	}
	return code ? -code : -EIO;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -EIO;
	char head[sizeof e->text], tail[sizeof e->text];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	memcpy(tail, e->text, sizeof tail);
	return err_set(e, e->code, "%s: %s", head, tail);
}

void err_clear(struct err *e)
{
	if (!e)
		return;
	e->code = 0;
	e->text[0] = '\0';
}
