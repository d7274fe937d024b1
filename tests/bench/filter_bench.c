/* How long a filter takes: for one event as byte code, and over a million members as SQL. Processor
 * time, so that other work on the machine counts little.
 *
 * make build/bench/filter_bench && build/bench/filter_bench [MEMBERS]
 */
#include "gateway/base/err.h"
#include "plugins/offers/attrs.h"
#include "plugins/offers/filter_sql.h"

#include <stdio.h>
#include <time.h>

static const struct name names[] = {
	{ "event.total", VALUE_DECIMAL, VALUE_MISSING, 0, NULL },
	{ "member.city", VALUE_TEXT, VALUE_MISSING, 1, NULL },
	{ "member.vip", VALUE_BOOL, VALUE_MISSING, 2, NULL },
	{ "member.days", VALUE_INT, VALUE_MISSING, 3, NULL },
	{ "member.birthday", VALUE_DATE, VALUE_MISSING, 4, NULL },
	{ "now", VALUE_DATETIME, VALUE_MISSING, 5, NULL },
	{ "today", VALUE_DATE, VALUE_MISSING, 6, NULL },
};
static struct value values[7];

static mono_t processor(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * DUR_S + t.tv_nsec;
}

static struct value get(const struct source *s, unsigned slot)
{
	return values[slot];
}
static struct value call(void *ctx, enum filter_fn fn, const struct value *args, unsigned n)
{
	return value_int(12);
}

static bool map_slot(void *ctx, struct filter_sql *q, unsigned slot)
{
	static const char *const columns[] = { "total", "city", "vip", "days", "born" };

	if (slot > 4)
		filter_sql_param(q, values[slot]);
	else
		filter_sql_printf(q, "m.%s", columns[slot]);
	return true;
}

static const char *const filters[] = {
	"event.total >= 50",
	"event.total >= 50 and member.city in ('Riga', 'Tallinn', 'Vilnius') and not member.vip "
	"and "
	"member.days <= 30",
	"member.city ~= 'RIGA' or member.city starts with 'Tal'",
	"age() >= 18 and anniversary(member.birthday) <= today + '7 days'",
	"event.total * 2 + 1 > member.days / 3 and member.days % 7 != 3",
	"count('purchase.completed', '90 days') >= 10",
};
enum { FILTERS = sizeof filters / sizeof filters[0], ROUNDS = 2000000 };

static struct sql *members(unsigned n)
{
	static const char *const cities[] = { "Riga", "Tallinn", "Vilnius", "Kaunas", "Tartu",
		"Liepaja", "Jelgava", "Narva", "Ogre", "Cesis" };
	struct sql_conf c = { .where = ":memory:", .role = SQL_WRITER, .cache = 1 << 30 };
	struct err e;
	struct sql *db = sql_open("sqlite", &c, &e);
	struct sql_stmt *st;
	uint64_t r = 1;

	CHECK(db);
	CHECK(sql_exec(db,
		      "CREATE TABLE m(id INTEGER PRIMARY KEY, total, city, vip, days, born)") == 0);
	st = sql_prepare(db, "INSERT INTO m VALUES($1, $2, $3, $4, $5, $6)");
	CHECK(st && sql_begin(db) == 0);
	for (unsigned i = 1; i <= n; i++) {
		r = r * 6364136223846793005ull + 1442695040888963407ull;
		sql_int(st, 1, i);
		sql_int(st, 2, (int64_t)(r >> 33) % 2000000);
		sql_text(st, 3, str_of(cities[(r >> 50) % 10]));
		sql_int(st, 4, (r >> 40) % 8 == 0);
		sql_int(st, 5, (int64_t)(r >> 20) % 365);
		sql_int(st, 6, (int64_t)(r >> 44) % 20000);
		CHECK(sql_run(st) == 0);
	}
	CHECK(sql_commit(db) == 0);
	sql_finish(&st);
	return db;
}

static void in_sql(struct sql *db, const struct filter *f)
{
	static const struct filter_map map = { map_slot, NULL, NULL };
	struct filter_sql q = FILTER_SQL(&map);
	struct err e;
	struct sql_stmt *st;
	mono_t start;
	int64_t n = 0;

	filter_sql_c(&q, "SELECT m.id FROM m WHERE ");
	if (filter_sql_condition(&q, f, &e) < 0) {
		printf("  %s\n", e.text);
		filter_sql_free(&q);
		return;
	}
	st = filter_sql_prepare(&q, db, &e);
	CHECK(st);
	start = processor();
	while (sql_step(st) > 0)
		n++;
	printf("  %.1f ms for all members, %lld of them\n", (double)(processor() - start) / DUR_MS,
		(long long)n);
	sql_finish(&st);
	filter_sql_free(&q);
}

int main(int argc, char **argv)
{
	static const struct scope scope = { names, 7, NULL };
	static const struct source source = { get };
	static const struct filter_world world = { &source, call, NULL };
	struct filter_env env = { .scope = &scope };
	struct arena *a = arena_new();
	uint64_t n;
	struct sql *db = members(argc > 1 && str_u64(str_of(argv[1]), &n) ? (unsigned)n : 1000000);
	unsigned yes = 0;

	values[0] = value_decimal(750000);
	values[1] = value_text(STR("Tallinn"));
	values[2] = value_bool(false);
	values[3] = value_int(12);
	values[4] = value_date(8000);
	values[5] = value_datetime(20500 * DUR_DAY);
	values[6] = value_date(20500);
	for (int i = 0; i < FILTERS; i++) {
		struct filter_faults faults = { 0 };
		mono_t start = processor();
		const struct filter *f = NULL;

		for (int k = 0; k < 1000; k++) {
			arena_free(&a);
			a = arena_new();
			f = filter_compile(a, str_of(filters[i]), &env, &faults);
			CHECK(f);
		}
		printf("%s\n  %.1f us to compile", filters[i],
			(double)(processor() - start) / 1000 / DUR_US);
		start = processor();
		for (int k = 0; k < ROUNDS; k++)
			yes += filter_eval(f, &world);
		printf(", %.1f ns to evaluate\n", (double)(processor() - start) / ROUNDS);
		in_sql(db, f);
	}
	sql_close(&db);
	arena_free(&a);
	return yes == 0;
}
