/* Reads TZif files (RFC 9636), versions 1 to 4. See tzif.h. The bytes are the system's, yet they
 * are read as if they came from a stranger: each count is held against the size before it is
 * believed.
 */
#include "plugins/offers/tzif.h"
#include "gateway/base/mem.h"

#include <stdlib.h>

/* ---- the rule of the footer ---- */
static bool take(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

static bool take_int(struct str *s, int least, int most, int *v_r)
{
	int v = 0;
	size_t n = 0;

	for (; n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
		v = v * 10 + (s->p[n] - '0');
	if (n == 0 || v < least || v > most)
		return false;
	*s = str_skip(*s, n);
	*v_r = v;
	return true;
}

/* Three letters or more, or anything of letters, digits, '+', '-' between < and >. */
static bool take_designation(struct str *s)
{
	bool quoted = take(s, '<');
	size_t n = 0;

	for (; n < s->n; n++) {
		char c = s->p[n];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
			continue;
		if (!quoted || !((c >= '0' && c <= '9') || c == '+' || c == '-'))
			break;
	}
	*s = str_skip(*s, n);
	return n >= 3 && (!quoted || take(s, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct str *s, int hours_most, int32_t *v_r)
{
	bool minus = take(s, '-');
	int h, m = 0, sec = 0;

	if (!minus)
		take(s, '+');
	if (!take_int(s, 0, hours_most, &h))
		return false;
	if (take(s, ':') &&
		(!take_int(s, 0, 59, &m) || (take(s, ':') && !take_int(s, 0, 59, &sec))))
		return false;
	*v_r = (h * 3600 + m * 60 + sec) * (minus ? -1 : 1);
	return true;
}

static bool take_day(struct str *s, struct tz_day *d)
{
	enum { HOURS_MOST = 167, CHANGE_AT = 2 * 3600 };

	*d = (struct tz_day){ .time = CHANGE_AT };
	if (take(s, 'M')) {
		d->kind = TZ_MONTH;
		if (!take_int(s, 1, 12, &d->month) || !take(s, '.') ||
			!take_int(s, 1, 5, &d->week) || !take(s, '.') ||
			!take_int(s, 0, 6, &d->day))
			return false;
	} else if (take(s, 'J')) {
		d->kind = TZ_JULIAN;
		if (!take_int(s, 1, 365, &d->day))
			return false;
	} else {
		d->kind = TZ_ZERO;
		if (!take_int(s, 0, 365, &d->day))
			return false;
	}
	return !take(s, '/') || take_time(s, HOURS_MOST, &d->time);
}

bool tz_rule_parse(struct str s, struct tz_rule *r)
{
	enum { HOURS_MOST = 24 };
	int32_t west;

	*r = (struct tz_rule){ 0 };
	if (!take_designation(&s) || !take_time(&s, HOURS_MOST, &west))
		return false;
	r->std = r->dst = -west; /* POSIX counts towards the west */
	if (s.n == 0)
		return true;
	r->has_dst = true;
	if (!take_designation(&s))
		return false;
	r->dst = r->std + 3600;
	if (s.n && s.p[0] != ',') {
		if (!take_time(&s, HOURS_MOST, &west))
			return false;
		r->dst = -west;
	}
	return take(&s, ',') && take_day(&s, &r->start) && take(&s, ',') && take_day(&s, &r->end) &&
	       s.n == 0;
}

/* The moment in that year, in seconds of a clock that knows no zone. */
static int64_t day_moment(const struct tz_day *d, int year)
{
	int64_t day = date_of_civil(year, 1, 1);

	switch (d->kind) {
	case TZ_JULIAN: /* 29 February is not counted */
		day += d->day - 1 + (year_is_leap(year) && d->day >= 60);
		break;
	case TZ_ZERO:
		day += d->day;
		break;
	case TZ_MONTH: { /* the week-th such weekday (0: Sunday); 5: the last */
		int64_t first = date_of_civil(year, d->month, 1);
		int lead = (d->day - date_weekday(first) % 7 + 7) % 7;
		int at = lead + (d->week - 1) * 7;

		while (at >= date_month_days(year, d->month))
			at -= 7;
		day = first + at;
		break;
	}
	}
	return day * 86400 + d->time;
}

/* ---- the table of changes ---- */
static void zone_change(struct zone *z, int64_t at, int32_t off)
{
	if (z->n && z->at[z->n - 1] == at)
		z->n--;
	if (z->n >= ZONE_CHANGES_MOST || (z->n && at < z->at[z->n - 1]) ||
		off == (z->n ? z->off[z->n - 1] : z->first))
		return;
	z->at[z->n] = at;
	z->off[z->n++] = off;
}

/* A wall_t knows the years 1677 to 2262; one more on either side for the offsets. */
enum { YEAR_FIRST = 1676, YEAR_LAST = 2263 };

static void rule_write_out(struct zone *z, const struct tz_rule *r, bool any, int64_t after)
{
	int year = YEAR_FIRST, m, d;

	if (!r->has_dst) {
		if (any)
			return;
		z->first = r->std;
		return;
	}
	if (any)
		date_civil(after / 86400 - 366, &year, &m, &d);
	else
		z->first = r->std;
	for (year = year < YEAR_FIRST ? YEAR_FIRST : year; year <= YEAR_LAST; year++) {
		int64_t start = day_moment(&r->start, year) - r->std;
		int64_t end = day_moment(&r->end, year) - r->dst;
		struct {
			int64_t at;
			int32_t off;
		} c[2] = { { start, r->dst }, { end, r->std } };
		bool swap = end <= start; /* together: the summer begins last, and stays */

		for (unsigned i = 0; i < 2; i++)
			if (!any || c[i ^ swap].at > after)
				zone_change(z, c[i ^ swap].at, c[i ^ swap].off);
	}
}

/* ---- the file ---- */
enum { TZIF_HEAD = 44, TZIF_TYPE = 6, TYPES_MOST = 256 };

struct tzif {
	uint32_t isut, isstd, leap, times, types, chars;
	unsigned width; /* of a time: 4 or 8 bytes */
	struct str body;
};

static uint64_t body_size(const struct tzif *f)
{
	return (uint64_t)f->times * (f->width + 1) + (uint64_t)f->types * TZIF_TYPE + f->chars +
	       (uint64_t)f->leap * (f->width + 4) + f->isstd + f->isut;
}

static bool take_block(struct str *s, unsigned width, struct tzif *f)
{
	const char *p = s->p;

	if (s->n < TZIF_HEAD || memcmp(p, "TZif", 4) != 0)
		return false;
	*f = (struct tzif){ .isut = be32(p + 20),
		.isstd = be32(p + 24),
		.leap = be32(p + 28),
		.times = be32(p + 32),
		.types = be32(p + 36),
		.chars = be32(p + 40),
		.width = width };
	*s = str_skip(*s, TZIF_HEAD);
	if (body_size(f) > s->n)
		return false;
	f->body = str_n(s->p, (size_t)body_size(f));
	*s = str_skip(*s, f->body.n);
	return true;
}

static int64_t time_at(const struct tzif *f, size_t i)
{
	const char *p = f->body.p + i * f->width;

	if (f->width == 4)
		return (int32_t)be32(p);
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static int32_t type_offset(const struct tzif *f, size_t type)
{
	return (int32_t)be32(f->body.p + (size_t)f->times * (f->width + 1) + type * TZIF_TYPE);
}

static int read_changes(struct zone *z, const struct tzif *f, struct err *e)
{
	const uint8_t *which = (const uint8_t *)f->body.p + (size_t)f->times * f->width;

	if (f->types == 0 || f->types > TYPES_MOST || f->times > ZONE_CHANGES_MOST / 2)
		return err_set(e, ERR_INPUT, "time zone %s: counts that cannot be", z->name);
	if (f->leap)
		return err_set(e, ERR_INPUT,
			"time zone %s: counts leap seconds, which no clock here does", z->name);
	for (size_t i = 0; i < f->types; i++)
		if (type_offset(f, i) < OFFSET_LEAST || type_offset(f, i) > OFFSET_MOST)
			return err_set(e, ERR_INPUT, "time zone %s: an offset of %d seconds",
				z->name, (int)type_offset(f, i));
	z->first = type_offset(f, 0);
	for (size_t i = 0; i < f->times; i++) {
		if (which[i] >= f->types || (i && time_at(f, i) <= time_at(f, i - 1)))
			return err_set(
				e, ERR_INPUT, "time zone %s: changes without order", z->name);
		zone_change(z, time_at(f, i), type_offset(f, which[i]));
	}
	return 0;
}

/* RFC 9636 §3.3: a line feed, the rule, a line feed; an empty rule says nothing. */
static int read_footer(struct zone *z, struct str s, const struct tzif *f, struct err *e)
{
	struct tz_rule rule;
	ptrdiff_t end;

	if (s.n == 0 || s.p[0] != '\n' || (end = str_index(s = str_skip(s, 1), '\n')) < 0)
		return err_set(e, ERR_INPUT, "time zone %s: cut short", z->name);
	if (end == 0)
		return 0;
	if (!tz_rule_parse(str_n(s.p, (size_t)end), &rule))
		return err_set(
			e, ERR_INPUT, "time zone %s: a rule that is not understood", z->name);
	rule_write_out(z, &rule, f->times > 0, f->times ? time_at(f, f->times - 1) : 0);
	return 0;
}

int tzif_read(struct zone *z, struct str image, struct err *e)
{
	struct tzif f;
	char version;

	z->at = mem_alloc(ZONE_CHANGES_MOST * sizeof *z->at);
	z->off = mem_alloc(ZONE_CHANGES_MOST * sizeof *z->off);
	if (!take_block(&image, 4, &f))
		return err_set(e, ERR_INPUT, "time zone %s: not a TZif file", z->name);
	version = (f.body.p - TZIF_HEAD)[4];
	if (version && !take_block(&image, 8, &f))
		return err_set(e, ERR_INPUT, "time zone %s: cut short", z->name);
	if (read_changes(z, &f, e) || (version && read_footer(z, image, &f, e)))
		return -1;
	z->at = mem_grow(z->at, (z->n + 1) * sizeof *z->at);
	z->off = mem_grow(z->off, (z->n + 1) * sizeof *z->off);
	return 0;
}
