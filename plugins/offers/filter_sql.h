/* A filter as a condition of a parameterised query: the audience side of the filter language.
 *
 * The caller builds a query of any shape and puts the condition where it belongs; constants become
 * parameters of exact types, never text of the query. What a name or a function means in tables
 *comes from a map. Arithmetic, dates and texts are computed by functions of ours in the connection,
 *so the answer is that of filter_eval() (FX-1). One thread at a time.
 *
 *	struct filter_sql q = FILTER_SQL(&map);
 *	filter_sql_c(&q, "SELECT m.id FROM of_member m WHERE m.id > ");
 *	filter_sql_param(&q, value_int(after));
 *	filter_sql_c(&q, " AND ");
 *	if (filter_sql_condition(&q, f, e) < 0) …
 *	st = filter_sql_prepare(&q, sql, e);
 *	while (sql_step(st) > 0) …
 *	sql_finish(&st);
 *	filter_sql_free(&q);
 */
#ifndef POSTERN_PLUGINS_OFFERS_FILTER_SQL_H
#define POSTERN_PLUGINS_OFFERS_FILTER_SQL_H

#include "gateway/store/sql.h"
#include "plugins/offers/filter.h"

struct filter_sql;
/* What writes an SQL expression to q by the functions below. Its values lie as attrs.h says
 * (value_column); NULL is missing. False: there is none. */
struct filter_map {
	bool (*slot)(void *ctx, struct filter_sql *q, unsigned slot);
	/* args as filter_world.call() gets them. May put the condition of another filter
	 * (filter_sql_condition: in_audience). */
	bool (*call)(void *ctx, struct filter_sql *q, enum filter_fn fn, const struct value *args);
	void *ctx;
};

struct filter_sql {
	const struct filter_map *map;
	struct buf text;
	struct value *v; /* parameters, in order; texts are borrowed from the filter or the map */
	size_t n, cap;
	unsigned hoists; /* names given to parts that were taken out (filter_sql.c) */
	struct buf lists;
	struct err err; /* the first thing that cannot be said in SQL */
	bool failed;
};
#define FILTER_SQL(m) ((struct filter_sql){ .map = (m) })
void filter_sql_free(struct filter_sql *q);

void filter_sql_c(struct filter_sql *q, const char *text);
void filter_sql_printf(struct filter_sql *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends $n and binds it. */
void filter_sql_param(struct filter_sql *q, struct value v);
/* Appends the condition in parentheses: true, or false or NULL; for WHERE, AND, OR. -1: e says
 * which part has no meaning in tables. */
int filter_sql_condition(struct filter_sql *q, const struct filter *f, struct err *e);
/* A condition that holds wherever the filter holds: parts that the map cannot say are left out
 * (they count as true), and *exact_r is false when that happened: what is found then is to be
 * looked at again by filter_eval(). */
void filter_sql_narrow(struct filter_sql *q, const struct filter *f, bool *exact_r);
/* The same as filter_sql_condition(), but true or false for certain: for NOT, and as a value. */
int filter_sql_truth(struct filter_sql *q, const struct filter *f, struct err *e);
/* The statement, its parameters bound: q must outlive its use. NULL: e says why. */
struct sql_stmt *filter_sql_prepare(struct filter_sql *q, struct sql *db, struct err *e);
/* Binds again after a reset (bindings outlive one, so this is rarely needed). */
void filter_sql_bind(struct filter_sql *q, struct sql_stmt *st);
/* Makes our functions known to the connection, unless they are. filter_sql_prepare() does so. */
int filter_sql_define(struct sql *db, struct err *e);

#endif
