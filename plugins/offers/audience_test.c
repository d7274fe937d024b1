/* FX-1 on the real tables: whom a query finds is whom the source of one member finds, one by one.
 */
#include "plugins/offers/audience.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/filter.h"
#include "plugins/offers/member_fixture.h"
#include "plugins/offers/source.h"

enum { MEMBERS = 300 };

static const struct name own[] = {
#define MEMBER(name, type, element, column, doc) \
	{ "member." #name, VALUE_##type, VALUE_##element, 0, doc },
#include "plugins/offers/members.def"
#undef MEMBER
};
enum { OWN = sizeof own / sizeof own[0] };
static struct name numbered[OWN];
static const struct name world_names[] = {
	{ "now", VALUE_DATETIME, VALUE_MISSING, SLOT_WORLD + WORLD_NOW, NULL },
	{ "today", VALUE_DATE, VALUE_MISSING, SLOT_WORLD + WORLD_TODAY, NULL },
};
static struct scope scopes[3];
static struct filter_env env;
static struct arena *filters;
static uint64_t seed = 4;

static uint32_t roll(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) % n);
}

static const struct filter *compiled(const char *text)
{
	static struct filter_faults f;
	const struct filter *r;

	f = (struct filter_faults){ 0 };
	r = filter_compile(filters, str_of(text), &env, &f);
	if (!r)
		fail_msg("%s: %s", text, f.v[0].text);
	return r;
}

__attribute__((format(printf, 1, 2))) static void run(const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (sql_exec(mf.sql, buf_cstr(&b)) < 0)
		fail_msg("%s: %s", b.p, mf.sql->words);
	buf_free(&b);
}

static void make_happenings(uint64_t id)
{
	static const enum event_type types[] = { EVENT_PURCHASE_COMPLETED, EVENT_FORM_COMPLETED,
		EVENT_CONTACT_LINKED };
	static const char *const kinds[] = { "phone", "email" };

	for (unsigned n = roll(5); n--;) {
		wall_t at = mf.w.now - (int64_t)roll(100) * 12 * DUR_HOUR + 10 * DUR_DAY;

		run("INSERT OR IGNORE INTO of_past(member, type, occurred, seq, amount, kind) "
		    "VALUES(%llu, %d, %lld, %u, 10000, %llu)",
			(unsigned long long)id, types[roll(3)], (long long)at, roll(100000),
			(unsigned long long)event_hash(str_of(kinds[roll(2)])));
	}
	for (unsigned n = roll(3); n--;)
		run("INSERT OR IGNORE INTO of_sent(id, member, object, run, step, template, media, "
		    "row, class, msg, state, at, due) VALUES(%u, %llu, %u, 1, 1, 1, 1, 1, 1, %u, "
		    "1, "
		    "%lld, 0)",
			roll(1u << 30), (unsigned long long)id, roll(2) + 1, roll(2),
			(long long)(mf.w.now - (int64_t)roll(60) * DUR_DAY));
}

