/* Declared attributes of members, each a column of the table of_attr: a filter over a million
 * members reads them as they lie. A column belongs to a name and a type and is never dropped or
 * given to another, so what was stored under an attribute is there again when its declaration
 * returns; under another type it is another attribute.
 *
 * One object for one connection and one set of rules: struct db carries it. Functions that return
 * int: 0, or -1 with the connection's fault set.
 */
#ifndef POSTERN_PLUGINS_OFFERS_ATTRS_H
#define POSTERN_PLUGINS_OFFERS_ATTRS_H

#include "gateway/base/mem.h"
#include "gateway/store/sql.h"
#include "plugins/offers/names.h"

struct attrs;
/* v: rules->attributes, which must outlive it ("member.city": the column is of what stands behind
 * the first dot). make: columns that are not there yet are added, on the writer, within the
 * caller's transaction; a reader (make false) takes absent ones as missing. NULL: e says why. */
struct attrs *attrs_open(struct sql *sql, const struct name *v, size_t n, bool make, struct err *e);
void attrs_close(struct attrs **ap);
/* All n values of a member; texts and lists live in the arena. */
int attrs_load(struct attrs *a, uint64_t member, struct arena *arena, struct value *v_r);
/* All n values, missing ones too. A value of another type than was declared is stored as missing.
 */
int attrs_save(struct attrs *a, uint64_t member, const struct value *v);
/* The same for one who most likely has none yet: an insert that may have to update costs SQLite a
 * journal per row. */
int attrs_add(struct attrs *a, uint64_t member, const struct value *v);
int attrs_erase(struct attrs *a, uint64_t member);
/* "a3": its column in of_attr, or NULL where a reader found none. */
const char *attrs_column(const struct attrs *a, size_t i);

/* How a value lies in a column: bool 0 or 1; int, decimal, date, time, datetime as their number, a
 * duration as nanoseconds (days and months at 24 hours and 30 days); text; a list as a JSON array
 * of such; missing as NULL. */
void value_bind(
	struct sql_stmt *st, int i, struct value v, struct buf *scratch); /* lives till reset */
struct value value_column(
	struct sql_stmt *st, int i, enum value_type type, enum value_type of, struct arena *arena);
void value_list_put(struct buf *b, struct value list);

#endif
