/* Policy: suppressed addresses, consent, quiet hours, caps. See policy.h. */
#include "plugins/offers/policy.h"

#include <stdio.h>

static const struct {
	const char *word, *text;
} holds[HOLD_REASONS] = {
	[HOLD_NONE] = { "none", "it may go" },
	[HOLD_NO_CONTACT] = { "no_contact", "the member cannot be reached that way" },
	[HOLD_CONSENT] = { "consent", "the member does not agree to it" },
	[HOLD_BLOCKED] = { "blocked", "the address or the member is blocked" },
	[HOLD_QUIET] = { "quiet", "quiet hours" },
	[HOLD_CAP] = { "cap", "the cap of messages is reached" },
	[HOLD_LIMIT] = { "limit", "the offer's limit is reached" },
	[HOLD_OFFER_OVER] = { "offer_over", "the offer is not active then" },
	[HOLD_FILTER] = { "filter", "its only_if says no" },
	[HOLD_MISSING] = { "missing", "the template lacks a value or a body" },
	[HOLD_TOO_LONG] = { "too_long", "longer than the template allows" },
	[HOLD_MODERATION] = { "moderation", "the network has not approved the text" },
	[HOLD_STALE] = { "stale", "it was due too long ago" },
	[HOLD_EXPIRED] = { "expired", "its time was over before it might leave" },
	[HOLD_NO_ROUTE] = { "no_route", "no route takes it" },
	[HOLD_LEFT] = { "left", "the member has left the programme" },
	[HOLD_NEXT_IF] = { "next_if", "the step before was not sent or delivered" },
};

const char *hold_word(enum hold_reason h)
{
	return (unsigned)h < HOLD_REASONS ? holds[h].word : "";
}

const char *hold_text(enum hold_reason h)
{
	return (unsigned)h < HOLD_REASONS ? holds[h].text : "";
}

/* ---- hours ---- */
enum { WINDOWS_MOST = 16, TURNS_MOST = 32 };

struct hours {
	const struct window *open, *quiet;
	size_t open_n, quiet_n;
	const struct zone *zone;
};

static struct str digits_of(struct str address)
{
	return address.n && address.p[0] == '+' ? str_skip(address, 1) : address;
}

static bool by_phone(enum media m)
{
	return m == MEDIA_SMS || m == MEDIA_VIBER || m == MEDIA_SOCIAL;
}

/* Country of the number, where it has quiet hours of its own; they are marketing's. */
static const struct quiet_country *country_of(
	const struct rules *r, enum class class, enum media media, struct str address)
{
	struct str digits = digits_of(address);

	if (class != CLASS_MARKETING || !by_phone(media))
		return NULL;
	for (size_t i = 0; i < r->countries_n; i++)
		if (str_starts(digits, r->countries[i].prefix))
			return &r->countries[i];
	return NULL;
}

static void quiet_hours(struct hours *h, const struct rules *r, enum class class, enum media media,
	const struct quiet_country *country)
{
	const struct class_rules *c = &r->classes[class];

	h->quiet = NULL;
	h->quiet_n = 0;
	if (media < MEDIA_COUNT && c->exempt & MEDIA_BIT(media))
		return;
	h->quiet = country ? country->quiet : c->quiet;
	h->quiet_n = country ? country->quiet_n : c->quiet_n;
}

/* The first moment at or after t that all allow; 0: there is none within about a week. */
static wall_t open_at(const struct hours *h, wall_t t)
{
	wall_t limit = t + 9 * DUR_DAY;

	for (unsigned i = 0; i < TURNS_MOST && t && t <= limit; i++) {
		wall_t a = h->open_n ? window_next(h->open, h->open_n, h->zone, t) : t;
		wall_t b = a && h->quiet_n ? window_out(h->quiet, h->quiet_n, h->zone, a) : a;

		if (b == t || b == 0)
			return b;
		t = b;
	}
	return 0;
}

/* t is open: until when? 0: for ever. */
static wall_t open_until(const struct hours *h, wall_t t)
{
	wall_t end = 0, quiet;

	if (h->open_n && !window_has(h->open, h->open_n, h->zone, t, &end))
		end = 0;
	if (h->quiet_n) {
		quiet = window_next(h->quiet, h->quiet_n, h->zone, t);
		if (quiet && (!end || quiet < end))
			end = quiet;
	}
	return end;
}

