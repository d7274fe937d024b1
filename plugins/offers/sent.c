/* of_sent, the limits of offers, and what receipts change there. See sent.h and dispatch.h. */
#include "plugins/offers/sent.h"
#include "plugins/offers/counter.h"
#include "plugins/offers/engine.h"

#include <stdio.h>

static enum hold_reason hold_of(struct str reason)
{
	struct str word;

	if (!str_cut(&reason, ':', &word))
		return HOLD_NONE;
	for (int h = HOLD_NONE + 1; h < HOLD_REASONS; h++)
		if (str_is(word, hold_word((enum hold_reason)h)))
			return (enum hold_reason)h;
	return HOLD_NONE;
}

int sent_find(struct work *w, struct sent *r)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_GET);
	int rc;

	if (!st)
		return work_failed(w, "looking for what was sent");
	sql_int(st, 1, (int64_t)r->id);
	rc = sql_step(st);
	if (rc == 1) {
		r->again = true;
		r->msg = (uint64_t)sql_col(st, 0);
		r->hold = r->msg ? HOLD_NONE : hold_of(sql_col_str(st, 2));
		r->media = (enum media)sql_col(st, 3);
		r->due = sql_col(st, 4);
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "looking for what was sent") : rc;
}

int sent_put(struct work *w, const struct sent_row *row)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_PUT);
	char digest[ADDRESS_DIGEST];

	if (!st)
		return work_failed(w, "noting what was sent");
	address_digest(row->address, digest);
	sql_int(st, 1, (int64_t)row->id);
	sql_int(st, 2, (int64_t)row->member);
	sql_int(st, 3, row->object);
	sql_int(st, 4, (int64_t)row->run);
	sql_int(st, 5, row->step);
	sql_int(st, 6, row->template);
	sql_int(st, 7, row->media);
	sql_int(st, 8, row->row);
	sql_int(st, 9, row->class);
	sql_int(st, 10, (int64_t)row->msg);
	sql_int(st, 11, row->state);
	sql_text_or_null(st, 12, row->reason);
	sql_int(st, 13, w->now);
	sql_int(st, 14, row->due);
	if (row->address.n)
		sql_text(st, 15, str_n(digest, 16));
	else
		sql_null(st, 15);
	sql_int(st, 16, (int64_t)row->receipt);
	return sql_run(st) < 0 ? work_failed(w, "noting what was sent") : 0;
}

int sent_part(struct work *w, uint64_t msg, uint64_t sent, struct str address)
{
	struct sql_stmt *st = db_st(w->db, ST_PART_PUT);
	char digest[ADDRESS_DIGEST];

	if (!st)
		return work_failed(w, "noting what was sent");
	address_digest(address, digest);
	sql_int(st, 1, (int64_t)msg);
	sql_int(st, 2, (int64_t)sent);
	sql_text(st, 3, str_n(digest, 16));
	return sql_run(st) < 0 ? work_failed(w, "noting what was sent") : 0;
}

/* ---- limits ----
 * Those of a member are counted in of_sent itself. The others in of_counter, under numbers that no
 * counter has, and a subject made of the offer and whom the limit is for; by day where the limit
 * rolls. */
enum { LIMIT_ACCOUNT = -1, LIMIT_STORE = -2, LIMIT_TOTAL = -3 };

struct limit {
	const struct quota *q;
	int64_t counter, subject, from, to; /* periods */
	const struct zone *zone;
	const char *what;
};

