/* Fuzz target: the written forms of values: what is read is written so that it reads the same. */
#include "gateway/base/err.h"
#include "plugins/offers/names.h"
#include "plugins/offers/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(struct str s, struct buf *b)
{
	struct str currency;
	int64_t v, again, day;

	if (decimal_parse(s, &v)) {
		decimal_put(b, v);
		CHECK(decimal_parse(buf_view(b), &again) && again == v);
		CHECK(decimal_mul(v, DECIMAL_ONE) == v);
		CHECK(decimal_div(v, DECIMAL_ONE, &again) && again == v);
	}
	if (money_parse(s, &v, &currency))
		CHECK(currency.n <= s.n);
	buf_reset(b);
	if (date_parse(s, &day)) {
		int y, m, d;

		date_civil(day, &y, &m, &d);
		CHECK(date_of_civil(y, m, d) == day);
		date_put(b, day);
		CHECK(str_eq(buf_view(b), s));
		for (int32_t i = -50; i <= 50; i++) {
			int y2, m2, d2;

			date_civil(date_add_months(day, i), &y2, &m2, &d2);
			CHECK((y2 - y) * 12 + m2 - m == i);
			CHECK(d2 == d || (d2 < d && d2 == date_month_days(y2, m2)));
		}
	}
	buf_reset(b);
	if (time_of_day_parse(s, &v)) {
		CHECK(v >= 0 && v <= DUR_DAY);
		time_of_day_put(b, v);
		CHECK(time_of_day_parse(buf_view(b), &again) && again == v);
	}
}

static void spans(struct str s, struct buf *b)
{
	struct span a = { 0 }, again = { 0 };
	struct holiday new_year = { 0, 1, 1 };
	const struct holidays holidays = { &new_year, 1 };
	struct window w, w2;
	const char *wrong;

	buf_reset(b);
	wrong = span_parse(s, &a);
	if (!wrong) {
		CHECK(a.months >= 0 && a.days >= 0 && a.exact >= 0);
		span_put(b, a);
		CHECK(span_parse(buf_view(b), &again) == NULL);
		CHECK(a.months == again.months && a.days == again.days && a.exact == again.exact);
		CHECK(zone_add(zone_utc(), 0, a) >= 0);
	} else {
		CHECK(wrong[0]);
	}
	buf_reset(b);
	wrong = window_parse(s, &w);
	if (!wrong) {
		CHECK(w.days && !(w.days & ~0x1ff) && w.from < DUR_DAY && w.to <= DUR_DAY);
		window_put(b, w);
		CHECK(window_parse(buf_view(b), &w2) == NULL);
		CHECK(w.from == w2.from && w.to == w2.to && w.days == w2.days);
		w.holidays = &holidays;
		CHECK(window_has(&w, 1, zone_utc(), window_next(&w, 1, zone_utc(), 42), NULL));
	} else {
		CHECK(wrong[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct name names[] = { { "event.total" }, { "member.city" } };
	static const struct scope scope = { names, 2, NULL };
	struct str s = str_n(data, size);
	struct buf b = BUF_INIT;
	struct value v = value_text(s);
	bool ok;

	numbers(s, &b);
	spans(s, &b);
	buf_reset(&b);
	value_put(&b, v);
	CHECK(b.n >= s.n + 2 && value_eq(v, v) && value_cmp(v, v, &ok) == 0 && ok);
	if (scope_find(&scope, s))
		CHECK(scope_near(&scope, s) == scope_find(&scope, s));
	buf_free(&b);
	return 0;
}
