/* Values: what event attributes, member attributes, filters, counters and templates are made of.
 *
 * Points and money are decimals of four places in 64 bits, so that 0.1 + 0.2 is 0.3; dates are
 * days, times of day are nanoseconds since midnight. A value is passed by copy; text and lists are
 * borrowed from whoever made them. Missing is a value of its own: a comparison with it is false.
 * Pure functions, any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_VALUE_H
#define POSTERN_PLUGINS_OFFERS_VALUE_H

#include "gateway/base/clock.h"

enum value_type {
	VALUE_MISSING,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_DECIMAL,  /* i: ten-thousandths */
	VALUE_TEXT,     /* UTF-8 */
	VALUE_DATE,     /* i: days since 1970-01-01 */
	VALUE_TIME,     /* i: nanoseconds since midnight */
	VALUE_DATETIME, /* i: wall_t */
	VALUE_SPAN,     /* a calendar duration; its word is "duration" */
	VALUE_LIST,     /* of one scalar type */
	VALUE_TYPES
};
const char *value_type_word(enum value_type t); /* "decimal" */
bool value_type_parse(struct str word, enum value_type *t_r);

enum { DECIMAL_ONE = 10000 };

/* "14 days", "1 month", "2 h 30 min": months and days by the calendar, the rest exact. */
struct span {
	int32_t months, days;
	dur_t exact;
};

struct value {
	enum value_type type;
	enum value_type of; /* VALUE_LIST: type of its elements (VALUE_MISSING: empty list) */
	union {
		bool b;
		int64_t i;
		struct str s;
		struct span span;
		struct {
			const struct value *v;
			size_t n;
		} list;
	};
};

#define VALUE_NONE ((struct value){ .type = VALUE_MISSING })
static inline struct value value_bool(bool b)
{
	return (struct value){ .type = VALUE_BOOL, .b = b };
}
static inline struct value value_int(int64_t i)
{
	return (struct value){ .type = VALUE_INT, .i = i };
}
static inline struct value value_decimal(int64_t ten_thousandths)
{
	return (struct value){ .type = VALUE_DECIMAL, .i = ten_thousandths };
}
static inline struct value value_text(struct str s)
{
	return (struct value){ .type = VALUE_TEXT, .s = s };
}
static inline struct value value_date(int64_t days)
{
	return (struct value){ .type = VALUE_DATE, .i = days };
}
static inline struct value value_datetime(wall_t t)
{
	return (struct value){ .type = VALUE_DATETIME, .i = t };
}

/* "-12.5", "1250", at most four places: true and *v_r. No exponent, no spaces. */
bool decimal_parse(struct str s, int64_t *v_r);
/* As written by people who program: "12.5", "8", "-0.25". */
void decimal_put(struct buf *b, int64_t v);
/* Saturate at the ends of 64 bits; division rounds half away from zero. False: by zero. */
int64_t decimal_of_int(int64_t i);
int64_t decimal_add(int64_t a, int64_t b);
int64_t decimal_mul(int64_t a, int64_t b);
bool decimal_div(int64_t a, int64_t b, int64_t *v_r);
/* "1500.00 EUR": amount and currency code (letters, digits, '-', '_'; empty when there is none). */
bool money_parse(struct str s, int64_t *amount_r, struct str *currency_r);

/* "2026-03-01". */
bool date_parse(struct str s, int64_t *days_r);
void date_put(struct buf *b, int64_t days);
/* "10:00", "10:00:30". 24:00 is the end of the day. */
bool time_of_day_parse(struct str s, int64_t *ns_r);
void time_of_day_put(struct buf *b, int64_t ns);
/* "14 days", "1 month 2 days", "90 min", "1h30m". Not negative. NULL or what is wrong (static). */
const char *span_parse(struct str s, struct span *r);
void span_put(struct buf *b, struct span s);
static inline bool span_is_zero(struct span s)
{
	return s.months == 0 && s.days == 0 && s.exact == 0;
}

/* Equal type and equal content. Missing equals nothing, not even missing. */
bool value_eq(struct value a, struct value b);
/* -1, 0, 1 for values of one ordered type (int and decimal compare with each other); *ok_r is false
 * when there is no order between them. */
int value_cmp(struct value a, struct value b, bool *ok_r);
/* For people and explanations: 'Riga', 12.5, 2026-03-01, missing, ('a', 'b'). */
void value_put(struct buf *b, struct value v);

/* The civil date and back; months and days from 1; days beyond the month are cut to its last. */
void date_civil(int64_t days, int *year_r, int *month_r, int *day_r);
int64_t date_of_civil(int year, int month, int day);
int date_month_days(int year, int month); /* 0: no such month */
bool year_is_leap(int year);
int date_weekday(int64_t days); /* 1 Monday … 7 Sunday */
/* 31 January + 1 month is the last day of February. */
int64_t date_add_months(int64_t days, int32_t months);

#endif
