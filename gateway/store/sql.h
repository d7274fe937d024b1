/* A small face for SQL engines, in the manner of Dovecot's lib-sql: connections, prepared
 * statements, transactions, and errors sorted by what the store must do about them.
 *
 * Text of cold queries is shared by all engines: parameters $1, $2, … numbered in the order of
 * their first appearance, ON CONFLICT, RETURNING; integers are 64 bits, times are wall_t. The hot
 * verbs (hot.c) may differ per engine. A connection belongs to one thread at a time.
 *
 * Drivers stand in the list in sql.c.
 */
#ifndef POSTERN_STORE_SQL_H
#define POSTERN_STORE_SQL_H

#include "gateway/base/clock.h"
#include "gateway/base/err.h"

enum sql_fault {
	SQL_OK,
	SQL_FULL, /* no room on the disk */
	SQL_IO,   /* the disk or the file is damaged, unreadable, gone */
	SQL_BUSY, /* somebody else holds it; try again */
	SQL_TIME, /* the time limit cut it short */
	SQL_BAD,  /* the statement or its data is at fault: a bug, or a plugin's */
};

struct sql_driver;
struct sql {
	const struct sql_driver *driver;
	enum sql_fault fault; /* of the last call that failed; set to SQL_OK by sql_forgive() */
	bool uncertain;       /* the last commit failed in a way that leaves its fate open */
	char words[200];      /* the engine's own, about that fault */
};
struct sql_stmt {
	struct sql *db;
};

enum sql_role {
	SQL_WRITER,     /* durable commits; the only connection that changes anything */
	SQL_READER,     /* reads only */
	SQL_CHECKPOINT, /* moves the log into the file (engines that need it) */
};
struct sql_conf {
	const char *where;
	enum sql_role role;
	uint64_t cache; /* bytes */
};

/* What a function of ours gets and gives within a statement: NULL, a number or a text. */
struct sql_value {
	enum { SQL_V_NULL, SQL_V_INT, SQL_V_TEXT } kind;
	int64_t i;
	struct str s;
};
/* Pure: equal arguments, equal result, nothing else touched. *r is NULL to begin with; a text that
 * it is given may lie in *text, which is empty then and free to use. */
typedef void sql_fn(const struct sql_value *args, int n, struct sql_value *r, struct buf *text);

/* What an engine provides. Functions that return int give 0 (or 1 for a row), -1 with db->fault
 * and db->words set. Members below the line may be NULL: the engine looks after itself. */
struct sql_driver {
	const char *name;
	struct sql *(*open)(const struct sql_conf *c, struct err *e);
	void (*close)(struct sql *db);
	int (*exec)(struct sql *db, const char *text); /* one or several statements */
	struct sql_stmt *(*prepare)(struct sql *db, const char *text);
	void (*finish)(struct sql_stmt *st);
	void (*bind_int)(struct sql_stmt *st, int i, int64_t v);
	void (*bind_str)(struct sql_stmt *st, int i, struct str v, bool blob);
	void (*bind_null)(struct sql_stmt *st, int i);
	int (*step)(struct sql_stmt *st);
	void (*reset)(struct sql_stmt *st);
	int64_t (*col_int)(struct sql_stmt *st, int i);
	struct str (*col_str)(struct sql_stmt *st, int i);
	bool (*col_null)(struct sql_stmt *st, int i);
	int64_t (*changed)(struct sql *db);
	int64_t (*inserted)(struct sql *db);
	int (*begin)(struct sql *db);
	int (*commit)(struct sql *db);
	void (*rollback)(struct sql *db);
	void (*limit)(struct sql *db, dur_t d);
	int (*backup)(
		struct sql *db, const char *path, void (*progress)(void *, double), void *ctx);
	/* ---- */
	/* afresh: all of the log, which then is cut off, unless a reader holds it: 1, and no
	 * waiting for that. */
	int (*checkpoint)(struct sql *db, bool afresh, uint64_t *log_r, uint64_t *done_r);
	uint64_t (*log_size)(struct sql *db);
	int (*define)(struct sql *db, const char *name, int n, sql_fn *fn);
};