static void make_members(void)
{
	static const char *const zones[] = { "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Niue",
		"America/New_York" };
	static const char *const cities[] = { "Riga", "riga", "Tallinn", "Rīga" };
	static struct value tags[3];

	tags[0] = value_text(STR("new"));
	tags[1] = value_text(STR("tea-green"));
	tags[2] = value_text(STR("it's \"quoted\""));
	for (unsigned i = 0; i < MEMBERS; i++) {
		char ext[16];
		struct member *m;

		snprintf(ext, sizeof ext, "%u", 1000 + i);
		m = mf_member(ext);
		m->state = (enum member_state)roll(4);
		m->first_name = roll(3) ? STR("Homer") : STR_NONE;
		m->last_name = roll(3) ? STR("Simpson") : STR_NONE;
		m->lang = roll(2) ? STR("en") : STR_NONE;
		m->zone_known = roll(3);
		m->zone = m->zone_known ? zone_find(str_of(zones[roll(4)]), NULL) : mf.rules.zone;
		m->born_known = roll(4);
		m->born = date_of_civil(1950 + (int)roll(60), 1 + (int)roll(12), 1 + (int)roll(31));
		m->registered = roll(2) ? mf.w.now - (int64_t)roll(2000) * DUR_HOUR * 10 : 0;
		assert_int_equal(member_save(&mf.w, m), 0);
		if (roll(2))
			member_set_status(
				&mf.w, m, STR("tier"), roll(2) ? STR("gold") : STR("base"));
		if (roll(2))
			member_set_status(&mf.w, m, STR("staff"), STR("yes"));
		assert_int_equal(member_attrs(&mf.w, m), 0);
		m->attrs[0] = roll(3) ? value_text(str_of(cities[roll(4)])) : VALUE_NONE;
		m->attrs[1] = roll(3) ? value_int(roll(4)) : VALUE_NONE;
		m->attrs[2] = roll(3) ? (struct value){ .type = VALUE_LIST,
			.of = VALUE_TEXT,
			.list = { tags, roll(4) } }
				      : VALUE_NONE;
		m->attrs[3] = roll(3) ? value_date(20000 + roll(500)) : VALUE_NONE;
		if (roll(2))
			assert_int_equal(member_set_attrs(&mf.w, m), 0);
		if (roll(2))
			contact_put(&mf.w, m, CONTACT_PHONE, str_of(ext), STR_NONE,
				roll(2) ? CONTACT_INVALID : CONTACT_VERIFIED, mf.w.now);
		make_happenings(m->id);
	}
	run("UPDATE of_member SET merged = 1 WHERE id = 7");
	run("UPDATE of_member SET state = %d WHERE id = 9", MEMBER_LEFT);
}

static int begin(void **state)
{
	static struct audience audiences[2];
	static struct audience_conf confs[2] = { { .name = "riga" }, { .name = "parents" } };

	mf_begin(state);
	filters = arena_new();
	for (unsigned i = 0; i < OWN; i++) {
		numbered[i] = own[i];
		numbered[i].slot = SLOT_MEMBER + i;
	}
	scopes[0] = (struct scope){ mf.rules.attributes, mf.rules.attributes_n, &scopes[1] };
	scopes[1] = (struct scope){ numbered, OWN, &scopes[2] };
	scopes[2] = (struct scope){ world_names, 2, NULL };
	env = (struct filter_env){ .scope = &scopes[0], .zone = mf.rules.zone };
	for (unsigned i = 0; i < 2; i++)
		audiences[i].conf = &confs[i];
	audiences[0].is = compiled("member.city ~= 'Riga'");
	audiences[1].is =
		compiled("member.children > 0 and not in_audience('riga') and has('phone')");
	mf.rules.audiences = audiences;
	mf.rules.audiences_n = 2;
	mf.w.now += 11 * DUR_HOUR; /* noon in Riga, tomorrow on Kiritimati, yesterday on Niue */
	make_members();
	mf_unit(); /* from the tables from here on */
	return 0;
}

static int end(void **state)
{
	arena_free(&filters);
	return mf_end(state);
}

static void one_by_one(const struct filter *f, bool *is)
{
	for (uint64_t id = 1; id <= MEMBERS; id++) {
		struct offers_source s;
		struct member *m;

		is[id] = false;
		if (id == 7 || id == 9)
			continue;
		assert_int_equal(member_load(&mf.w, id, &m), 1);
		source_init(&s, &mf.w, m, NULL, NULL);
		is[id] = source_holds(&s, f);
		source_done(&s);
	}
}