wall_t policy_reopen(const struct rules *r, enum class class, enum media media, struct str address,
	const struct zone *z, wall_t now, wall_t *open_until_r)
{
	struct hours h = { .zone = z };
	wall_t t;

	quiet_hours(&h, r, class, media, country_of(r, class, media, address));
	t = open_at(&h, now);
	if (open_until_r)
		*open_until_r = t ? open_until(&h, t) : 0;
	return t;
}

/* ---- caps ---- */
enum { TOUCHES_MOST = 512 };

struct touch {
	int64_t day;
	int media;
	wall_t at;
};

uint64_t policy_subject(const struct member *m, struct str address)
{
	return m ? m->id : address_subject(digits_of(address));
}

/* Days of the calendar that a quota looks at, for something on that day. */
static void quota_days(
	const struct quota *q, const struct zone *z, wall_t t, int64_t *from_r, int64_t *to_r)
{
	int64_t day = zone_local(z, t).day;
	int year, month, dom;

	*from_r = *to_r = day;
	switch (q->period) {
	case PERIOD_DAY:
		break;
	case PERIOD_WEEK:
		*from_r = day - (date_weekday(day) - 1);
		*to_r = *from_r + 6;
		break;
	case PERIOD_MONTH:
		date_civil(day, &year, &month, &dom);
		*from_r = day - (dom - 1);
		*to_r = *from_r + date_month_days(year, month) - 1;
		break;
	case PERIOD_YEAR:
		date_civil(day, &year, &month, &dom);
		*from_r = date_of_civil(year, 1, 1);
		*to_r = date_of_civil(year, 12, 31);
		break;
	case PERIOD_EVER:
		*to_r = INT64_MAX;
		*from_r = 0;
		if (!span_is_zero(q->span)) {
			*from_r = day - q->span.months * 31ll - q->span.days -
				  q->span.exact / DUR_DAY - 1;
			*to_r = day + 1;
		}
		break;
	}
}

static int touches_load(struct work *w, const struct policy_case *c, int64_t from, int64_t to,
	struct touch *v, unsigned *n_r)
{
	struct sql_stmt *st = db_st(w->db, ST_TOUCH_LIST);
	int rc;

	*n_r = 0;
	if (!st)
		return work_failed(w, "counting for the caps");
	sql_int(st, 1, (int64_t)c->subject);
	sql_int(st, 2, from);
	sql_int(st, 3, to);
	sql_int(st, 4, c->class);
	while ((rc = sql_step(st)) == 1) {
		if (c->msg && (uint64_t)sql_col(st, 3) == c->msg)
			continue;
		v[*n_r] = (struct touch){ sql_col(st, 0), (int)sql_col(st, 1), sql_col(st, 2) };
		if (++*n_r == TOUCHES_MOST)
			break;
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "counting for the caps") : 0;
}

/* How much of it is used at t. *next_r: when it may have room, if that is all of it; 0: never. */
static int64_t quota_used(const struct quota *q, const struct zone *z, wall_t t, int media,
	const struct touch *v, unsigned n, wall_t *next_r)
{
	bool rolling = q->period == PERIOD_EVER && !span_is_zero(q->span);
	wall_t first = INT64_MAX;
	int64_t from, to, count = 0;

	quota_days(q, z, t, &from, &to);
	for (unsigned i = 0; i < n; i++) {
		wall_t ends;

		if (media >= 0 && v[i].media != media)
			continue;
		if (v[i].day < from || v[i].day > to)
			continue;
		if (rolling) {
			ends = zone_add(z, v[i].at, q->span);
			if (ends <= t || v[i].at > zone_add(z, t, q->span))
				continue;
			if (ends < first)
				first = ends;
		}
		count++;
	}
	*next_r = rolling          ? (first < INT64_MAX ? first : 0)
		  : to < INT64_MAX ? zone_midnight(z, to + 1)
				   : 0;
	return count;
}