/* The driver called so, or NULL. */
const struct sql_driver *sql_driver(const char *name);
struct sql *sql_open(const char *engine, const struct sql_conf *c, struct err *e);
/* Statements are to be finished before. */
void sql_close(struct sql **dbp);

static inline int sql_exec(struct sql *db, const char *text)
{
	return db->driver->exec(db, text);
}
/* NULL when the text is at fault or the store does not work. */
static inline struct sql_stmt *sql_prepare(struct sql *db, const char *text)
{
	return db->driver->prepare(db, text);
}
void sql_finish(struct sql_stmt **stp); /* harmless on NULL */

/* Parameters count from 1. Strings are borrowed until the statement is reset. */
static inline void sql_int(struct sql_stmt *st, int i, int64_t v)
{
	st->db->driver->bind_int(st, i, v);
}
static inline void sql_text(struct sql_stmt *st, int i, struct str v)
{
	st->db->driver->bind_str(st, i, v, false);
}
/* NULL for the empty string: how columns that are mostly empty are kept. */
static inline void sql_text_or_null(struct sql_stmt *st, int i, struct str v)
{
	if (v.n)
		st->db->driver->bind_str(st, i, v, false);
	else
		st->db->driver->bind_null(st, i);
}
static inline void sql_blob(struct sql_stmt *st, int i, struct str v)
{
	st->db->driver->bind_str(st, i, v, true);
}
static inline void sql_null(struct sql_stmt *st, int i)
{
	st->db->driver->bind_null(st, i);
}
/* 1: a row, 0: no more, -1. After 0 and -1 the statement is reset. */
static inline int sql_step(struct sql_stmt *st)
{
	return st->db->driver->step(st);
}
/* For whoever stops before the last row. */
static inline void sql_reset(struct sql_stmt *st)
{
	st->db->driver->reset(st);
}
/* Makes fn known to this connection under a name, with n arguments (at most SQL_FN_ARGS). 0, or -1:
 * also when the engine cannot. */
enum { SQL_FN_ARGS = 8 };
int sql_define(struct sql *db, const char *name, int n, sql_fn *fn);
/* Steps to the end: 0, or -1. */
int sql_run(struct sql_stmt *st);
/* Columns count from 0; strings live until the next step or reset. NULL is 0 and "". */
static inline int64_t sql_col(struct sql_stmt *st, int i)
{
	return st->db->driver->col_int(st, i);
}
static inline struct str sql_col_str(struct sql_stmt *st, int i)
{
	return st->db->driver->col_str(st, i);
}
static inline bool sql_col_null(struct sql_stmt *st, int i)
{
	return st->db->driver->col_null(st, i);
}
/* Rows that the last INSERT, UPDATE or DELETE touched. */
static inline int64_t sql_changed(struct sql *db)
{
	return db->driver->changed(db);
}
/* The number that the last INSERT which put a row in gave to its INTEGER PRIMARY KEY; much cheaper
 * than RETURNING, which costs a table of its own. */
static inline int64_t sql_inserted(struct sql *db)
{
	return db->driver->inserted(db);
}
static inline int sql_begin(struct sql *db)
{
	return db->driver->begin(db);
}
static inline int sql_commit(struct sql *db)
{
	return db->driver->commit(db);
}
static inline void sql_rollback(struct sql *db)
{
	db->driver->rollback(db);
}
/* Statements end with SQL_TIME once d has passed from now; 0: no limit. */
static inline void sql_limit(struct sql *db, dur_t d)
{
	db->driver->limit(db, d);
}
static inline void sql_forgive(struct sql *db)
{
	db->fault = SQL_OK;
	db->uncertain = false;
}
/* Worded for the operator: "store: what: words"; returns -1. */
int sql_err(struct sql *db, struct err *e, const char *what);
/* One number from a query without parameters; `otherwise` when there is no row or it fails. */
int64_t sql_number(struct sql *db, const char *text, int64_t otherwise);

#endif
