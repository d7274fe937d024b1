/* SMPP's times (3.4 §7.1.1, 5.0 §4.7.23): absolute and relative 16-character forms, and the 12
 * and 10 digit forms of receipts. All times are int64 nanoseconds since 1970 UTC (wall_t); "now"
 * is given, never read. Pure; any thread. Calendar: proleptic Gregorian, no leap seconds.
 */
#ifndef POSTERN_SMPP_TIME_H
#define POSTERN_SMPP_TIME_H

#include "gateway/base/buf.h"
#include "gateway/base/str.h"

/* schedule_delivery_time or validity_period. 1: *when_r is set, as an absolute time (a relative
 * one is added to now by the calendar: January 31 and one month is the last of February; years
 * and months beyond ten years are cut to that). 0: empty, the default is meant. -1: not a time:
 * answer ESME_RINVSCHED or ESME_RINVEXPIRY. Lengths 16, 12 and 10; the latter two, and an absolute
 * 16 with 'R' missing, carry no zone and are read as zone_s seconds east of UTC.
 * Two-digit years are those from 50 years before now to 49 after. */
int smpp_time_parse(struct str s, int64_t now, int zone_s, int64_t *when_r);
/* Receipts' dates: 10 or 12 digits, 14 with a four-digit year, ISO 8601 "YYYY-MM-DD[T ]hh:mm[:ss]"
 * with an optional Z or offset. False for anything else, and for zeros. */
bool smpp_time_parse_date(struct str s, int64_t now, int zone_s, int64_t *when_r);

/* "261122093000000+": UTC, tenths cut. */
void smpp_time_put_absolute(struct buf *b, int64_t when);
/* "000007000000000R": from now to when, rounded up to whole seconds, at least one second. Spans
 * over 31 days use months and years as smpp_time_parse() adds them, so that it gives when back. */
void smpp_time_put_relative(struct buf *b, int64_t now, int64_t when);
/* YYMMDDhhmm or, with 12 digits, ss too; zone_s seconds are added first. */
void smpp_time_put_digits(struct buf *b, int64_t when, int zone_s, unsigned digits);

#endif
