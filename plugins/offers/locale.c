/* Numbers and dates as a language writes them, by the table locale.def. */
#include "plugins/offers/plural.h"

#include "plugins/offers/plural_private.h"

struct locale {
	const char *language, *point, *group;
	unsigned group_from;
	const char *date_long, *date_medium, *date_short, *time, *am, *pm;
	const char *months[12], *months_short[12];
};

static const struct locale locales[] = {
#define LIST(...)           \
	{                   \
		__VA_ARGS__ \
	}
#define NONE      \
	{         \
		0 \
	}
#define LOCALE(language, ...) { language, __VA_ARGS__ },
#include "plugins/offers/locale.def"
#undef LOCALE
#undef NONE
#undef LIST
};

static const struct locale *find(struct str language)
{
	for (size_t i = 0; i < sizeof locales / sizeof *locales; i++)
		if (str_ieq(str_of(locales[i].language), language))
			return &locales[i];
	return NULL;
}

const struct locale *locale_find(struct str language)
{
	struct str rest = language, base;
	const struct locale *l = find(language);

	if (!l && str_cut(&rest, '-', &base))
		l = find(str_is(base, "nn") || str_is(base, "no") ? STR("nb") : base);
	if (!l && (str_is(language, "no") || str_is(language, "nn")))
		l = find(STR("nb"));
	return l ? l : &locales[0];
}

void tongue_put_number(struct buf *b, struct tongue t, int64_t x, unsigned decimals, bool grouped)
{
	const struct locale *l = t.locale;
	char digits[24];
	unsigned n = 0, fraction;
	uint64_t u, i;

	if (decimals > 4)
		decimals = 4;
	x = decimal_round(x, decimals);
	u = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
	if (x < 0)
		buf_char(b, '-');
	i = u / DECIMAL_ONE;
	do {
		digits[n++] = (char)('0' + i % 10);
		i /= 10;
	} while (i);
	grouped = grouped && n >= l->group_from;
	for (unsigned k = n; k > 0; k--) {
		if (grouped && k < n && k % 3 == 0)
			buf_c(b, l->group);
		buf_char(b, digits[k - 1]);
	}
	if (!decimals)
		return;
	buf_c(b, l->point);
	fraction = (unsigned)(u % DECIMAL_ONE);
	for (unsigned k = 0, unit = 1000; k < decimals; k++, unit /= 10)
		buf_char(b, (char)('0' + fraction / unit % 10));
}

static void put_2(struct buf *b, int v)
{
	buf_char(b, (char)('0' + v / 10 % 10));
	buf_char(b, (char)('0' + v % 10));
}

static void put_n(struct buf *b, int v)
{
	char digits[12];
	unsigned n = 0;

	if (v < 0) {
		buf_char(b, '-');
		v = -v;
	}
	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		buf_char(b, digits[--n]);
}

struct moment {
	int year, month, day, hour, minute;
};

static void put_pattern(
	struct buf *b, const struct locale *l, const char *pattern, const struct moment *m)
{
	for (const char *p = pattern; *p; p++) {
		if (*p != '%') {
			buf_char(b, *p);
			continue;
		}
		switch (*++p) {
		case 'd':
			put_n(b, m->day);
			break;
		case 'D':
			put_2(b, m->day);
			break;
		case 'm':
			put_n(b, m->month);
			break;
		case 'M':
			put_2(b, m->month);
			break;
		case 'b':
			buf_c(b, l->months_short[m->month - 1]);
			break;
		case 'B':
			buf_c(b, l->months[m->month - 1]);
			break;
		case 'y':
			put_n(b, m->year);
			break;
		case 'H':
			put_2(b, m->hour);
			break;
		case 'I':
			put_n(b, m->hour % 12 ? m->hour % 12 : 12);
			break;
		case 'N':
			put_2(b, m->minute);
			break;
		case 'p':
			buf_c(b, m->hour < 12 ? l->am : l->pm);
			break;
		default:
			CHECK(!"a letter that patterns know");
		}
	}
}

void tongue_put_date(struct buf *b, struct tongue t, enum date_form form, int64_t day)
{
	const struct locale *l = t.locale;
	struct moment m = { 0 };

	date_civil(day, &m.year, &m.month, &m.day);
	put_pattern(b, l,
		form == DATE_LONG    ? l->date_long
		: form == DATE_SHORT ? l->date_short
				     : l->date_medium,
		&m);
}

void tongue_put_time(struct buf *b, struct tongue t, int64_t ns)
{
	struct moment m = { .hour = (int)(ns / DUR_HOUR % 24), .minute = (int)(ns / DUR_MIN % 60) };

	put_pattern(b, t.locale, t.locale->time, &m);
}
