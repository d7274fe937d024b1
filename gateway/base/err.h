/* Errors of the environment, worded for the operator: what failed, on what, and why.
 *
 * There are three kinds of error and they are never mixed: a bug (CHECK, which aborts), the
 * environment (-1 and a struct err), and a far side's answer (struct outcome, model/outcome.h).
 */
#ifndef POSTERN_BASE_ERR_H
#define POSTERN_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_kind {
	ERR_NONE,
	ERR_CONF,  /* the operator's configuration is at fault: exit 1 */
	ERR_ENV,   /* port taken, file missing, disk full: exit 2 or retry */
	ERR_INPUT, /* bytes from outside are not what they should be */
	ERR_AGAIN, /* not now; the same call may work later */
};

struct err {
	enum err_kind kind;
	char text[480];
};

/* Sets *e (which may be NULL) and returns -1, so that `return err_set(e, …)` ends a function. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text already there; returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* CHECK stays on in production: state that cannot be is not gone on with. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__, __func__))
_Noreturn void check_failed(const char *cond, const char *file, int line, const char *func);

#endif
