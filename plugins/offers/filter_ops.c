/* What the operators and functions of filters come to: arithmetic that saturates, dates, texts.
 * Every way of evaluating a filter ends in these, the functions given to SQL included.
 */
#include "gateway/base/err.h"
#include "gateway/model/unicode.h"
#include "plugins/offers/filter_private.h"

/* Days that the calendar is asked about: some 27,000 years to either side. */
#define DAYS_MOST 10000000ll

int64_t filter_add(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_add_overflow(a, b, &r))
		return r;
	return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t filter_sub(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_sub_overflow(a, b, &r))
		return r;
	return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t filter_mul(int64_t a, int64_t b)
{
	int64_t r;

	if (!__builtin_mul_overflow(a, b, &r))
		return r;
	return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

int64_t filter_widen(int64_t i)
{
	return filter_mul(i, DECIMAL_ONE);
}

bool filter_mod(int64_t a, int64_t b, int64_t *r)
{
	if (b == 0)
		return false;
	*r = b == -1 ? 0 : a % b;
	return true;
}

int64_t filter_span_ns(struct span s)
{
	return filter_add(filter_mul(30ll * s.months + s.days, DUR_DAY), s.exact);
}

/* ---- the calendar --------------------------------------------------------------------------- */

static bool in_calendar(int64_t days)
{
	return days >= -DAYS_MOST && days <= DAYS_MOST;
}

bool filter_shift_date(int64_t days, struct span s, int sign, int64_t *r)
{
	int64_t months = sign * (int64_t)s.months;

	if (!in_calendar(days) || months > DAYS_MOST / 31 || months < -DAYS_MOST / 31)
		return false;
	*r = date_add_months(days, (int32_t)months) + sign * (int64_t)s.days;
	return true;
}

bool filter_shift_time(int64_t ns, struct span s, int sign, int64_t *r)
{
	int64_t days = ns / DUR_DAY - (ns % DUR_DAY < 0), rest = ns - days * DUR_DAY;

	if (!filter_shift_date(days, s, sign, &days))
		return false;
	*r = filter_add(filter_mul(days, DUR_DAY), rest);
	*r = sign < 0 ? filter_sub(*r, s.exact) : filter_add(*r, s.exact);
	return true;
}

int64_t filter_days_since(int64_t now, int64_t then)
{
	return filter_sub(now, then) / DUR_DAY;
}

bool filter_month(int64_t days, int64_t *r)
{
	int y, m, d;

	if (!in_calendar(days))
		return false;
	date_civil(days, &y, &m, &d);
	*r = m;
	return true;
}

bool filter_day(int64_t days, int64_t *r)
{
	int y, m, d;

	if (!in_calendar(days))
		return false;
	date_civil(days, &y, &m, &d);
	*r = d;
	return true;
}

bool filter_weekday(int64_t days, int64_t *r)
{
	if (!in_calendar(days))
		return false;
	*r = date_weekday(days);
	return true;
}

/* Years completed; who was born on 29 February is a year older on the 28th of a common year. */
bool filter_age(int64_t born, int64_t today, int64_t *r)
{
	int y, m, d, ty, tm, td;

	if (!in_calendar(born) || !in_calendar(today) || today < born)
		return false;
	date_civil(born, &y, &m, &d);
	date_civil(today, &ty, &tm, &td);
	*r = ty - y - (date_of_civil(ty, m, d) > today);
	return true;
}

bool filter_anniversary(int64_t day, int64_t today, int64_t *r)
{
	int y, m, d, ty, tm, td;

	if (!in_calendar(day) || !in_calendar(today))
		return false;
	date_civil(day, &y, &m, &d);
	date_civil(today, &ty, &tm, &td);
	*r = date_of_civil(ty, m, d);
	if (*r < today)
		*r = date_of_civil(ty + 1, m, d);
	return true;
}

/* ---- texts ---------------------------------------------------------------------------------- */

int64_t filter_len(struct str s)
{
	int64_t n = 0;

	while (s.n) {
		str_utf8_next(&s);
		n++;
	}
	return n;
}

/* A code point folded; of a byte that is no UTF-8, a number of its own. */
static uint32_t next_folded(struct str *s)
{
	unsigned char first = (unsigned char)s->p[0];
	int32_t c;

	if (first < 0x80) {
		*s = str_skip(*s, 1);
		return first >= 'A' && first <= 'Z' ? first + 0x20u : first;
	}
	c = str_utf8_next(s);
	return c < 0 ? 0x110000u + first : unicode_fold((uint32_t)c);
}

bool filter_ieq(struct str a, struct str b)
{
	while (a.n && b.n)
		if (next_folded(&a) != next_folded(&b))
			return false;
	return a.n == b.n;
}

void filter_lower(struct str s, struct buf *out)
{
	while (s.n) {
		const char *p = s.p;
		int32_t c = str_utf8_next(&s);

		if (c < 0)
			buf_char(out, *p);
		else if (c < 0x80)
			buf_char(out, (char)unicode_lower((uint32_t)c));
		else
			buf_utf8(out, unicode_lower((uint32_t)c));
	}
}

/* '*' any run, '?' one character, '\' takes the sign out of what follows. Time: length of the text
 * times that of the pattern, which is bounded. */
bool filter_matches(struct str s, struct str pattern)
{
	struct str star = STR_NONE, from = s; /* behind the last '*'; where its run ends */
	bool starred = false;

	for (;;) {
		struct str p = pattern;
		bool fits = false;

		if (p.n == 0) {
			fits = s.n == 0;
			if (fits)
				return true;
		} else if (p.p[0] == '*') {
			star = pattern = str_skip(p, 1);
			from = s;
			starred = true;
			if (star.n == 0)
				return true;
			continue;
		} else if (s.n) {
			if (p.p[0] == '?') {
				str_utf8_next(&s);
				fits = true;
			} else {
				if (p.p[0] == '\\' && p.n > 1)
					p = str_skip(p, 1);
				fits = p.p[0] == s.p[0];
				if (fits)
					s = str_skip(s, 1);
			}
			pattern = str_skip(p, 1);
		}
		if (fits)
			continue;
		if (!starred || from.n == 0)
			return false;
		str_utf8_next(&from);
		s = from;
		pattern = star;
	}
}

bool filter_test(enum node_kind kind, struct str a, struct str b)
{
	switch (kind) {
	case N_IEQ:
		return filter_ieq(a, b);
	case N_CONTAINS:
		return b.n == 0 || str_find(a, b) >= 0;
	case N_STARTS:
		return str_starts(a, b);
	case N_ENDS:
		return str_ends(a, b);
	default:
		return filter_matches(a, b);
	}
}

/* ---- on values ------------------------------------------------------------------------------ */

static struct value of_type(bool ok, enum value_type type, int64_t i)
{
	return ok ? (struct value){ .type = type, .i = i } : VALUE_NONE;
}

struct value filter_math(enum node_kind kind, enum value_type type, struct value a, struct value b)
{
	bool ok = true;
	int64_t r = 0;

	if (a.type == VALUE_MISSING || b.type == VALUE_MISSING)
		return VALUE_NONE;
	switch (kind) {
	case N_ADD:
		r = filter_add(a.i, b.i);
		break;
	case N_SUB:
		r = filter_sub(a.i, b.i);
		if (a.type == VALUE_DATE && type == VALUE_SPAN)
			r = filter_mul(r, DUR_DAY);
		break;
	case N_MUL:
		r = type == VALUE_INT ? filter_mul(a.i, b.i) : decimal_mul(a.i, b.i);
		break;
	case N_DIV:
		ok = decimal_div(a.i, b.i, &r);
		break;
	default:
		ok = filter_mod(a.i, b.i, &r);
		break;
	}
	return of_type(ok, type, r);
}

struct value filter_shift(struct value when, struct span by, int sign)
{
	int64_t r = 0;
	bool ok = when.type == VALUE_DATE       ? filter_shift_date(when.i, by, sign, &r)
		  : when.type == VALUE_DATETIME ? filter_shift_time(when.i, by, sign, &r)
						: false;

	return of_type(ok, when.type, r);
}

struct value filter_apply(enum filter_fn fn, struct value a, struct value b)
{
	bool ok = false;
	int64_t r = 0;

	if (a.type == VALUE_MISSING)
		return VALUE_NONE;
	switch (fn) {
	case FILTER_MONTH:
		ok = filter_month(a.i, &r);
		break;
	case FILTER_DAY:
		ok = filter_day(a.i, &r);
		break;
	case FILTER_WEEKDAY:
		ok = filter_weekday(a.i, &r);
		break;
	case FILTER_LEN:
		ok = true;
		r = a.type == VALUE_LIST ? (int64_t)a.list.n : filter_len(a.s);
		break;
	case FILTER_AGE:
		ok = b.type == VALUE_DATE && filter_age(a.i, b.i, &r);
		break;
	case FILTER_ANNIVERSARY:
		ok = b.type == VALUE_DATE && filter_anniversary(a.i, b.i, &r);
		return of_type(ok, VALUE_DATE, r);
	default:
		CHECK(fn == FILTER_DAYS_SINCE_LAST);
		ok = b.type == VALUE_DATETIME;
		if (ok)
			r = filter_days_since(b.i, a.i);
		break;
	}
	return of_type(ok, VALUE_INT, r);
}

struct value filter_element(struct value list, int64_t i, enum value_type of)
{
	if (list.type != VALUE_LIST || i < 0 || (uint64_t)i >= list.list.n)
		return VALUE_NONE;
	return filter_admit(list.list.v[i], of, VALUE_MISSING);
}

/* ---- lower() -------------------------------------------------------------------------------- */

struct spill {
	struct spill *next;
	char text[];
};

static bool is_lower(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80 || (s.p[i] >= 'A' && s.p[i] <= 'Z'))
			return false;
	return true;
}

/* Simple mappings grow a character of two bytes to three at most. */
struct value filter_lowered(struct scratch *s, struct value v)
{
	size_t room, most;
	struct buf b = BUF_INIT;
	struct spill *spill;
	char *p;

	if (v.type != VALUE_TEXT || is_lower(v.s))
		return v;
	room = sizeof s->text - s->used;
	most = v.s.n + v.s.n / 2 + 1;
	if (most <= room) {
		p = s->text + s->used;
	} else {
		spill = mem_raw(sizeof *spill + most);
		spill->next = s->spill;
		s->spill = spill;
		p = spill->text;
	}
	b.p = p;
	b.cap = most;
	filter_lower(v.s, &b);
	CHECK(b.p == p);
	if (most <= room)
		s->used += (unsigned)b.n;
	return value_text(str_n(p, b.n));
}

void filter_scratch_free(struct scratch *s)
{
	while (s->spill) {
		struct spill *next = s->spill->next;

		mem_free(&s->spill);
		s->spill = next;
	}
}
