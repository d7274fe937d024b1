/* What the tests of tasks and their bench share: rules from a text, a store in memory (or a file),
 * a clock that is set, and what was sent. */
#ifndef POSTERN_PLUGINS_OFFERS_TASK_FIXTURE_H
#define POSTERN_PLUGINS_OFFERS_TASK_FIXTURE_H

#include "gateway/model/outcome.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/task.h"

#include <stdio.h>
#include <stdlib.h>

/* no program uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

static struct {
	struct sql *sql;
	struct db db;
	struct rules *rules;
	struct work w;
	uint64_t messages; /* sent so far */
	/* the last ones */
	struct {
		char to[40], text[200];
		wall_t send_at, expires;
	} sent[64];
	unsigned sent_n;
} tf;

static void tf_fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	abort();
}

static uint64_t tf_keep(struct work *w, struct message *m, struct outcome *why)
{
	if (tf.sent_n < 64) {
		str_copy(tf.sent[tf.sent_n].to, sizeof tf.sent[0].to, message_get(m, FIELD_TO));
		str_copy(tf.sent[tf.sent_n].text, sizeof tf.sent[0].text,
			message_get(m, FIELD_TEXT));
		tf.sent[tf.sent_n].send_at = m->send_at;
		tf.sent[tf.sent_n++].expires = m->expires;
	}
	message_unref(&m);
	return ++tf.messages;
}

static void tf_unit(void)
{
	wall_t now = tf.w.now;

	arena_free(&tf.w.arena);
	tf.w = (struct work){
		.db = &tf.db, .rules = tf.rules, .now = now, .arena = arena_new(), .send = tf_keep
	};
}

static void tf_rules(const char *text)
{
	struct conf_faults f = { 0 };
	struct err e = { 0 };

	rules_unref(&tf.rules);
	tf.rules = rules_load_text("test.conf", str_of(text), MEDIA_ANY, &f);
	if (!tf.rules) {
		struct buf b = BUF_INIT;

		conf_faults_text(&f, &b);
		tf_fail("rules", buf_cstr(&b));
	}
	conf_faults_free(&f);
	if (rules_number(tf.rules, &tf.db, &e))
		tf_fail("rules", e.text);
	tf_unit();
}

static void tf_open(const char *where, const char *rules)
{
	struct sql_conf c = { .where = where, .role = SQL_WRITER, .cache = 64 << 20 };
	struct err e = { 0 };

	memset(&tf, 0, sizeof tf);
	tf.sql = sql_open("sqlite", &c, &e);
	if (!tf.sql || offers_schema(tf.sql, &e))
		tf_fail("store", e.text);
	db_open(&tf.db, tf.sql);
	tf_rules(rules);
	tf.db.attrs = attrs_open(tf.sql, tf.rules->attributes, tf.rules->attributes_n, true, &e);
}

static void tf_close(void)
{
	arena_free(&tf.w.arena);
	rules_unref(&tf.rules);
	db_close(&tf.db);
	sql_close(&tf.sql);
}

static void tf_at(const char *rfc3339)
{
	if (!clock_parse_rfc3339(str_of(rfc3339), &tf.w.now))
		tf_fail("time", rfc3339);
	tf_unit();
}

static struct member *tf_member(const char *ext)
{
	struct member *m = NULL;

	if (member_find(&tf.w, ALIAS_MEMBER, str_of(ext), &m) != 1)
		tf_fail("no member", ext);
	return m;
}

/* Registered, with a phone; zone NULL: not known. */
static void tf_add(const char *ext, const char *zone, int birthday)
{
	static unsigned phones;
	struct member *m;
	char phone[20];

	if (member_create(&tf.w, str_of(ext), MEMBER_REGISTERED, &m))
		tf_fail("member", tf.w.e.text);
	m->birthday = birthday;
	m->registered = m->created - 400 * DUR_DAY;
	if (zone) {
		m->zone = zone_find(str_of(zone), NULL);
		m->zone_known = true;
	}
	snprintf(phone, sizeof phone, "371%08u", ++phones);
	if (member_save(&tf.w, m) || contact_put(&tf.w, m, CONTACT_PHONE, str_of(phone), STR_NONE,
					     CONTACT_VERIFIED, tf.w.now) < 0)
		tf_fail("member", tf.w.e.text);
}

/* Points of a member; times RFC 3339, NULL: none. */
static void tf_lot(const char *ext, const char *lot, const char *currency, int amount,
	const char *activates, const char *expires)
{
	struct lot_told t = { .ext = str_of(lot),
		.currency = currency_number(&tf.w, str_of(currency), true),
		.amount = (int64_t)amount * DECIMAL_ONE,
		.at = tf.w.now };

	if ((activates && !clock_parse_rfc3339(str_of(activates), &t.activates)) ||
		(expires && !clock_parse_rfc3339(str_of(expires), &t.expires)) ||
		lot_put(&tf.w, tf_member(ext), &t))
		tf_fail("lot", lot);
}

/* All that is due now, in slices of so many members (0: in one); messages made. */
static unsigned tf_fire(unsigned most)
{
	unsigned sent, all = 0;
	bool left = true;

	tf.sent_n = 0;
	while (left) {
		tf_unit();
		if (task_fire(&tf.w, most, 0, &sent, &left))
			tf_fail("task", tf.w.e.text);
		all += sent;
	}
	tf_unit();
	return all;
}

static int64_t tf_number(const char *query)
{
	return sql_number(tf.sql, query, -1);
}

#endif