static void test_FX_1_query_finds_whom_the_source_finds(void **state)
{
	static const struct {
		const char *text;
		bool exact;
	} t[] = {
		{ "true", true },
		{ "member.id == '1005' or member.id ends with '7'", true },
		{ "member.state == 'registered' or member.state == 'anonymous'", true },
		{ "member.status == 'gold'", true },
		{ "member.status != 'gold'", true },
		{ "not (member.status == 'gold')", true },
		{ "member.statuses contains 'staff:yes'", true },
		{ "member.statuses not contains 'staff:yes'", true },
		{ "len(member.statuses) == 0", true },
		{ "member.full_name == 'Homer Simpson' or member.full_name == 'Simpson'", true },
		{ "member.first_name is missing and member.last_name is present", true },
		{ "member.birthday is missing or month(member.birthday) == 2", true },
		{ "age() between 30 and 49", true },
		{ "anniversary(member.birthday) <= today + '14 days'", true },
		{ "today == '2026-01-01'", true }, /* by each member's zone */
		{ "today != '2026-01-01'", true },
		{ "member.language ?? 'lv' == 'lv' and member.zone is present", true },
		{ "member.registered > now - '100 days'", true },
		{ "member.created <= now", true },
		{ "member.city in ('Riga', 'Tallinn') and member.children >= 1", true },
		{ "member.city matches 'R?ga' or member.wedding < '2025-01-01'", true },
		{ "any(member.tags, it starts with 'tea-' or it contains '\"')", true },
		{ "member.tags[0] == 'new' and len(member.tags) > 1", true },
		{ "count('purchase.completed') > 1", true },
		{ "count('purchase.completed', '30 days') == 1", true },
		{ "count('form.completed', '1 month 12 h') == 0", true },
		{ "days_since_last('purchase.completed') > 10", true },
		{ "last('form.completed') is missing", true },
		{ "first_time('purchase.completed')", true },
		{ "count('phone.linked') == 1 and count('contact.linked') > 1", true },
		{ "first_time('email.linked') and not first_time('contact.linked')", true },
		{ "has('phone') and not has('email')", true },
		{ "received_any('30 days') == 0 and received_any() > 0", true },
		{ "in_audience('riga')", true },
		{ "in_audience('parents') or not in_audience('riga')", true },
		/* what the query cannot say narrows or does not */
		{ "member.city == 'Riga' and balance('bonus') > 1", false },
		{ "member.city == 'Riga' and not (balance('bonus') > 1)", false },
		{ "(member.children > 2 or sum('total', 'purchase.completed') > 1) and "
		  "has('phone')",
			false },
		{ "not (member.city == 'Riga' or subscribed('Advertisement'))", false },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		const struct filter *f = compiled(t[i].text);
		uint64_t ids[MEMBERS + 1];
		bool want[MEMBERS + 1], found[MEMBERS + 1] = { 0 }, exact;
		int64_t count, wanted = 0;
		size_t n;

		one_by_one(f, want);
		if (audience_select(&mf.w, f, 0, ids, MEMBERS + 1, &n, &exact) < 0)
			fail_msg("%s: %s", t[i].text, mf.w.e.text);
		assert_int_equal(exact, t[i].exact);
		for (size_t k = 0; k < n; k++)
			found[ids[k]] = true;
		for (uint64_t id = 1; id <= MEMBERS; id++) {
			wanted += want[id];
			if (exact ? found[id] != want[id] : want[id] && !found[id])
				fail_msg("%s: member %llu: query %d, one by one %d", t[i].text,
					(unsigned long long)id, found[id], want[id]);
		}
		assert_int_equal(audience_count(&mf.w, f, &count, &exact), 0);
		assert_int_equal(count, n);
		if (exact && (wanted == 0 || (wanted == MEMBERS - 2 && i > 0)) &&
			!strstr(t[i].text, "created"))
			fail_msg("%s says nothing: %lld of all", t[i].text, (long long)wanted);
	}
}

static void test_narrowing_leaves_what_can_be_said(void **state)
{
	const struct filter *f = compiled("member.city == 'Riga' and balance('bonus') > 1");
	const struct filter *all = compiled("member.city == 'Riga'");
	int64_t n, most;
	bool exact;

	assert_int_equal(audience_count(&mf.w, f, &n, &exact), 0);
	assert_false(exact);
	assert_int_equal(audience_count(&mf.w, all, &most, &exact), 0);
	assert_true(exact && most > 0 && most < MEMBERS);
	assert_int_equal(n, most);
}

static void test_in_batches(void **state)
{
	const struct filter *f = compiled("member.children >= 1");
	uint64_t ids[7], after = 0;
	int64_t n, sum = 0;
	size_t got;
	bool exact;

	assert_int_equal(audience_count(&mf.w, f, &n, &exact), 0);
	do {
		assert_int_equal(audience_select(&mf.w, f, after, ids, 7, &got, &exact), 0);
		for (size_t i = 0; i < got; i++) {
			assert_true(ids[i] > after);
			after = ids[i];
		}
		sum += (int64_t)got;
	} while (got == 7);
	assert_int_equal(sum, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_FX_1_query_finds_whom_the_source_finds),
		cmocka_unit_test(test_narrowing_leaves_what_can_be_said),
		cmocka_unit_test(test_in_batches),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