static bool any_full(const struct class_rules *cr, const struct zone *z, wall_t t, int media,
	const struct touch *v, unsigned n, const struct quota **q_r, wall_t *next_r)
{
	for (size_t i = 0; i < cr->max_n; i++)
		if (quota_used(&cr->max[i], z, t, media, v, n, next_r) >= cr->max[i].most) {
			*q_r = &cr->max[i];
			return true;
		}
	return false;
}

static void put_quota(const struct class_rules *cr, const struct quota *q, char *out, size_t cap)
{
	size_t i = (size_t)(q - cr->max);

	snprintf(out, cap, "cap \"%s\"",
		cr->conf && i < cr->conf->max_n ? cr->conf->max[i] : "of this period");
}

/* ---- the verdict ---- */

/* Released together, they would come to the channel as one flood. */
static wall_t spread_out(const struct rules *r, const struct hours *h, uint64_t subject, wall_t t)
{
	uint64_t x = subject * 0x9e3779b97f4a7c15ull;
	wall_t later;

	if (r->spread <= 0)
		return t;
	x ^= x >> 29;
	later = t + (wall_t)(x % (uint64_t)r->spread);
	return open_at(h, later) == later ? later : t;
}

static int judge_member(struct work *w, const struct policy_case *c, struct policy_ruling *r)
{
	int is;

	if (c->member) {
		if (c->member->state == MEMBER_LEFT)
			r->hold = HOLD_LEFT;
		else if (c->member->state == MEMBER_BLOCKED && c->class != CLASS_LEGAL)
			r->hold = HOLD_BLOCKED;
		if (r->hold)
			return 0;
		is = member_agrees(w, c->member, c->row, c->class, c->media);
		if (is < 0)
			return -1;
		if (!is) {
			r->hold = HOLD_CONSENT;
			snprintf(r->words, sizeof r->words, "%s by %s", row_word(c->row),
				c->media < MEDIA_COUNT ? media_word(c->media) : "inbox");
			return 0;
		}
	}
	if (c->address.n) {
		is = address_blocked(w, c->address, c->media, c->row, c->class);
		if (is < 0)
			return -1;
		if (is)
			r->hold = HOLD_BLOCKED;
	}
	return 0;
}

/* Moves r->due behind quiet hours; false: there is no such time, or it is not to be waited for. */
static bool judge_hour(
	struct work *w, const struct policy_case *c, const struct hours *h, struct policy_ruling *r)
{
	const struct class_conf *conf = w->rules->classes[c->class].conf;
	bool quiet = h->quiet_n && window_has(h->quiet, h->quiet_n, h->zone, r->due, NULL);
	wall_t t = open_at(h, r->due);

	if (t == r->due)
		return true;
	if (quiet && t)
		t = spread_out(w->rules, h, c->subject, t);
	r->due = t;
	if (!quiet && t)
		return true;
	snprintf(r->words, sizeof r->words, "%s", t ? "quiet hours" : "no hour is left open");
	if (t && (!conf || conf->on_quiet == 0))
		return true;
	r->hold = HOLD_QUIET;
	return false;
}

/* Hours and caps move one another: what a cap puts off to another day has to look at that day's
 * hours, and what hours put off counts on the day when it leaves. */
static int judge_time(struct work *w, const struct policy_case *c, struct policy_ruling *r)
{
	const struct class_rules *cr = &w->rules->classes[c->class];
	struct hours h = { .open = c->windows,
		.open_n = c->windows_n,
		.zone = c->member ? c->member->zone : w->rules->zone };
	int media = cr->per_channel ? (int)c->media : -1;
	int64_t from = INT64_MAX, to = INT64_MIN;
	struct touch v[TOUCHES_MOST];
	const struct quota *q = NULL;
	unsigned n = 0;
	wall_t next;

	if (!c->deliver_now)
		quiet_hours(&h, w->rules, c->class, c->media,
			country_of(w->rules, c->class, c->media, c->address));
	for (unsigned i = 0; i < TURNS_MOST; i++) {
		int64_t a = INT64_MAX, b = INT64_MIN;

		if (!judge_hour(w, c, &h, r))
			return 0;
		if (c->expires && r->due >= c->expires) {
			r->hold = HOLD_EXPIRED;
			return 0;
		}
		if (c->no_caps || !cr->max_n)
			break;
		for (size_t k = 0; k < cr->max_n; k++) {
			int64_t f, l;

			quota_days(&cr->max[k], h.zone, r->due, &f, &l);
			a = f < a ? f : a;
			b = l > b ? l : b;
		}
		if (a < from || b > to) {
			from = a < from ? a : from;
			to = b > to ? b : to;
			if (touches_load(w, c, from, to, v, &n) < 0)
				return -1;
		}
		if (!any_full(cr, h.zone, r->due, media, v, n, &q, &next))
			break;
		put_quota(cr, q, r->words, sizeof r->words);
		if (!cr->conf || cr->conf->on_cap == 0 || !next || i == TURNS_MOST - 1) {
			r->hold = HOLD_CAP;
			return 0;
		}
		r->due = next;
	}
	r->open_until = open_until(&h, r->due);
	return 0;
}

