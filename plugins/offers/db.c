/* The offers plugin's tables. See db.h.
 *
 * Times are nanoseconds since 1970 (wall_t); amounts are ten-thousandths; dates are days since
 * 1970; kinds, rows, media, states are the numbers of the headers. A step once released is never
 * edited. Whatever is read for every event lies in key order of its member.
 */
#include "plugins/offers/db.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/pin.h"

#include <stdio.h>

static const char version_1[] =
	"CREATE TABLE of_meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	/* names of offers, templates, counters, tasks, currencies, status systems, by small numbers
	 * that stay over reloads; kind: enum name_kind */
	"CREATE TABLE of_name(kind INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
	" PRIMARY KEY(kind, number), UNIQUE(kind, name)) WITHOUT ROWID;"

	/* ---- who: members and customers. id is ours; ext the programme's. merged: the record that
	 * stays, 0. birthday: month * 100 + day, 0 unknown; born: days since 1970 when the year is
	 * known. statuses: JSON object system -> value. erased ones keep id and state only. */
	"CREATE TABLE of_member(id INTEGER PRIMARY KEY, ext TEXT, state INTEGER NOT NULL,"
	" merged INTEGER NOT NULL DEFAULT 0, first_name TEXT, last_name TEXT,"
	" birthday INTEGER NOT NULL DEFAULT 0, born INTEGER, lang TEXT, zone TEXT, statuses TEXT,"
	" registered INTEGER, created INTEGER NOT NULL, updated INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX of_member_ext ON of_member(ext) WHERE ext IS NOT NULL;"
	"CREATE INDEX of_member_birthday ON of_member(birthday, zone) WHERE birthday > 0;"
	/* other names of a member: cards, devices, guests' receipts; kind: enum alias_kind */
	"CREATE TABLE of_alias(kind INTEGER, value TEXT, member INTEGER NOT NULL, since INTEGER "
	"NOT NULL,"
	" PRIMARY KEY(kind, value)) WITHOUT ROWID;"
	"CREATE INDEX of_alias_member ON of_alias(member);"
	/* kind: enum contact_kind (phone, email, viber, social, device token); flags: verified,
	 * invalid, landline; sub: provider, or push service, platform and device */
	"CREATE TABLE of_contact(member INTEGER, kind INTEGER, value TEXT, sub TEXT, flags INTEGER "
	"NOT NULL,"
	" since INTEGER NOT NULL, PRIMARY KEY(member, kind, value)) WITHOUT ROWID;"
	"CREATE INDEX of_contact_value ON of_contact(value, kind);"
	/* declared attributes, a column each (a1, a2 … by the number in of_attr_column): see
	 * attrs.h */
	"CREATE TABLE of_attr(member INTEGER PRIMARY KEY);"
	"CREATE TABLE of_attr_column(number INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT "
	"NULL,"
	" UNIQUE(name, type));"
	/* the subscription matrix, where it differs from the default; channel: media number, or -1
	 * the whole row; row -1: the whole channel; flags: granted, read-only */
	"CREATE TABLE of_consent(member INTEGER, row INTEGER, channel INTEGER, flags INTEGER NOT "
	"NULL,"
	" at INTEGER NOT NULL, PRIMARY KEY(member, row, channel)) WITHOUT ROWID;"
	"CREATE TABLE of_consent_log(n INTEGER PRIMARY KEY, member INTEGER NOT NULL, row INTEGER "
	"NOT NULL,"
	" channel INTEGER NOT NULL, flags INTEGER NOT NULL, at INTEGER NOT NULL, by_whom TEXT, "
	"proof TEXT);"
	"CREATE INDEX of_consent_log_member ON of_consent_log(member);"
	/* addresses that must not be written to, be their owner known or not; row -1: at all */
	"CREATE TABLE of_block(address TEXT, media INTEGER, row INTEGER, reason TEXT NOT NULL,"
	" at INTEGER NOT NULL, until INTEGER NOT NULL DEFAULT 0, by_whom TEXT, PRIMARY "
	"KEY(address, media, row))"
	" WITHOUT ROWID;"

	/* ---- what happened. body: compact JSON; reply: JSON that was answered, NULL until then;
	 * done: 0 raw, 1 worked on, 2 kept without effect (stale, unknown member's …) */
	"CREATE TABLE of_event(seq INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL,"
	" digest INTEGER NOT NULL, type INTEGER NOT NULL, member INTEGER NOT NULL DEFAULT 0,"
	" occurred INTEGER NOT NULL, received INTEGER NOT NULL, done INTEGER NOT NULL,"
	" body BLOB NOT NULL, reply BLOB);"
	"CREATE UNIQUE INDEX of_event_id ON of_event(id, source);"
	"CREATE INDEX of_event_raw ON of_event(seq) WHERE done = 0;"
	"CREATE INDEX of_event_received ON of_event(received);"
	/* for counting in filters, and for `last seen`: one narrow row per event of a member;
	 * amount: event_amount(); receipt and kind (phone, email …): hashes, 0 none */
	"CREATE TABLE of_past(member INTEGER, type INTEGER, occurred INTEGER, seq INTEGER, amount "
	"INTEGER,"
	" receipt INTEGER NOT NULL DEFAULT 0, kind INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(member, type, occurred, seq)) WITHOUT ROWID;"
	/* what an event was to an offer: enum mark_kind bits (arms, disarms), by member and offer
	 * in the order of time; the chain is a fold over these rows. receipt and key: hashes, 0
	 * none */
	"CREATE TABLE of_mark(member INTEGER, offer INTEGER, occurred INTEGER, seq INTEGER,"
	" kind INTEGER NOT NULL, receipt INTEGER NOT NULL, key INTEGER NOT NULL,"
	" PRIMARY KEY(member, offer, occurred, seq)) WITHOUT ROWID;"

	/* ---- chains: the present fold of each. run: seq of the event that the anchor comes from;
	 * first: steps before it are not this run's; step: the next one, from 0; due: when, NULL:
	 * nothing more; until: of the window (0 none)
	 */
	"CREATE TABLE of_chain(id INTEGER PRIMARY KEY, offer INTEGER NOT NULL, member INTEGER NOT "
	"NULL,"
	" key INTEGER NOT NULL, run INTEGER NOT NULL, anchor INTEGER NOT NULL, first INTEGER NOT "
	"NULL DEFAULT 0,"
	" step INTEGER NOT NULL,"
	" due INTEGER, restarts INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL, pin INTEGER "
	"NOT NULL DEFAULT 0,"
	" UNIQUE(member, offer, key));"
	"CREATE INDEX of_chain_due ON of_chain(due) WHERE due IS NOT NULL;"
	/* what offers said, by offer_version(): for the chains that began under it; and the sources
	 * of the templates of their steps (of_chain.pin), where the policy wants those kept */
	"CREATE TABLE of_steps(offer INTEGER, version INTEGER, at INTEGER NOT NULL, body BLOB NOT "
	"NULL,"
	" PRIMARY KEY(offer, version)) WITHOUT ROWID;"
	"CREATE TABLE of_source(number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, source "
	"BLOB NOT NULL);"
	"CREATE TABLE of_pin(pin INTEGER, step INTEGER, source INTEGER NOT NULL,"
	" PRIMARY KEY(pin, step)) WITHOUT ROWID;"
	/* steps that fired: never again for that run */
	"CREATE TABLE of_fired(member INTEGER, offer INTEGER, key INTEGER, run INTEGER, step "
	"INTEGER,"
	" at INTEGER NOT NULL, PRIMARY KEY(member, offer, key, run, step)) WITHOUT ROWID;"

	/* ---- counters: scope: enum counter_scope's subject id (member, account, store hash,
	 * offer); period: period_of(); and what purchases added, to be undone once */
	"CREATE TABLE of_counter(counter INTEGER, subject INTEGER, period INTEGER, value INTEGER "
	"NOT NULL,"
	" PRIMARY KEY(counter, subject, period)) WITHOUT ROWID;"
	"CREATE TABLE of_counted(receipt INTEGER, counter INTEGER, subject INTEGER, period INTEGER,"
	" value INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(receipt, counter, subject, "
	"period)) WITHOUT ROWID;"
	"CREATE INDEX of_counted_subject ON of_counted(subject);"

	/* zones that members have, so that tasks need not look through them all; '' is the
	 * programme's and not here. Filled by whoever inserts members (member_insert(): a trigger
	 * would cost a journal per row), and when a zone changes */
	"CREATE TABLE of_zone(zone TEXT PRIMARY KEY) WITHOUT ROWID;"

	/* ---- money: mirrored, or local when this is the master. at: when the platform last told
	 * it; what happened before is in it. A lot's zone is its member's ('' none): tasks look for
	 * lots by it. state: enum lot_state; receipt: hash, 0 none */
	"CREATE TABLE of_balance(member INTEGER, currency INTEGER, amount INTEGER NOT NULL,"
	" at INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(member, currency)) WITHOUT ROWID;"
	"CREATE TABLE of_lot(id INTEGER PRIMARY KEY, ext TEXT, member INTEGER NOT NULL, currency "
	"INTEGER NOT NULL,"
	" amount INTEGER NOT NULL, rest INTEGER NOT NULL, activates INTEGER NOT NULL, expires "
	"INTEGER NOT NULL,"
	" state INTEGER NOT NULL, why TEXT, at INTEGER NOT NULL, receipt INTEGER NOT NULL DEFAULT "
	"0,"
	" zone TEXT NOT NULL);"
	"CREATE UNIQUE INDEX of_lot_ext ON of_lot(ext) WHERE ext IS NOT NULL;"
	"CREATE INDEX of_lot_member ON of_lot(member, currency, expires);"
	"CREATE INDEX of_lot_activates ON of_lot(zone, activates, member) WHERE state = 0;"
	"CREATE INDEX of_lot_expires ON of_lot(zone, expires, member) WHERE state < 2 AND expires "
	"> "
	"0;"
	"CREATE TRIGGER of_member_zone AFTER UPDATE OF zone ON of_member WHEN new.zone IS NOT "
	"old.zone BEGIN"
	" INSERT OR IGNORE INTO of_zone(zone) SELECT new.zone WHERE new.zone IS NOT NULL;"
	" UPDATE of_lot SET zone = coalesce(new.zone, '') WHERE member = new.id; END;"
	/* what a receipt spent, to be given back when it is cancelled; lot 0: of the balance */
	"CREATE TABLE of_spent(member INTEGER, receipt INTEGER, currency INTEGER, lot INTEGER,"
	" amount INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(member, receipt, currency, "
	"lot)) WITHOUT ROWID;"

	/* ---- what we sent or decided not to send. id: hash of object, run, step, member (the
	 * idempotency key); msg: the gateway's id, 0 when none was made; media: which way; day: of
	 * the member's calendar, for caps; class: enum class; object: offer or task by number */
	"CREATE TABLE of_sent(id INTEGER PRIMARY KEY, member INTEGER NOT NULL, object INTEGER NOT "
	"NULL,"
	" run INTEGER NOT NULL, step INTEGER NOT NULL, template INTEGER NOT NULL, media INTEGER "
	"NOT NULL,"
	" row INTEGER NOT NULL, class INTEGER NOT NULL, msg INTEGER NOT NULL, state INTEGER NOT "
	"NULL,"
	" reason TEXT, at INTEGER NOT NULL, due INTEGER NOT NULL, address TEXT, receipt INTEGER "
	"NOT NULL DEFAULT 0);"
	"CREATE INDEX of_sent_member ON of_sent(member, at);"
	"CREATE INDEX of_sent_msg ON of_sent(msg) WHERE msg > 0;"
	/* where one of them became several messages, one for each device: all of those */
	"CREATE TABLE of_part(msg INTEGER PRIMARY KEY, sent INTEGER NOT NULL, state INTEGER NOT "
	"NULL,"
	" address TEXT NOT NULL);"
	"CREATE INDEX of_part_sent ON of_part(sent);"
	/* what went to an address under policy, of all senders: for caps and for withdrawing it */
	"CREATE TABLE of_touch(subject INTEGER, day INTEGER, media INTEGER, msg INTEGER, row "
	"INTEGER NOT NULL,"
	" class INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(subject, day, media, msg)) "
	"WITHOUT ROWID;"

	/* ---- to be done after the commit, until done: cancel messages, tell upstream, erase.
	 * kind: enum deed_kind; msg: of DEED_LEFT a member */
	"CREATE TABLE of_deed(seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, msg INTEGER NOT NULL,"
	" due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, key TEXT, body BLOB);"
	"CREATE INDEX of_deed_due ON of_deed(kind, due);"

	/* ---- recurring tasks: one row per task, local date and zone ('' not known); date 0: since
	 * when the task is known. state: enum run_state; phase, mark, cursor: how far it has come
	 */
	"CREATE TABLE of_run(task INTEGER, zone TEXT, date INTEGER, state INTEGER NOT NULL,"
	" phase INTEGER NOT NULL, mark INTEGER NOT NULL, cursor INTEGER NOT NULL, seen INTEGER NOT "
	"NULL,"
	" sent INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,"
	" PRIMARY KEY(task, zone, date)) WITHOUT ROWID;"
	"CREATE INDEX of_run_open ON of_run(date, task, zone) WHERE state = 0;"
	/* the newest that a member was told: date of the bucket (of birthdays the year); due: it
	 * waits for quiet hours to end, 0 it does not */
	"CREATE TABLE of_task_done(task INTEGER, member INTEGER, currency INTEGER, ahead INTEGER,"
	" date INTEGER NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL,"
	" PRIMARY KEY(task, member, currency, ahead)) WITHOUT ROWID;"
	"CREATE INDEX of_task_due ON of_task_done(due) WHERE due > 0;";

