/* What tests of dispatch, stories and the like share: rules from a text, an empty :memory: store,
 * and a gateway that keeps what it is given. */
#ifndef POSTERN_PLUGINS_OFFERS_OFFERS_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_OFFERS_FIXTURE_H

#include "plugins/offers/attrs.h"
#include "plugins/offers/dispatch.h"
#include "plugins/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

enum { OF_MESSAGES = 4096 };
static struct {
	struct sql *sql;
	struct db db;
	struct rules *rules;
	struct work w;
	struct message *sent[OF_MESSAGES];
	unsigned sent_n;
	enum reason refuse[MEDIA_COUNT]; /* at the door */
	uint64_t next_id;
	bool waits;                                 /* nothing leaves: no channel is up */
	int (*erase)(struct work *w, uint64_t msg); /* of the gateway's messages; NULL: none */
} of;

static wall_t of_at(const char *rfc3339)
{
	wall_t t = 0;

	assert_true(clock_parse_rfc3339(str_of(rfc3339), &t));
	return t;
}

static void of_is_at(wall_t t, const char *rfc3339)
{
	struct buf b = BUF_INIT;

	if (t != of_at(rfc3339)) {
		clock_put_rfc3339(&b, t);
		fail_msg("%s, not %s", buf_cstr(&b), rfc3339);
	}
	buf_free(&b);
}

static uint64_t of_send(struct work *w, struct message *m, struct outcome *why)
{
	enum reason no = of.refuse[m->media];

	if (no) {
		*why = outcome_of(no);
		message_unref(&m);
		return 0;
	}
	assert_true(of.sent_n < OF_MESSAGES);
	m->id = ++of.next_id;
	of.sent[of.sent_n++] = m;
	return m->id;
}

/* What the store knows to have left: by default what need not wait. */
static int of_left(struct work *w, uint64_t msg)
{
	for (unsigned i = 0; i < of.sent_n; i++)
		if (of.sent[i]->id == msg)
			return !of.waits && of.sent[i]->send_at <= w->now;
	return !of.waits;
}

static void of_unit(void)
{
	wall_t now = of.w.now;

	arena_free(&of.w.arena);
	of.w = (struct work){ .db = &of.db,
		.rules = of.rules,
		.now = now,
		.arena = arena_new(),
		.send = of_send,
		.left = of_left,
		.erase = of.erase };
}

static void of_forget(void)
{
	for (unsigned i = 0; i < of.sent_n; i++)
		message_unref(&of.sent[i]);
	of.sent_n = 0;
}

static void of_begin(const char *text)
{
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER };
	struct conf_faults f = { 0 };
	struct err e = { 0 };

	memset(&of, 0, sizeof of);
	of.rules = rules_load_text("test", str_of(text), MEDIA_ANY, &f);
	if (!of.rules) {
		struct buf b = BUF_INIT;

		conf_faults_text(&f, &b);
		fail_msg("%s", buf_cstr(&b));
	}
	conf_faults_free(&f);
	of.sql = sql_open("sqlite", &c, &e);
	assert_non_null(of.sql);
	assert_int_equal(offers_schema(of.sql, &e), 0);
	db_open(&of.db, of.sql);
	of.db.attrs = attrs_open(of.sql, of.rules->attributes, of.rules->attributes_n, true, &e);
	assert_non_null(of.db.attrs);
	assert_int_equal(rules_number(of.rules, &of.db, &e), 0);
	of.next_id = 1000;
	of.w.now = of_at("2026-06-01T12:00:00+03:00"); /* a Monday */
	of_unit();
}

static int of_end(void **state)
{
	of_forget();
	arena_free(&of.w.arena);
	attrs_close(&of.db.attrs);
	db_close(&of.db);
	sql_close(&of.sql);
	rules_unref(&of.rules);
	return 0;
}

static struct member *of_member(const char *ext)
{
	struct member *m = NULL;

	if (member_find(&of.w, ALIAS_MEMBER, str_of(ext), &m) != 1)
		assert_int_equal(member_create(&of.w, str_of(ext), MEMBER_REGISTERED, &m), 0);
	return m;
}

static void of_contact(struct member *m, enum contact_kind kind, const char *value, const char *sub)
{
	static wall_t since = 1;

	assert_int_equal(
		contact_put(&of.w, m, kind, str_of(value), str_of(sub), CONTACT_VERIFIED, ++since),
		0);
}

static int64_t of_number(const char *query)
{
	return sql_number(of.sql, query, -1);
}

#endif
