/* The tables, and how a file of an older version becomes one of today. */
#ifndef POSTERN_STORE_SCHEMA_H
#define POSTERN_STORE_SCHEMA_H

#include "gateway/store/sql.h"

enum { SCHEMA_VERSION = 3 };

/* Creates or migrates, each step in a transaction of its own. -1 with e: also when the file is
 * of a later version than this program. */
int schema_open(struct sql *db, struct err *e);
/* Migrates up to `version` only: for tests of migration. */
int schema_open_upto(struct sql *db, int version, struct err *e);
/* The version of the file; 0: empty, -1: cannot be read. */
int schema_version(struct sql *db);

#endif
