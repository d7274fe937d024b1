/* Time enters the program here only. Three types that carry their meaning: mono_t for
 * deadlines and durations within this process, wall_t for what is stored or shown, dur_t for
 * lengths. All are signed 64-bit nanoseconds; 0 means "none" where a field is optional.
 * Test builds shift both clocks with clock_shift(), so that expiry happens now.
 */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include "gateway/base/buf.h"

typedef int64_t mono_t; /* CLOCK_MONOTONIC */
typedef int64_t wall_t; /* since 1970-01-01 UTC */
typedef int64_t dur_t;

#define DUR_US   1000ll
#define DUR_MS   1000000ll
#define DUR_S    1000000000ll
#define DUR_MIN  (60 * DUR_S)
#define DUR_HOUR (3600 * DUR_S)
#define DUR_DAY  (86400 * DUR_S)

mono_t clock_mono(void);
wall_t clock_wall(void);
void clock_shift(dur_t by);         /* tests; any thread */
void clock_watch(void (*fn)(void)); /* called after each shift: the loops' alarm clocks */

/* "2026-11-22T10:15:00.123Z" (RFC 3339, UTC, milliseconds). */
void clock_put_rfc3339(struct buf *b, wall_t t);
/* The same as a member of a JSON object behind another one: `,"key":"…"`; for t = 0 nothing, or
 * null. */
void clock_json_member(struct buf *b, const char *key, wall_t t);
void clock_json_member_or_null(struct buf *b, const char *key, wall_t t);
/* RFC 3339 §5.6 with any offset; false when it is not one. */
bool clock_parse_rfc3339(struct str s, wall_t *t_r);
/* "41ms", "3.2s", "2h", "14d": for people. */
void clock_put_dur(struct buf *b, dur_t d);
/* Civil date and time of t in UTC; months and days from 1. Pure arithmetic. */
struct civil {
	int year, month, day, hour, minute, second, nano;
};
struct civil clock_civil(wall_t t);
wall_t clock_of_civil(const struct civil *c); /* days beyond the month carry over */

#endif
