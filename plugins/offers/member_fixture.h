/* What tests of members share: an empty :memory: store, rules made by hand, a unit of work. */
#ifndef POSTERN_PLUGINS_OFFERS_MEMBER_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_MEMBER_FIXTURE_H

#include "plugins/offers/attrs.h"
#include "plugins/offers/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

static struct {
	struct sql *sql;
	struct db db;
	struct rules rules;
	struct rules_conf conf;
	struct work w;
} mf;

static void mf_unit(void)
{
	wall_t now = mf.w.now;

	arena_free(&mf.w.arena);
	mf.w = (struct work){ .db = &mf.db, .rules = &mf.rules, .now = now, .arena = arena_new() };
}

static int mf_begin(void **state)
{
	static struct name attrs[] = {
		{ "member.city", VALUE_TEXT, VALUE_MISSING, SLOT_ATTR, NULL },
		{ "member.children", VALUE_INT, VALUE_MISSING, SLOT_ATTR + 1, NULL },
		{ "member.tags", VALUE_LIST, VALUE_TEXT, SLOT_ATTR + 2, NULL },
		{ "member.wedding", VALUE_DATE, VALUE_MISSING, SLOT_ATTR + 3, NULL },
	};
	static const char *systems[] = { "tier", "staff" };
	static const char *stop[] = { "STOP", "СТОП" }, *start[] = { "START" };
	static const char *fixed[] = { "System" };
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct err e = { 0 };

	memset(&mf, 0, sizeof mf);
	mf.sql = sql_open("sqlite", &c, &e);
	assert_non_null(mf.sql);
	assert_int_equal(offers_schema(mf.sql, &e), 0);
	db_open(&mf.db, mf.sql);
	mf.conf.policy.consent_default = 2;
	mf.conf.policy.stop_words = stop;
	mf.conf.policy.stop_words_n = 2;
	mf.conf.policy.start_words = start;
	mf.conf.policy.start_words_n = 1;
	mf.conf.policy.read_only = fixed;
	mf.conf.policy.read_only_n = 1;
	mf.conf.members.statuses = systems;
	mf.conf.members.statuses_n = 2;
	mf.rules.conf = &mf.conf;
	mf.rules.zone = zone_find(STR("Europe/Riga"), NULL);
	mf.rules.attributes = attrs;
	mf.rules.attributes_n = 4;
	mf.db.attrs = attrs_open(mf.sql, attrs, 4, true, &e);
	assert_non_null(mf.db.attrs);
	mf.w.now = 1767225600 * DUR_S; /* 2026-01-01 */
	mf_unit();
	return 0;
}

static int mf_end(void **state)
{
	arena_free(&mf.w.arena);
	db_close(&mf.db);
	sql_close(&mf.sql);
	return 0;
}

static struct member *mf_member(const char *ext)
{
	struct member *m = NULL;

	if (member_find(&mf.w, ALIAS_MEMBER, str_of(ext), &m) != 1)
		assert_int_equal(member_create(&mf.w, str_of(ext), MEMBER_REGISTERED, &m), 0);
	return m;
}

static int64_t mf_number(const char *query)
{
	return sql_number(mf.sql, query, -1);
}

/* A message that waits in a queue, as dispatch notes it. */
static void mf_sent(const struct member *m, uint64_t msg, enum media media, enum row row,
	enum class class, const char *address)
{
	char text[400], digest[ADDRESS_DIGEST];

	address_digest(str_of(address), digest);
	snprintf(text, sizeof text,
		"INSERT INTO of_sent(id, member, object, run, step, template, media, row, class, "
		"msg, state, at, due, address) VALUES(%lld, %lld, 1, 1, 0, 1, %d, %d, %d, %lld, 0, "
		"%lld, 0, '%s')",
		(long long)msg, (long long)m->id, media, row, class, (long long)msg,
		(long long)mf.w.now, digest);
	assert_int_equal(sql_exec(mf.sql, text), 0);
}

#endif
