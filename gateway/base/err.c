/* Errors and the one assert. See err.h. */
#include "gateway/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->kind = kind;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->text];
	va_list ap;
	int n;

	if (!e)
		return -1;
	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 3 < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %.*s",
			(int)(sizeof e->text - (size_t)n - 3), old);
	return -1;
}

void check_failed(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "postern: bug: CHECK(%s) failed in %s at %s:%d\n", cond, func, file, line);
	fflush(stderr);
	abort();
}