int policy_judge(struct work *w, const struct policy_case *c, struct policy_ruling *r)
{
	*r = (struct policy_ruling){ .due = c->due > w->now ? c->due : w->now };
	if (judge_member(w, c, r) < 0)
		return -1;
	if (r->hold)
		return 0;
	return judge_time(w, c, r);
}

int policy_touch(struct work *w, const struct policy_case *c, wall_t due, uint64_t msg)
{
	const struct zone *z = c->member ? c->member->zone : w->rules->zone;
	struct sql_stmt *st = db_st(w->db, ST_TOUCH_ADD);

	if (!st)
		return work_failed(w, "noting for the caps");
	sql_int(st, 1, (int64_t)c->subject);
	sql_int(st, 2, zone_local(z, due).day);
	sql_int(st, 3, c->media);
	sql_int(st, 4, (int64_t)msg);
	sql_int(st, 5, c->row);
	sql_int(st, 6, c->class);
	sql_int(st, 7, due);
	return sql_run(st) < 0 ? work_failed(w, "noting for the caps") : 0;
}

int policy_untouch(struct work *w, uint64_t subject, uint64_t msg)
{
	struct sql_stmt *st = db_st(w->db, ST_TOUCH_DEL);

	if (!st)
		return work_failed(w, "taking back what was noted for the caps");
	sql_int(st, 1, (int64_t)subject);
	sql_int(st, 2, (int64_t)msg);
	return sql_run(st) < 0 ? work_failed(w, "taking back what was noted for the caps") : 0;
}

/* ---- for people ---- */
struct explaining {
	struct work *w;
	const struct policy_case *c;
	void (*says)(void *ctx, enum policy_says v, const char *what, const char *words);
	void *ctx;
	struct buf b;
};

static void said(struct explaining *x, enum policy_says v, const char *what)
{
	x->says(x->ctx, v, what, buf_cstr(&x->b));
	buf_reset(&x->b);
}

static const struct zone *zone_of(const struct explaining *x)
{
	return x->c->member ? x->c->member->zone : x->w->rules->zone;
}

static void put_local(struct explaining *x, wall_t t)
{
	struct local l = zone_local(zone_of(x), t);

	date_put(&x->b, l.day);
	buf_char(&x->b, ' ');
	time_of_day_put(&x->b, l.ns / DUR_S * DUR_S);
}

static int explain_consent(struct explaining *x)
{
	const struct policy_case *c = x->c;
	struct consent_view v;
	int is;

	if (!c->member) {
		buf_c(&x->b, "nobody is known by that address: nothing was said");
		said(x, POLICY_FACT, "consent");
		return 0;
	}
	is = member_agrees(x->w, c->member, c->row, c->class, c->media);
	if (is < 0 || member_consent(x->w, c->member, c->row, c->media, &v) < 0)
		return -1;
	buf_printf(&x->b, "%s by %s: %s%s", row_word(c->row), media_word(c->media),
		v.off       ? "the channel is turned off"
		: v.granted ? "granted"
			    : "not granted",
		v.said || v.off ? "" : " by default");
	said(x, is ? POLICY_YES : POLICY_NO, "consent");
	return 0;
}

