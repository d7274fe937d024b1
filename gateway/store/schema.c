/* The tables as text, one step per version. See schema.h.
 *
 * A step once released is never edited; a change is a new step. What is written often is narrow
 * and lies in key order of its own: rows that wait (q), rows whose receipt is awaited (sent, rc),
 * news not yet taken (note), what became of a message (st), so that a change of state rewrites no
 * content (msg).
 * Times are nanoseconds since 1970; state, reason, media and priority are the numbers of
 * gateway/tables and gateway/model; the view `messages` is for people.
 */
#include "gateway/store/schema.h"

#include <stdio.h>

static const char version_1[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE name(kind INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
	" PRIMARY KEY(kind, number), UNIQUE(kind, name)) WITHOUT ROWID;"
	/* what was accepted, never changed (but by replace_sm, and erase.c, which leaves an empty
	 * dst where there was one); data is the packed message; due: 0
	 * when it is `accepted`; sms: eight octets, src_ton first */
	"CREATE TABLE msg(id INTEGER PRIMARY KEY, submitter INTEGER NOT NULL,"
	" channel INTEGER NOT NULL, media INTEGER NOT NULL, prio INTEGER NOT NULL,"
	" wants INTEGER NOT NULL, flags INTEGER NOT NULL, parts INTEGER NOT NULL,"
	" sms INTEGER NOT NULL, accepted INTEGER NOT NULL, due INTEGER NOT NULL,"
	" expires INTEGER NOT NULL, src TEXT, dst TEXT, client_id TEXT, data BLOB NOT NULL);"
	/* what became of it; no row: it waits where it was put at first. key: NULL when it is
	 * far_id; rc: the channel under which receipts come, 0 when none is awaited;
	 * parts: as the channel cut it */
	"CREATE TABLE st(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL, channel INTEGER NOT NULL, prio INTEGER NOT NULL,"
	" due INTEGER NOT NULL, sent_at INTEGER NOT NULL, final_at INTEGER NOT NULL,"
	" rc INTEGER NOT NULL, parts INTEGER NOT NULL, far_id TEXT, key TEXT, err TEXT,"
	" words TEXT);"
	"CREATE TABLE q(channel INTEGER, prio INTEGER, due INTEGER, id INTEGER,"
	" expires INTEGER NOT NULL, attempt INTEGER NOT NULL, parts INTEGER NOT NULL,"
	" marked INTEGER NOT NULL, PRIMARY KEY(channel, prio, due, id)) WITHOUT ROWID;"
	/* awaited receipts: the young as one row per commit, n that of its last entry, the old by
	 * key (awaited.c) */
	"CREATE TABLE sent(n INTEGER PRIMARY KEY, data BLOB NOT NULL);"
	"CREATE TABLE rc(channel INTEGER, key TEXT, id INTEGER, part INTEGER,"
	" at INTEGER NOT NULL, done INTEGER NOT NULL, PRIMARY KEY(channel, key, id, part))"
	" WITHOUT ROWID;"
	"CREATE TABLE part(id INTEGER, part INTEGER, state INTEGER NOT NULL,"
	" ref INTEGER NOT NULL, sent_at INTEGER NOT NULL, final_at INTEGER NOT NULL,"
	" far_id TEXT, key TEXT, err TEXT, PRIMARY KEY(id, part)) WITHOUT ROWID;"
	"CREATE TABLE note(outlet INTEGER, seq INTEGER, msg INTEGER NOT NULL,"
	" kind INTEGER NOT NULL, state INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" delivered INTEGER NOT NULL, at INTEGER NOT NULL, err TEXT,"
	" PRIMARY KEY(outlet, seq)) WITHOUT ROWID;"
	"CREATE TABLE dedupe(submitter INTEGER, client_id TEXT, id INTEGER NOT NULL,"
	" print INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(submitter, client_id))"
	" WITHOUT ROWID;"
	"CREATE TABLE orphan(n INTEGER PRIMARY KEY, channel INTEGER NOT NULL, k0 TEXT, k1 TEXT,"
	" k2 TEXT, k3 TEXT, raw TEXT, dst TEXT, state INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" err TEXT, at INTEGER NOT NULL, parked INTEGER NOT NULL);"
	"CREATE TABLE mo_part(key TEXT, part INTEGER, parts INTEGER NOT NULL,"
	" outlet INTEGER NOT NULL, at INTEGER NOT NULL, data BLOB, PRIMARY KEY(key, part))"
	" WITHOUT ROWID;"
	"CREATE TABLE event(id INTEGER, at INTEGER, what TEXT, channel INTEGER NOT NULL,"
	" reason INTEGER NOT NULL, words TEXT, PRIMARY KEY(id, at, what)) WITHOUT ROWID;";

/* For people with the sqlite3 shell; and incomplete messages of subscribers found by age. */
static const char version_2[] =
	"CREATE VIEW messages AS SELECT msg.id,"
	" CASE coalesce(st.state, 0) WHEN 0 THEN 'queued' WHEN 1 THEN 'sending' WHEN 2 THEN 'sent'"
	" WHEN 3 THEN 'delivered' WHEN 4 THEN 'read' WHEN 5 THEN 'undeliverable'"
	" WHEN 6 THEN 'expired' WHEN 7 THEN 'rejected' WHEN 8 THEN 'cancelled'"
	" WHEN 9 THEN 'suppressed' ELSE 'unknown' END AS state,"
	" (SELECT name FROM name WHERE kind = 1 AND number = msg.submitter) AS submitter,"
	" (SELECT name FROM name WHERE kind = 2"
	"  AND number = coalesce(st.channel, msg.channel)) AS channel,"
	" msg.src AS sender, msg.dst AS recipient, st.attempt, coalesce(st.parts, msg.parts) AS "
	"parts, st.far_id, st.err,"
	" st.words, msg.client_id, msg.accepted / 1000000 AS accepted_ms,"
	" st.sent_at / 1000000 AS sent_ms, st.final_at / 1000000 AS final_ms"
	" FROM msg LEFT JOIN st ON st.id = msg.id;"
	"CREATE INDEX mo_part_at ON mo_part(at);";

/* Which file of the spool a message's big body is in. */
static const char version_3[] = "CREATE TABLE spool(id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
				"CREATE INDEX spool_name ON spool(name);";

static const char *const steps[SCHEMA_VERSION] = { version_1, version_2, version_3 };

int schema_version(struct sql *db)
{
	int64_t there =
		sql_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'", -1);

	if (there <= 0)
		return (int)there;
	return (int)sql_number(db, "SELECT value FROM meta WHERE name = 'version'", -1);
}

static int schema_step(struct sql *db, int to)
{
	char text[120];

	snprintf(text, sizeof text,
		"INSERT INTO meta(name, value) VALUES('version', %d)"
		" ON CONFLICT(name) DO UPDATE SET value = excluded.value",
		to);
	if (sql_begin(db) < 0)
		return -1;
	if (sql_exec(db, steps[to - 1]) < 0 || sql_exec(db, text) < 0 || sql_commit(db) < 0) {
		sql_rollback(db);
		return -1;
	}
	return 0;
}

int schema_open_upto(struct sql *db, int version, struct err *e)
{
	int v = schema_version(db);

	if (v < 0) {
		if (db->fault == SQL_OK)
			return err_set(
				e, ERR_ENV, "store: the file is a database, but not one of ours");
		return sql_err(db, e, "reading its version");
	}
	if (v > SCHEMA_VERSION)
		return err_set(e, ERR_ENV,
			"store: the file is of version %d and this program knows up to %d; run the "
			"newer program, or put a backup in its place",
			v, SCHEMA_VERSION);
	for (; v < version; v++)
		if (schema_step(db, v + 1) < 0)
			return sql_err(db, e, "bringing the tables up to date");
	return 0;
}

int schema_open(struct sql *db, struct err *e)
{
	return schema_open_upto(db, SCHEMA_VERSION, e);
}
