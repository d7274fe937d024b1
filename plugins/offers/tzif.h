/* What a time zone is in memory: the moments its clocks change, and to what. Made from a TZif file
 * (RFC 9636) or of a fixed offset; immutable afterwards. Only zone.c and tzif.c look inside.
 */
#ifndef POSTERN_PLUGINS_OFFERS_TZIF_H
#define POSTERN_PLUGINS_OFFERS_TZIF_H

#include "plugins/offers/zone.h"

/* RFC 9636 §3.2: an offset should lie between -24:59:59 and +25:59:59. */
enum { OFFSET_LEAST = -89999, OFFSET_MOST = 93599 };

struct zone {
	char *name;
	int32_t first; /* offset before the first change */
	size_t n;
	int64_t *at;       /* seconds since 1970 UTC, ascending */
	int32_t *off;      /* seconds east from then on; differs from the one before */
	struct zone *next; /* in the cache of zone.c */
};

/* As many as nine centuries of four changes a year; a file with more is none. */
enum { ZONE_CHANGES_MOST = 4096 };

/* Fills z->first, n, at, off from a TZif image, with the rule of its footer written out up to the
 * last moment that a wall_t can name. */
int tzif_read(struct zone *z, struct str image, struct err *e);

/* A rule "EET-2EEST,M3.5.0/3,M10.5.0/4" (RFC 9636 §3.3.2: POSIX with hours from -167 to 167). */
struct tz_day {
	enum { TZ_JULIAN, TZ_ZERO, TZ_MONTH } kind; /* Jn, n, Mm.w.d */
	int month, week, day;
	int32_t time; /* seconds after midnight, may be negative */
};
struct tz_rule {
	int32_t std, dst; /* offsets east of UTC */
	bool has_dst;
	struct tz_day start, end;
};
bool tz_rule_parse(struct str s, struct tz_rule *r);

#endif
