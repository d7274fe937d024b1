/* The plugin's tables and prepared statements on one connection.
 *
 * The store writer has one for the whole run; stories have one each on a :memory: store; readers
 * (admin questions, audiences) have their own, read only. Tables have the prefix of_. One thread at
 * a time; texts in rows live until the next step or reset of that statement.
 */
#ifndef POSTERN_PLUGINS_OFFERS_DB_H
#define POSTERN_PLUGINS_OFFERS_DB_H

#include "gateway/store/sql.h"

enum { OFFERS_SCHEMA = 4 };
/* Creates or migrates; within the caller's transaction. -1 with e. */
int offers_schema(struct sql *db, struct err *e);
int offers_schema_version(struct sql *db);

/* ST(NAME, "text") of statements.def: prepared when first used, kept. */
enum st {
#define ST(NAME, text) ST_##NAME,
#include "plugins/offers/statements.def"
#undef ST
	ST_COUNT
};
struct pins;
struct db {
	struct sql *sql;
	struct sql_stmt *st[ST_COUNT];
	struct attrs
		*attrs; /* columns of declared attributes: who installs rules opens it (attrs.h) */
	struct pins *pins; /* what was made again for chains under way (pin.h) */
};
void db_open(struct db *d, struct sql *sql);
void db_close(struct db *d); /* the statements; before the connection closes */
/* Reset and ready for its parameters; never NULL: a text at fault is a bug and ends the process;
 * when the store fails, NULL comes and d->sql says why. */
struct sql_stmt *db_st(struct db *d, enum st which);

/* The number of a name of that kind (rules.h enum name_kind), given when `create`; 0: there is
 * none, or the store failed. */
uint32_t name_number(struct db *d, int kind, struct str name, bool create);
/* Into a C buffer; false: no such number. */
bool name_of(struct db *d, int kind, uint32_t number, char *out, size_t cap);

#endif
