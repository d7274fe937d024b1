/* Time zones: found by name and kept, and the calendar on their walls. See zone.h.
 *
 * The cache is a table of lists that only grow: a zone is put at the head of its list with one
 * compare-and-swap and never leaves, so that readers take no lock. There are about six hundred
 * zones in the system and two thousand fixed offsets: that bounds it, whatever names come in.
 */
#include "plugins/offers/tzif.h"
#include "gateway/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUCKETS = 256, NAME_MOST = 64, FILE_MOST = 1 << 18, DAY_S = 86400 };

static _Atomic(struct zone *) buckets[BUCKETS];

static char utc_name[] = "UTC";
static const struct zone utc = { .name = utc_name };

const struct zone *zone_utc(void)
{
	return &utc;
}

const char *zone_name(const struct zone *z)
{
	return z->name;
}

void zone_free(struct zone **zp)
{
	if (!*zp)
		return;
	mem_free(&(*zp)->name);
	mem_free(&(*zp)->at);
	mem_free(&(*zp)->off);
	mem_free(zp);
}

struct zone *zone_read(const char *name, struct str tzif, struct err *e)
{
	struct zone *z = mem_new(struct zone);

	z->name = mem_dup(str_of(name));
	if (tzif_read(z, tzif, e))
		zone_free(&z);
	return z;
}

/* ---- finding ---- */
/* Letters, digits, '_', '-', '+' in parts that begin with a letter: no way out of the folder. */
static bool name_is_plain(struct str name)
{
	bool start = true;

	if (name.n == 0 || name.n > NAME_MOST)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (start ? !letter
			  : !letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
					c != '+' && c != '/')
			return false;
		start = c == '/';
	}
	return !start;
}

/* "+05:30" */
static bool fixed_parse(struct str s, int32_t *off_r)
{
	enum { HOURS_MOST = 18 };
	int64_t ns;

	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
		!time_of_day_parse(str_skip(s, 1), &ns) || ns > HOURS_MOST * DUR_HOUR)
		return false;
	*off_r = (int32_t)(ns / DUR_S) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

static struct zone *zone_load(struct str name, struct err *e)
{
	static const char folder[] = "/usr/share/zoneinfo/";
	char path[sizeof folder + NAME_MOST], text[NAME_MOST + 1];
	struct buf b = BUF_INIT;
	struct zone *z = NULL;
	struct stat st;
	ssize_t n = -1;
	int fd;

	str_copy(text, sizeof text, name);
	snprintf(path, sizeof path, "%s%s", folder, text);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		err_set(e, ERR_CONF, errno == ENOENT ? "there is no time zone \"%s\"" : "%s: %m",
			errno == ENOENT ? text : path);
		return NULL;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MOST) {
		char *p = buf_extend(&b, (size_t)st.st_size + 1);

		n = read(fd, p, (size_t)st.st_size);
	}
	close(fd);
	if (n < 0)
		err_set(e, ERR_CONF, "\"%s\" is no time zone", text);
	else
		z = zone_read(text, str_n(b.p, (size_t)n), e);
	buf_free(&b);
	return z;
}

static struct zone *list_find(struct zone *z, struct str name)
{
	while (z && !str_is(name, z->name))
		z = z->next;
	return z;
}

const struct zone *zone_find(struct str name, struct err *e)
{
	_Atomic(struct zone *) *bucket = &buckets[str_hash(name) % BUCKETS];
	struct zone *z, *other, *head;
	int32_t off;

	if (str_is(name, utc.name))
		return &utc;
	z = list_find(atomic_load(bucket), name);
	if (z)
		return z;
	if (fixed_parse(name, &off)) {
		z = mem_new(struct zone);
		z->name = mem_dup(name);
		z->first = off;
	} else if (name_is_plain(name)) {
		z = zone_load(name, e);
	} else {
		err_set(e, ERR_CONF, "\"%.*s\" is no time zone: write Europe/Riga, UTC or +05:30",
			(int)(name.n > NAME_MOST ? NAME_MOST : name.n), name.p);
	}
	if (!z)
		return NULL;
	head = atomic_load(bucket);
	do {
		other = list_find(head, name); /* another thread was faster */
		if (other) {
			zone_free(&z);
			return other;
		}
		z->next = head;
	} while (!atomic_compare_exchange_weak(bucket, &head, z));
	return z;
}

/* ---- moments and walls ---- */
static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static wall_t wall_of(__int128 ns)
{
	return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (wall_t)ns;
}

/* How many changes lie at or before that second. */
static size_t changes_until(const struct zone *z, int64_t sec)
{
	size_t from = 0, to = z->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (z->at[mid] <= sec)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static int32_t offset_after(const struct zone *z, size_t changes)
{
	return changes ? z->off[changes - 1] : z->first;
}

int32_t zone_offset(const struct zone *z, wall_t t)
{
	return offset_after(z, changes_until(z, floor_div(t, DUR_S)));
}

struct local zone_local(const struct zone *z, wall_t t)
{
	int64_t sec = floor_div(t, DUR_S), rest = t % DUR_S;
	int64_t wall = sec + offset_after(z, changes_until(z, sec));
	int64_t day = floor_div(wall, DAY_S);

	return (struct local){ day,
		(wall - day * DAY_S) * DUR_S + (rest < 0 ? rest + DUR_S : rest) };
}

/* The second on the wall that the l-th clock shows: the clocks between the changes are tried from
 * the oldest that may still have shown it. The one that shows it first is right; where none does,
 * it lies in a gap, and the change that made the gap is the answer. */
wall_t zone_wall(const struct zone *z, struct local l)
{
	int64_t rest = l.ns - floor_div(l.ns, DUR_S) * DUR_S;
	__int128 on_wall = (__int128)l.day * DAY_S + floor_div(l.ns, DUR_S), sec;
	int64_t early;
	size_t i;

	if (on_wall > INT64_MAX / DUR_S + OFFSET_MOST)
		return INT64_MAX;
	if (on_wall < INT64_MIN / DUR_S - OFFSET_MOST)
		return INT64_MIN;
	early = (int64_t)on_wall - OFFSET_MOST;
	for (i = changes_until(z, early); i < z->n; i++)
		if (on_wall - offset_after(z, i) < z->at[i])
			break;
	sec = on_wall - offset_after(z, i);
	if (i && sec < z->at[i - 1])
		return wall_of((__int128)z->at[i - 1] * DUR_S);
	return wall_of(sec * DUR_S + rest);
}

wall_t zone_midnight(const struct zone *z, int64_t day)
{
	return zone_wall(z, (struct local){ day, 0 });
}

wall_t zone_add(const struct zone *z, wall_t t, struct span s)
{
	if (s.months || s.days) {
		struct local l = zone_local(z, t);

		l.day = date_add_months(l.day, s.months) + s.days;
		t = zone_wall(z, l);
	}
	return wall_of((__int128)t + s.exact);
}
