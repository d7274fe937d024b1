/* What all SQL engines have in common, and the list of them. See sql.h. */
#include "gateway/store/sql.h"

#include <stdio.h>

extern const struct sql_driver sql_sqlite;

/* One line per engine; pgsql.c has its place after sqlite.c. */
static const struct sql_driver *const drivers[] = {
	&sql_sqlite,
};

const struct sql_driver *sql_driver(const char *name)
{
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

struct sql *sql_open(const char *engine, const struct sql_conf *c, struct err *e)
{
	const struct sql_driver *d = sql_driver(engine);

	if (!d) {
		err_set(e, ERR_CONF, "store: there is no engine \"%s\"; use \"sqlite\"", engine);
		return NULL;
	}
	return d->open(c, e);
}

void sql_close(struct sql **dbp)
{
	struct sql *db = *dbp;

	*dbp = NULL;
	if (db)
		db->driver->close(db);
}

void sql_finish(struct sql_stmt **stp)
{
	struct sql_stmt *st = *stp;

	*stp = NULL;
	if (st)
		st->db->driver->finish(st);
}

int sql_define(struct sql *db, const char *name, int n, sql_fn *fn)
{
	if (db->driver->define)
		return db->driver->define(db, name, n, fn);
	db->fault = SQL_BAD;
	snprintf(db->words, sizeof db->words, "%s knows no functions of ours", db->driver->name);
	return -1;
}

int sql_run(struct sql_stmt *st)
{
	int r;

	do
		r = sql_step(st);
	while (r == 1);
	return r;
}

int sql_err(struct sql *db, struct err *e, const char *what)
{
	switch (db->fault) {
	case SQL_FULL:
		return err_set(
			e, ERR_ENV, "store: %s: the disk is full (%s); make room", what, db->words);
	case SQL_TIME:
		return err_set(e, ERR_AGAIN, "store: %s: took too long", what);
	case SQL_BUSY:
		return err_set(e, ERR_AGAIN, "store: %s: %s; is another program holding the file?",
			what, db->words);
	default:
		return err_set(e, ERR_ENV, "store: %s: %s", what, db->words);
	}
}

int64_t sql_number(struct sql *db, const char *text, int64_t otherwise)
{
	struct sql_stmt *st = sql_prepare(db, text);
	int64_t v = otherwise;

	if (!st)
		return otherwise;
	if (sql_step(st) == 1) {
		if (!sql_col_null(st, 0))
			v = sql_col(st, 0);
		sql_reset(st);
	}
	sql_finish(&st);
	return v;
}
