/* Values: types' names, comparison, printing. See value.h. The forms that are read are in
 * value_text.c, the calendar in date.c. Pure functions, any thread.
 */
#include "plugins/offers/value.h"

static const char *const type_words[VALUE_TYPES] = {
	[VALUE_MISSING] = "missing",
	[VALUE_BOOL] = "bool",
	[VALUE_INT] = "int",
	[VALUE_DECIMAL] = "decimal",
	[VALUE_TEXT] = "text",
	[VALUE_DATE] = "date",
	[VALUE_TIME] = "time",
	[VALUE_DATETIME] = "datetime",
	[VALUE_SPAN] = "duration",
	[VALUE_LIST] = "list",
};

const char *value_type_word(enum value_type t)
{
	return t < VALUE_TYPES ? type_words[t] : "?";
}

bool value_type_parse(struct str word, enum value_type *t_r)
{
	for (unsigned t = VALUE_BOOL; t < VALUE_TYPES; t++)
		if (str_is(word, type_words[t])) {
			*t_r = (enum value_type)t;
			return true;
		}
	return false;
}

/* ---- decimals ---- */
static int64_t clamp(__int128 v)
{
	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* Half goes away from zero. */
static int64_t divide(__int128 a, __int128 b)
{
	__int128 q = a / b, rest = a % b;

	if (2 * (rest < 0 ? -rest : rest) >= (b < 0 ? -b : b))
		q += (a < 0) == (b < 0) ? 1 : -1;
	return clamp(q);
}

int64_t decimal_of_int(int64_t i)
{
	return clamp((__int128)i * DECIMAL_ONE);
}

int64_t decimal_add(int64_t a, int64_t b)
{
	return clamp((__int128)a + b);
}

int64_t decimal_mul(int64_t a, int64_t b)
{
	return divide((__int128)a * b, DECIMAL_ONE);
}

bool decimal_div(int64_t a, int64_t b, int64_t *v_r)
{
	if (b == 0)
		return false;
	*v_r = divide((__int128)a * DECIMAL_ONE, b);
	return true;
}

/* ---- comparison ---- */
static bool is_number(struct value v)
{
	return v.type == VALUE_INT || v.type == VALUE_DECIMAL;
}

static __int128 in_tenthousandths(struct value v)
{
	return v.type == VALUE_INT ? (__int128)v.i * DECIMAL_ONE : v.i;
}

bool value_eq(struct value a, struct value b)
{
	if (a.type != b.type)
		return false;
	switch (a.type) {
	case VALUE_BOOL:
		return a.b == b.b;
	case VALUE_INT:
	case VALUE_DECIMAL:
	case VALUE_DATE:
	case VALUE_TIME:
	case VALUE_DATETIME:
		return a.i == b.i;
	case VALUE_TEXT:
		return str_eq(a.s, b.s);
	case VALUE_SPAN:
		return a.span.months == b.span.months && a.span.days == b.span.days &&
		       a.span.exact == b.span.exact;
	case VALUE_LIST:
		if (a.list.n != b.list.n)
			return false;
		for (size_t i = 0; i < a.list.n; i++)
			if (!value_eq(a.list.v[i], b.list.v[i]))
				return false;
		return true;
	default:
		return false;
	}
}

static int sign128(__int128 a, __int128 b)
{
	return a < b ? -1 : a > b;
}

/* A month has no length in days: where the months say one thing and the rest the other, there is
 * no order. A day counts 24 hours here. */
static int span_cmp(struct span a, struct span b, bool *ok_r)
{
	int months = sign128(a.months, b.months);
	int rest =
		sign128((__int128)a.days * DUR_DAY + a.exact, (__int128)b.days * DUR_DAY + b.exact);

	*ok_r = months * rest >= 0;
	return months ? months : rest;
}

int value_cmp(struct value a, struct value b, bool *ok_r)
{
	*ok_r = true;
	if (is_number(a) && is_number(b))
		return sign128(in_tenthousandths(a), in_tenthousandths(b));
	if (a.type == b.type)
		switch (a.type) {
		case VALUE_DATE:
		case VALUE_TIME:
		case VALUE_DATETIME:
			return sign128(a.i, b.i);
		case VALUE_TEXT: {
			int c = str_cmp(a.s, b.s);

			return c < 0 ? -1 : c > 0;
		}
		case VALUE_SPAN:
			return span_cmp(a.span, b.span, ok_r);
		default:
			break;
		}
	*ok_r = false;
	return 0;
}

/* ---- printing ---- */
static void put_quoted(struct buf *b, struct str s)
{
	buf_char(b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\'')
			buf_c(b, "''");
		else if (c < ' ' || c == 0x7f) /* would play with the terminal it is shown on */
			buf_printf(b, "\\x%02x", c);
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '\'');
}

static void put_list(struct buf *b, struct value v)
{
	buf_char(b, '(');
	for (size_t i = 0; i < v.list.n; i++) {
		if (i)
			buf_c(b, ", ");
		value_put(b, v.list.v[i]);
	}
	buf_char(b, ')');
}

void value_put(struct buf *b, struct value v)
{
	switch (v.type) {
	case VALUE_BOOL:
		buf_c(b, v.b ? "true" : "false");
		break;
	case VALUE_INT:
		buf_printf(b, "%lld", (long long)v.i);
		break;
	case VALUE_DECIMAL:
		decimal_put(b, v.i);
		break;
	case VALUE_TEXT:
		put_quoted(b, v.s);
		break;
	case VALUE_DATE:
		date_put(b, v.i);
		break;
	case VALUE_TIME:
		time_of_day_put(b, v.i);
		break;
	case VALUE_DATETIME:
		clock_put_rfc3339(b, v.i);
		break;
	case VALUE_SPAN:
		span_put(b, v.span);
		break;
	case VALUE_LIST:
		put_list(b, v);
		break;
	default:
		buf_c(b, "missing");
	}
}