static int explain_suppression(struct explaining *x)
{
	const struct policy_case *c = x->c;
	struct sql_stmt *st = db_st(x->w->db, ST_BLOCKS_OF);
	int rc, is = address_blocked(x->w, c->address, c->media, c->row, c->class);

	if (!st || is < 0)
		return work_failed(x->w, "reading suppressions");
	sql_text(st, 1, c->address);
	sql_int(st, 2, 100);
	while ((rc = sql_step(st)) == 1) {
		int64_t row = sql_col(st, 2);

		if (sql_col(st, 1) != (int64_t)c->media ||
			(row >= 0 && row != (int64_t)c->row && row != ROW_OFFER &&
				row != ROW_ADVERT))
			continue;
		buf_printf(&x->b, "%s%.*s", x->b.n ? "; " : "", STR_ARG(sql_col_str(st, 3)));
		if (sql_col_str(st, 5).n)
			buf_printf(&x->b, " by %.*s", STR_ARG(sql_col_str(st, 5)));
		buf_c(&x->b, " at ");
		put_local(x, sql_col(st, 4));
	}
	if (!is) {
		buf_reset(&x->b);
		buf_c(&x->b, "the address is not suppressed");
	}
	said(x, is ? POLICY_NO : POLICY_YES, "suppression");
	return rc < 0 ? work_failed(x->w, "reading suppressions") : 0;
}

static void explain_hours(struct explaining *x, wall_t t)
{
	const struct policy_case *c = x->c;
	struct hours h = { .open = c->windows, .open_n = c->windows_n, .zone = zone_of(x) };
	wall_t open, end;

	if (!c->deliver_now)
		quiet_hours(&h, x->w->rules, c->class, c->media,
			country_of(x->w->rules, c->class, c->media, c->address));
	open = open_at(&h, t);
	put_local(x, t);
	buf_printf(&x->b, " in %s: ", zone_name(zone_of(x)));
	if (open == t) {
		end = open_until(&h, t);
		buf_c(&x->b, end ? "open until " : "there are no quiet hours");
		if (end)
			put_local(x, end);
	} else {
		buf_c(&x->b, open ? "quiet until " : "no hour is left open");
		if (open)
			put_local(x, open);
	}
	said(x, open == t ? POLICY_YES : POLICY_NO, "hours");
}

static int explain_caps(struct explaining *x, wall_t t)
{
	const struct policy_case *c = x->c;
	const struct class_rules *cr = &x->w->rules->classes[c->class];
	struct touch v[TOUCHES_MOST];

	for (size_t i = 0; i < cr->max_n && !c->no_caps; i++) {
		int64_t from, to, used;
		wall_t next;
		unsigned n;

		quota_days(&cr->max[i], zone_of(x), t, &from, &to);
		if (touches_load(x->w, c, from, to, v, &n) < 0)
			return -1;
		used = quota_used(&cr->max[i], zone_of(x), t, cr->per_channel ? (int)c->media : -1,
			v, n, &next);
		buf_printf(&x->b, "\"%s\": %lld of %lld%s",
			cr->conf && i < cr->conf->max_n ? cr->conf->max[i] : "", (long long)used,
			(long long)cr->max[i].most, cr->per_channel ? " on this channel" : "");
		said(x, used < cr->max[i].most ? POLICY_YES : POLICY_NO, "cap");
	}
	return 0;
}

int policy_explain(struct work *w, const struct policy_case *c,
	void (*says)(void *ctx, enum policy_says v, const char *what, const char *words), void *ctx)
{
	struct explaining x = { .w = w, .c = c, .says = says, .ctx = ctx };
	wall_t t = c->due > w->now ? c->due : w->now;
	int rc;

	if (c->member) {
		bool out = c->member->state == MEMBER_LEFT ||
			   (c->member->state == MEMBER_BLOCKED && c->class != CLASS_LEGAL);

		buf_printf(&x.b, "%.*s, %s",
			STR_ARG(c->member->ext.n ? c->member->ext : STR("(no id)")),
			member_state_word(c->member->state));
		said(&x, out ? POLICY_NO : POLICY_YES, "member");
	}
	rc = explain_consent(&x);
	if (rc == 0 && c->address.n)
		rc = explain_suppression(&x);
	if (rc == 0)
		explain_hours(&x, t);
	if (rc == 0)
		rc = explain_caps(&x, t);
	buf_free(&x.b);
	return rc;
}