/* What a suppression goes by: a bounce's words, the message that was complained of. */
static const char version_2[] = "ALTER TABLE of_block ADD COLUMN proof TEXT";

/* Why an event has no effect, or could not be worked on (done: 3). */
static const char version_3[] = "ALTER TABLE of_event ADD COLUMN why TEXT";

/* Events that would not be found by of_past, records that became another: both by whom they are of;
 * what was last said of a member by PUT and PATCH (said.h);
 * and who has left before that was erased whole is gone through once more (leaving.c). */
static const char version_4[] =
	"CREATE INDEX of_event_idle ON of_event(member) WHERE done >= 2;"
	"CREATE INDEX of_member_merged ON of_member(merged) WHERE merged > 0;"
	"CREATE TABLE of_said(member INTEGER, field TEXT, at INTEGER NOT NULL,"
	" PRIMARY KEY(member, field)) WITHOUT ROWID;"
	"INSERT INTO of_deed(kind, msg, due) SELECT 4, id, 0 FROM of_member WHERE state = 4";

static const char *const steps[OFFERS_SCHEMA] = { version_1, version_2, version_3, version_4 };

int offers_schema_version(struct sql *db)
{
	if (sql_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'of_meta'", 0) <= 0)
		return 0;
	return (int)sql_number(db, "SELECT value FROM of_meta WHERE name = 'version'", -1);
}

int offers_schema(struct sql *db, struct err *e)
{
	int there = offers_schema_version(db);
	char text[120];

	if (there < 0)
		return sql_err(db, e, "reading the version of the offers tables");
	if (there > OFFERS_SCHEMA)
		return err_set(e, ERR_CONF,
			"store: its offers tables are of version %d, later than this program's %d; "
			"run the newer program, or restore a backup of the older version",
			there, OFFERS_SCHEMA);
	for (; there < OFFERS_SCHEMA; there++)
		if (sql_exec(db, steps[there]) < 0)
			return sql_err(db, e, "making the offers tables");
	snprintf(text, sizeof text,
		"INSERT INTO of_meta(name, value) VALUES('version', %d)"
		" ON CONFLICT(name) DO UPDATE SET value = excluded.value",
		OFFERS_SCHEMA);
	if (sql_exec(db, text) < 0)
		return sql_err(db, e, "making the offers tables");
	return 0;
}

/* ---- prepared statements ---- */
static const char *const texts[ST_COUNT] = {
#define ST(NAME, text) text,
#include "plugins/offers/statements.def"
#undef ST
};

void db_open(struct db *d, struct sql *sql)
{
	*d = (struct db){ .sql = sql };
}

void db_close(struct db *d)
{
	for (unsigned i = 0; i < ST_COUNT; i++)
		sql_finish(&d->st[i]);
	attrs_close(&d->attrs);
	pins_close(&d->pins);
}

struct sql_stmt *db_st(struct db *d, enum st which)
{
	if (!d->st[which]) {
		d->st[which] = sql_prepare(d->sql, texts[which]);
		CHECK(d->st[which] || d->sql->fault != SQL_BAD);
	}
	return d->st[which];
}

/* ---- names by number ---- */

static uint32_t name_step(struct db *d, enum st which, int kind, struct str name)
{
	struct sql_stmt *st = db_st(d, which);
	uint32_t n = 0;

	if (!st)
		return 0;
	sql_int(st, 1, kind);
	sql_text(st, 2, name);
	if (sql_step(st) == 1)
		n = (uint32_t)sql_col(st, 0);
	sql_reset(st);
	return n;
}

uint32_t name_number(struct db *d, int kind, struct str name, bool create)
{
	uint32_t n = name_step(d, ST_NAME_GET, kind, name);

	return n || !create ? n : name_step(d, ST_NAME_ADD, kind, name);
}

bool name_of(struct db *d, int kind, uint32_t number, char *out, size_t cap)
{
	struct sql_stmt *st = db_st(d, ST_NAME_OF);
	bool found = false;

	if (!st)
		return false;
	sql_int(st, 1, kind);
	sql_int(st, 2, number);
	if (sql_step(st) == 1) {
		str_copy(out, cap, sql_col_str(st, 0));
		found = true;
	}
	sql_reset(st);
	return found;
}
