/* Time zones and calendar arithmetic in them: a member's own clock.
 *
 * Zones are read from the system's TZif files (RFC 9636) once and kept for the life of the process;
 * the C library's TZ machinery is not used, since it knows one zone per process. Any thread.
 */
#ifndef POSTERN_PLUGINS_OFFERS_ZONE_H
#define POSTERN_PLUGINS_OFFERS_ZONE_H

#include "gateway/base/err.h"
#include "plugins/offers/value.h"

struct zone;

/* "Europe/Riga", "UTC", "+05:30". NULL when there is no such zone (e says so); what it returns is
 * valid for ever and equal names give equal pointers. */
const struct zone *zone_find(struct str name, struct err *e);
const char *zone_name(const struct zone *z);
const struct zone *zone_utc(void);
/* The same from a TZif image, for tests and the fuzzer; to be freed with zone_free(). */
struct zone *zone_read(const char *name, struct str tzif, struct err *e);
void zone_free(struct zone **zp);

/* A moment on the wall of that zone. */
struct local {
	int64_t day; /* since 1970-01-01 */
	int64_t ns;  /* since midnight by the clock, 0 … 24 h - 1 */
};
struct local zone_local(const struct zone *z, wall_t t);
int32_t zone_offset(const struct zone *z, wall_t t); /* seconds east of UTC */
/* A time that the clock leaps over is the first instant after the gap; one that comes twice is the
 * first of the two. */
wall_t zone_wall(const struct zone *z, struct local l);
wall_t zone_midnight(const struct zone *z, int64_t day); /* the first instant of that day */

/* t + span: months and days keep the wall-clock time, the exact rest is added last. */
wall_t zone_add(const struct zone *z, wall_t t, struct span s);

/* Days of the calendar: "2026-12-24", or "12-25" of each year. */
struct holiday {
	int year; /* 0: each */
	int month, day;
};
struct holidays {
	struct holiday *v;
	size_t n;
};
const char *holiday_parse(struct str s, struct holiday *r); /* NULL, or what is wrong (static) */

/* "10:00-20:00", "21:00-09:00" (over midnight), "mon-fri 10:00-20:00", "sat,sun 12:00-18:00",
 * "sun,holiday 00:00-24:00". A holiday is also the weekday that it falls on, but for
 * "mon-fri,-holiday 10:00-20:00" and "-holiday": those begin on no holiday. */
enum { WINDOW_HOLIDAYS = 0x80, WINDOW_NO_HOLIDAYS = 0x100 };
struct window {
	int64_t from, to; /* ns since midnight; to <= from: over midnight */
	/* bit 0 Monday … 6 Sunday: days on which it begins; 0x7f all; and one of these */
	uint16_t days;
	const struct holidays *holidays; /* NULL: there are none; window_parse() leaves it so */
};
const char *window_parse(struct str s, struct window *r); /* NULL, or what is wrong (static) */
void window_put(struct buf *b, struct window w);          /* a form that parses back */
/* Is t within any of them? end_r (may be NULL): when that one ends. */
bool window_has(const struct window *w, size_t n, const struct zone *z, wall_t t, wall_t *end_r);
/* The first moment at or after t within any of them; n == 0: t itself. */
wall_t window_next(const struct window *w, size_t n, const struct zone *z, wall_t t);
/* The first moment at or after t within none of them; 0: they leave none within forty days. */
wall_t window_out(const struct window *w, size_t n, const struct zone *z, wall_t t);

/* Calendar periods of counters and caps. */
enum period { PERIOD_EVER, PERIOD_DAY, PERIOD_WEEK, PERIOD_MONTH, PERIOD_YEAR };
bool period_parse(struct str word, enum period *r); /* "day" … ; "ever" and "life" are one */
/* The number of the period that t lies in: days, ISO weeks, months or years since 1970; 0: ever. */
int64_t period_of(enum period p, const struct zone *z, wall_t t);

#endif