static int64_t subject_of(uint32_t object, uint64_t whom)
{
	uint64_t h = (whom + 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull ^ object;

	h ^= h >> 31;
	return (int64_t)((h * 0xc4ceb9fe1a85ec53ull) >> 1);
}

static void limit_periods(struct limit *l, wall_t now)
{
	const struct quota *q = l->q;

	if (q->period != PERIOD_EVER) {
		l->from = l->to = period_of(q->period, l->zone, now);
	} else if (span_is_zero(q->span)) {
		l->from = l->to = 0;
	} else {
		struct span back = { -q->span.months, -q->span.days, -q->span.exact };

		l->to = zone_local(l->zone, now).day;
		l->from = zone_local(l->zone, zone_add(l->zone, now, back)).day + 1;
		if (l->from > l->to)
			l->from = l->to;
	}
}

/* Those that are counted in of_counter; how many. */
static unsigned limits_of(
	const struct work *w, const struct sending *s, wall_t at, struct limit out[3])
{
	const struct offer *o = s->offer;
	struct value store = s->event ? s->event->attr[ATTR_store] : VALUE_NONE;
	unsigned n = 0;

	if (!o)
		return 0;
	if (o->per_account.most)
		out[n++] = (struct limit){ .q = &o->per_account,
			.counter = LIMIT_ACCOUNT,
			.subject = subject_of(s->object, s->member->id),
			.zone = s->member->zone,
			.what = "per_account" };
	if (o->per_store.most && store.type == VALUE_TEXT)
		out[n++] = (struct limit){ .q = &o->per_store,
			.counter = LIMIT_STORE,
			.subject = subject_of(s->object, str_hash(store.s)),
			.zone = w->rules->zone,
			.what = "per_store" };
	if (o->total.most)
		out[n++] = (struct limit){ .q = &o->total,
			.counter = LIMIT_TOTAL,
			.subject = subject_of(s->object, 0),
			.zone = w->rules->zone,
			.what = "total" };
	for (unsigned i = 0; i < n; i++)
		limit_periods(&out[i], at);
	return n;
}

static wall_t member_since(const struct quota *q, const struct zone *z, wall_t now)
{
	struct span back = { -q->span.months, -q->span.days, -q->span.exact };
	int64_t day = zone_local(z, now).day;
	int year, month, dom;

	date_civil(day, &year, &month, &dom);
	switch (q->period) {
	case PERIOD_DAY:
		return zone_midnight(z, day);
	case PERIOD_WEEK:
		return zone_midnight(z, day - (date_weekday(day) - 1));
	case PERIOD_MONTH:
		return zone_midnight(z, day - (dom - 1));
	case PERIOD_YEAR:
		return zone_midnight(z, date_of_civil(year, 1, 1));
	default:
		return span_is_zero(q->span) ? INT64_MIN : zone_add(z, now, back) + 1;
	}
}

/* What was taken back does not count, because it never left; what was suppressed later counts,
 * unless the offer gives it back. */
static int64_t count_member(struct work *w, const struct sending *s, const struct quota *q)
{
	struct sql_stmt *st = db_st(w->db, ST_SENT_COUNT);
	int64_t n = 0;

	if (!st)
		return work_failed(w, "counting for the limits");
	sql_int(st, 1, (int64_t)s->member->id);
	sql_int(st, 2, member_since(q, s->member->zone, w->now));
	sql_int(st, 3, s->object);
	sql_int(st, 4, STATE_CANCELLED);
	sql_int(st, 5, s->offer->conf->refund_on_suppress ? STATE_SUPPRESSED : STATE_CANCELLED);
	if (sql_step(st) == 1)
		n = sql_col(st, 0);
	else
		return work_failed(w, "counting for the limits");
	sql_reset(st);
	return n;
}

static int64_t count_limit(struct work *w, const struct limit *l)
{
	struct sql_stmt *st = db_st(w->db, ST_LIMIT_SUM);
	int64_t n;

	if (!st)
		return work_failed(w, "counting for the limits");
	sql_int(st, 1, l->counter);
	sql_int(st, 2, l->subject);
	sql_int(st, 3, l->from);
	sql_int(st, 4, l->to);
	if (sql_step(st) != 1)
		return work_failed(w, "counting for the limits");
	n = sql_col(st, 0);
	sql_reset(st);
	return n < 0 ? 0 : n;
}

int dispatch_limits(struct work *w, const struct sending *s, char *words, size_t cap)
{
	struct limit v[3];
	unsigned n = limits_of(w, s, w->now, v);
	int64_t used;

	if (cap)
		words[0] = '\0';
	if (s->offer && s->offer->per_member.most) {
		used = count_member(w, s, &s->offer->per_member);
		if (used < 0)
			return -1;
		if (used >= s->offer->per_member.most) {
			snprintf(words, cap, "per_member = \"%s\"",
				s->offer->conf->limits.per_member);
			return 0;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		used = count_limit(w, &v[i]);
		if (used < 0)
			return -1;
		if (used >= v[i].q->most) {
			snprintf(words, cap, "%s: %ld of %ld", v[i].what, used, v[i].q->most);
			return 0;
		}
	}
	return 1;
}

int limits_add(struct work *w, const struct sending *s, wall_t at, int by)
{
	struct limit v[3];
	unsigned n = limits_of(w, s, at, v);

	for (unsigned i = 0; i < n; i++) {
		struct sql_stmt *st = db_st(w->db, ST_LIMIT_ADD);

		if (!st)
			return work_failed(w, "counting for the limits");
		sql_int(st, 1, v[i].counter);
		sql_int(st, 2, v[i].subject);
		sql_int(st, 3, v[i].to);
		sql_int(st, 4, by);
		if (sql_run(st) < 0)
			return work_failed(w, "counting for the limits");
	}
	return 0;
}

/* ---- receipts ---- */
struct known {
	uint64_t id, member, run;
	uint32_t object, template;
	unsigned step;
	enum media media;
	enum state state;
	wall_t due, at;
	char digest[ADDRESS_DIGEST];
	bool part;
};

static int known_read(struct work *w, struct sql_stmt *st, struct known *k)
{
	int rc = sql_step(st);

	if (rc == 1) {
		*k = (struct known){ .id = (uint64_t)sql_col(st, 0),
			.member = (uint64_t)sql_col(st, 1),
			.object = (uint32_t)sql_col(st, 2),
			.template = (uint32_t)sql_col(st, 3),
			.media = (enum media)sql_col(st, 4),
			.state = (enum state)sql_col(st, 5),
			.due = sql_col(st, 7),
			.run = (uint64_t)sql_col(st, 10),
			.step = (unsigned)sql_col(st, 11),
			.at = sql_col(st, 12) };
		str_copy(k->digest, sizeof k->digest, sql_col_str(st, 6));
	}
	sql_reset(st);
	return rc < 0 ? work_failed(w, "looking for what was sent") : rc;
}

/* What the message belongs to: 1, 0: not ours. Of several devices *state_r is this one's. */
static int known_find(struct work *w, uint64_t msg, struct known *k, enum state *state_r)
{
	struct sql_stmt *st = db_st(w->db, ST_PART_OF_MSG);
	char digest[ADDRESS_DIGEST];
	uint64_t sent;
	int rc;

	if (!st)
		return work_failed(w, "looking for what was sent");
	sql_int(st, 1, (int64_t)msg);
	rc = sql_step(st);
	if (rc < 0)
		return work_failed(w, "looking for what was sent");
	if (rc == 1) {
		sent = (uint64_t)sql_col(st, 0);
		*state_r = (enum state)sql_col(st, 1);
		str_copy(digest, sizeof digest, sql_col_str(st, 2));
		sql_reset(st);
		st = db_st(w->db, ST_SENT_OF_ID);
		if (!st)
			return work_failed(w, "looking for what was sent");
		sql_int(st, 1, (int64_t)sent);
		rc = known_read(w, st, k);
		memcpy(k->digest, digest, sizeof digest);
		k->part = true;
		return rc;
	}
	st = db_st(w->db, ST_SENT_OF_MSG);
	if (!st)
		return work_failed(w, "looking for what was sent");
	sql_int(st, 1, (int64_t)msg);
	rc = known_read(w, st, k);
	*state_r = k->state;
	return rc;
}

static int set_state(
	struct work *w, enum st which, uint64_t id, enum state state, const struct sent_news *n)
{
	struct sql_stmt *st = db_st(w->db, which);
	char words[160];
	/* an SMSC says "000" of what went well: no reason */
	bool well = state == STATE_SENT || state == STATE_DELIVERED || state == STATE_READ;
	struct str said = well ? STR_NONE : n->words;

	if (!st)
		return work_failed(w, "noting a receipt");
	snprintf(words, sizeof words, "%s%s%.*s",
		n->reason == REASON_NONE ? "" : reason_word(n->reason),
		said.n && n->reason != REASON_NONE ? ": " : "", (int)(said.n > 100 ? 100 : said.n),
		said.p);
	sql_int(st, 1, state);
	if (which == ST_SENT_STATE)
		sql_text_or_null(st, 2, str_of(words));
	sql_int(st, which == ST_SENT_STATE ? 3 : 2, (int64_t)id);
	return sql_run(st) < 0 ? work_failed(w, "noting a receipt") : 0;
}

/* Of several devices the best counts: delivered to one is delivered, and only when the last has
 * failed the whole has. *state_r: what it was, in and out. */
static int whole_state(struct work *w, uint64_t sent, enum state *state_r)
{
	struct sql_stmt *st = db_st(w->db, ST_PARTS_OF);
	enum state best = STATE_UNKNOWN, s;
	bool open = false;
	int rc;

	if (!st)
		return work_failed(w, "noting a receipt");
	sql_int(st, 1, (int64_t)sent);
	while ((rc = sql_step(st)) == 1) {
		s = (enum state)sql_col(st, 1);
		if (!state_is_final(s))
			open = true;
		else if (state_rank(s) > state_rank(best))
			best = s;
	}
	if (rc < 0)
		return work_failed(w, "noting a receipt");
	if (best == STATE_DELIVERED || best == STATE_READ || !open)
		*state_r = best;
	return 0;
}

/* The far side does not know the address: it is not written to again. A phone number is left alone:
 * there that answer may as well come of a route at fault. */
static int retire_contact(struct work *w, struct member *m, const struct known *k, enum reason why)
{
	char digest[ADDRESS_DIGEST];

	if (why != REASON_FAR_DESTINATION || k->media == MEDIA_SMS || k->media == MEDIA_SOCIAL ||
		k->media >= MEDIA_RECEIPT)
		return 0;
	if (member_contacts(w, m) < 0)
		return -1;
	for (unsigned i = 0; i < m->contacts_n; i++) {
		const struct contact *c = &m->contacts[i];

		address_digest(c->value, digest);
		if (c->kind == contact_of_media(k->media) && !(c->flags & CONTACT_INVALID) &&
			strcmp(digest, k->digest) == 0)
			return contact_mark_invalid(w, c->kind, c->value, STR("far_destination"));
	}
	return 0;
}

/* The counter that the action raised for its event, in the period that it was raised in. */
static int give_back_count(struct work *w, const struct known *k, const struct offer *o,
	struct member *m, const struct event *e)
{
	const struct counter *c = k->step - ACTION_STEP < o->actions_n
					  ? o->actions[k->step - ACTION_STEP].count
					  : NULL;
	struct offers_source source;
	int rc;

	if (!c)
		return 0;
	source_init(&source, w, m, e, o);
	rc = counter_action(&source, c, -1);
	source_done(&source);
	return rc;
}

/* It never left: it no longer counts for caps, nor for what offers have in all, nor for the counter
 * of its action. */
static int give_back(
	struct work *w, const struct known *k, struct member *m, enum state state, uint64_t msg)
{
	const struct offer *o = rules_offer_number(w->rules, k->object);
	struct sending s = { .member = m, .object = k->object, .offer = o };
	struct event *e = NULL;
	int rc = 0;

	if (policy_untouch(w, k->member, msg) < 0)
		return -1;
	if (!o || (state != STATE_CANCELLED && !o->conf->refund_on_suppress))
		return 0;
	if (k->step >= ACTION_STEP)
		rc = event_load(w, k->run, &e);
	s.event = e;
	if (rc >= 0)
		rc = limits_add(w, &s, k->at, -1);
	if (rc == 0 && e)
		rc = give_back_count(w, k, o, m, e);
	event_drop(&e);
	return rc;
}

static struct event *make_event(
	struct work *w, enum event_type t, const struct sent_news *n, const struct known *k)
{
	char id[48], name[120];
	struct event *e;

	snprintf(id, sizeof id, "%lu-%s", n->msg, state_word(n->state));
	e = event_make(t, n->at ? n->at : w->now, STR("postern"), str_of(id));
	snprintf(id, sizeof id, "%lu", n->msg);
	e->attr[ATTR_message] = value_text(arena_str(e->arena, str_of(id)));
	if (k->media < MEDIA_COUNT)
		e->attr[ATTR_medium] = value_text(str_of(media_word(k->media)));
	if (name_of(w->db, NAME_OBJECT, k->object, name, sizeof name))
		e->attr[ATTR_offer] = value_text(arena_str(e->arena, str_of(name)));
	if (name_of(w->db, NAME_TEMPLATE, k->template, name, sizeof name))
		e->attr[ATTR_template] = value_text(arena_str(e->arena, str_of(name)));
	if (t == EVENT_MESSAGE_UNDELIVERED)
		e->attr[ATTR_reason] = value_text(str_of(reason_word(n->reason)));
	return e;
}

static bool event_of_state(enum state s, enum event_type *t_r)
{
	switch (s) {
	case STATE_DELIVERED:
		*t_r = EVENT_MESSAGE_DELIVERED;
		return true;
	case STATE_READ:
		*t_r = EVENT_MESSAGE_READ;
		return true;
	case STATE_UNDELIVERABLE:
	case STATE_EXPIRED:
	case STATE_REJECTED:
		*t_r = EVENT_MESSAGE_UNDELIVERED;
		return true;
	default:
		return false;
	}
}

int sent_receipt(struct work *w, const struct sent_news *n, struct event **e_r, uint64_t *member_r)
{
	enum state was = STATE_QUEUED, whole = n->state;
	struct sent_news bare;
	enum event_type type;
	struct member *m;
	struct known k;
	int rc;

	*e_r = NULL;
	*member_r = 0;
	rc = known_find(w, n->msg, &k, &was);
	if (rc < 1)
		return rc;
	if (was == n->state || !state_may(was, n->state))
		return 0;
	rc = member_load(w, k.member, &m);
	if (rc < 0)
		return -1;
	if (rc == 1 && m->state == MEMBER_LEFT) {
		bare = *n;
		bare.words = STR_NONE;
		n = &bare;
		if (w->erase && w->erase(w, n->msg) < 0) /* it may have ended with this */
			return work_failed(w, "erasing a message");
	}
	if (k.part) {
		whole = n->state == STATE_SENT ? STATE_SENT : k.state;
		if (set_state(w, ST_PART_STATE, n->msg, n->state, n) < 0 ||
			whole_state(w, k.id, &whole) < 0)
			return -1;
	}
	if (rc == 1 && retire_contact(w, m, &k, n->reason) < 0)
		return -1;
	if (whole == k.state || !state_may(k.state, whole))
		return 0;
	if (set_state(w, ST_SENT_STATE, k.id, whole, n) < 0)
		return -1;
	if ((whole == STATE_CANCELLED || whole == STATE_SUPPRESSED) && rc == 1 &&
		give_back(w, &k, m, whole, n->msg) < 0)
		return -1;
	if (rc == 0 || m->state == MEMBER_LEFT)
		return 0;
	if (k.state == STATE_QUEUED && k.step < ACTION_STEP && whole != STATE_CANCELLED &&
		whole != STATE_SUPPRESSED && chain_left(w, m, k.object, k.run, k.step) < 0)
		return -1;
	if (!event_of_state(whole, &type))
		return 0;
	*e_r = make_event(w, type, n, &k);
	if (m->ext.n)
		(*e_r)->who[ALIAS_MEMBER] = arena_str((*e_r)->arena, m->ext);
	event_seal(*e_r);
	*member_r = k.member;
	return 1;
}

int sent_left(struct work *w, uint64_t msg)
{
	const struct sent_news n = { .msg = msg, .state = STATE_SENT, .at = w->now };
	enum state was = STATE_QUEUED;
	uint64_t member;
	struct event *e;
	struct known k;
	int rc = known_find(w, msg, &k, &was);

	if (rc < 1 || was != STATE_QUEUED)
		return rc < 0 ? -1 : 0;
	rc = sent_receipt(w, &n, &e, &member);
	event_drop(&e);
	return rc < 0 ? -1 : 1;
}

int sent_whose(
	struct work *w, uint64_t msg, uint64_t *member_r, uint32_t *object_r, unsigned *step_r)
{
	enum state state;
	struct known k;
	int rc = known_find(w, msg, &k, &state);

	if (rc == 1) {
		*member_r = k.member;
		*object_r = k.object;
		*step_r = k.step;
	}
	return rc;
}
