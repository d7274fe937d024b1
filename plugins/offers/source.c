/* Values of names, and the functions of the filter language over the tables. See source.h. */
#include "plugins/offers/source.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/counter.h"
#include "plugins/offers/lot.h"

enum { AUDIENCES_DEEP = 8 };

/* ---- the event ---- */
static const struct event *event_of(struct offers_source *s)
{
	if (!s->e && s->seq) {
		event_load(s->w, s->seq, &s->fetched);
		s->e = s->fetched;
		s->seq = 0;
	}
	return s->e;
}

static struct value event_value(struct offers_source *s, unsigned attr)
{
	const struct event *e = event_of(s);

	return e && attr < EVENT_ATTRS ? e->attr[attr] : VALUE_NONE;
}

int64_t event_amount(const struct event *e)
{
	static const enum event_attr main_of[] = { ATTR_total, ATTR_amount, ATTR_discount };
	struct value v;

	if (e->type == EVENT_DISCOUNT_CALCULATED)
		return e->attr[ATTR_discount].type == VALUE_DECIMAL ? e->attr[ATTR_discount].i : 0;
	for (unsigned i = 0; i < 3; i++) {
		v = e->attr[main_of[i]];
		if (v.type == VALUE_DECIMAL)
			return v.i;
	}
	return 0;
}

/* ---- metavariables ---- */
static const char *const behind[METAVAR_COUNT] = {
#define METAVAR(NAME, word, type, of, fields, doc) [METAVAR_##NAME] = fields,
#include "plugins/offers/metavar.def"
#undef METAVAR
};

static struct value field_value(struct offers_source *s, struct str field)
{
	enum event_attr a;

	if (!str_starts(field, STR("event.")) || !event_attr_parse(str_skip(field, 6), &a))
		return VALUE_NONE;
	return event_value(s, a);
}

/* "event.amount|event.level:event.discount|event.total": the first that the event has; the discount
 * only where it has a level, too. */
static struct value behind_value(struct offers_source *s, const char *fields)
{
	struct str rest = str_of(fields), one, when;

	while (str_cut(&rest, '|', &one)) {
		struct value v;

		if (str_index(one, ':') > 0 && str_cut(&one, ':', &when) &&
			field_value(s, when).type == VALUE_MISSING)
			continue;
		v = field_value(s, one);
		if (v.type != VALUE_MISSING)
			return v;
	}
	return VALUE_NONE;
}

static struct value balances_value(struct offers_source *s)
{
	struct value out = { .type = VALUE_LIST, .of = VALUE_TEXT };
	struct balance *b;
	struct value *v;
	size_t n;

	if (!s->m || balances_get(s->w, s->m->id, &b, &n) < 0)
		return VALUE_NONE;
	v = arena_alloc(s->w->arena, (n + 1) * sizeof *v);
	for (size_t i = 0; i < n; i++) {
		struct buf text = BUF_INIT;

		decimal_put(&text, b[i].amount);
		buf_char(&text, ' ');
		buf_c(&text, b[i].code);
		v[i] = value_text(arena_str(s->w->arena, buf_view(&text)));
		buf_free(&text);
	}
	out.list.v = v;
	out.list.n = n;
	return out;
}

/* "https://shop.example/out?m={member}": the member's id in its place, or at the end of "…=". */
static struct value unsubscribe_value(struct offers_source *s)
{
	struct str url = str_of(s->w->rules->conf->program.unsubscribe);
	ptrdiff_t at = str_find(url, STR("{member}"));
	struct value v = VALUE_NONE;
	struct buf b = BUF_INIT;

	if (!url.n)
		return v;
	if (at >= 0) {
		buf_add(&b, url.p, (size_t)at);
		if (s->m)
			buf_str(&b, s->m->ext);
		buf_str(&b, str_skip(url, (size_t)at + 8));
	} else {
		buf_str(&b, url);
	}
	v = value_text(arena_str(s->w->arena, buf_view(&b)));
	buf_free(&b);
	return v;
}

static struct value text_or_none(const char *s)
{
	return s && s[0] ? value_text(str_of(s)) : VALUE_NONE;
}

static struct value metavar_value(struct offers_source *s, unsigned which)
{
	const struct program_conf *p = &s->w->rules->conf->program;

	switch (which) {
	case METAVAR_BALANCES:
		return balances_value(s);
	case METAVAR_UNSUBSCRIBE:
		return unsubscribe_value(s);
	case METAVAR_PROGRAM_NAME:
		return text_or_none(p->name);
	case METAVAR_PROGRAM_PHONE:
		return text_or_none(p->phone);
	case METAVAR_PROGRAM_URL:
		return text_or_none(p->url);
	default:
		return which < METAVAR_COUNT ? behind_value(s, behind[which]) : VALUE_NONE;
	}
}

static struct value world_value(struct offers_source *s, unsigned which)
{
	switch (which) {
	case WORLD_NOW:
		return value_datetime(s->now);
	case WORLD_TODAY:
		return value_date(zone_local(s->m ? s->m->zone : s->w->rules->zone, s->now).day);
	case WORLD_OFFER_NAME:
		return s->o ? text_or_none(s->o->conf->name) : VALUE_NONE;
	case WORLD_OFFER_TITLE:
		return s->o ? text_or_none(s->o->conf->title) : VALUE_NONE;
	default:
		return VALUE_NONE;
	}
}

static struct value source_get(const struct source *source, unsigned slot)
{
	/* what it fetches on the way is its own affair */
	struct offers_source *s = (struct offers_source *)(uintptr_t)source;

	if (slot < SLOT_EVENT)
		return s->m ? member_value(s->w, s->m, slot) : VALUE_NONE;
	if (slot < SLOT_WORLD)
		return event_value(s, slot - SLOT_EVENT);
	if (slot < SLOT_TEMPLATE)
		return world_value(s, slot - SLOT_WORLD);
	return metavar_value(s, slot - SLOT_TEMPLATE);
}

/* ---- functions ---- */
/* phone.linked is contact.linked of the kind "phone". */
struct sort {
	enum event_type type;
	uint64_t kind; /* event_kind_hash(), 0: any */
};

static bool sort_of(struct value v, struct sort *t_r)
{
	const char *kind;

	*t_r = (struct sort){ 0 };
	if (v.type != VALUE_TEXT || !event_type_parse(v.s, &t_r->type, &kind))
		return false;
	t_r->kind = kind[0] ? event_hash(str_of(kind)) : 0;
	return true;
}

/* When a period that ends now began; far back when there is none. */
static wall_t since(const struct offers_source *s, struct value period)
{
	struct span back;

	if (period.type != VALUE_SPAN)
		return INT64_MIN;
	back = (struct span){ -period.span.months, -period.span.days, -period.span.exact };
	return zone_add(s->m->zone, s->now, back);
}

static struct sql_stmt *past(struct offers_source *s, enum st which, struct sort t)
{
	struct sql_stmt *st = db_st(s->w->db, which);

	if (st) {
		sql_int(st, 1, (int64_t)s->m->id);
		sql_int(st, 2, t.type);
	}
	return st;
}

static uint64_t present(struct offers_source *s)
{
	const struct event *e = event_of(s);

	return e ? e->seq : 0;
}

static struct value fn_count(struct offers_source *s, struct sort t, struct value period, bool sum)
{
	struct sql_stmt *st = past(s, ST_PAST_COUNT, t);
	struct value v = VALUE_NONE;

	if (!st)
		return v;
	sql_int(st, 3, since(s, period));
	sql_int(st, 4, s->now);
	sql_int(st, 5, (int64_t)t.kind);
	if (sql_step(st) == 1)
		v = sum ? value_decimal(sql_col(st, 1)) : value_int(sql_col(st, 0));
	sql_reset(st);
	return v;
}

/* The amount that of_past keeps beside each event of that type. */
static bool is_main(enum event_type t, enum event_attr a)
{
	if (t == EVENT_DISCOUNT_CALCULATED)
		return a == ATTR_discount;
	if (a == ATTR_total)
		return event_has_attr(t, ATTR_total);
	return a == ATTR_amount && !event_has_attr(t, ATTR_total);
}

static struct value fn_sum(struct offers_source *s, const struct value *a)
{
	enum event_attr field;
	struct sort t;
	uint64_t seq[100];
	struct sql_stmt *st;
	int64_t sum = 0;
	size_t n = 0;

	if (a[0].type != VALUE_TEXT || !event_attr_parse(a[0].s, &field) || !sort_of(a[1], &t))
		return VALUE_NONE;
	if (is_main(t.type, field))
		return fn_count(s, t, a[2], true);
	/* a lesser field is in the events' texts alone; of the last hundred */
	st = past(s, ST_PAST_SINCE, t);
	if (!st)
		return VALUE_NONE;
	sql_int(st, 3, since(s, a[2]));
	sql_int(st, 4, (int64_t)t.kind);
	while (sql_step(st) == 1)
		seq[n++] = (uint64_t)sql_col(st, 1);
	for (size_t i = 0; i < n; i++) {
		struct event *e;

		if (event_load(s->w, seq[i], &e) != 1)
			continue;
		if (e->occurred <= s->now && e->attr[field].type == VALUE_DECIMAL)
			sum = decimal_add(sum, e->attr[field].i);
		else if (e->occurred <= s->now && e->attr[field].type == VALUE_INT)
			sum = decimal_add(sum, decimal_of_int(e->attr[field].i));
		event_drop(&e);
	}
	return value_decimal(sum);
}

static struct value fn_last(struct offers_source *s, struct sort t)
{
	struct sql_stmt *st = past(s, ST_PAST_LAST, t);
	struct value v = VALUE_NONE;

	if (!st)
		return v;
	sql_int(st, 3, (int64_t)present(s));
	sql_int(st, 4, (int64_t)t.kind);
	sql_int(st, 5, s->now);
	if (sql_step(st) == 1)
		v = value_datetime(sql_col(st, 0));
	sql_reset(st);
	return v;
}

static struct value fn_first_time(struct offers_source *s, struct sort t)
{
	struct sql_stmt *st = past(s, ST_PAST_FIRST, t);
	bool before;

	if (!st)
		return VALUE_NONE;
	sql_int(st, 3, s->now);
	sql_int(st, 4, (int64_t)present(s));
	sql_int(st, 5, (int64_t)t.kind);
	before = sql_step(st) == 1;
	sql_reset(st);
	return value_bool(!before);
}

static struct value fn_balance(
	struct offers_source *s, struct value code, struct value with_receipt)
{
	uint32_t number = code.type == VALUE_TEXT ? currency_number(s->w, code.s, false) : 0;
	const struct event *e = event_of(s);
	int64_t amount = 0;

	if (number && balance_get(s->w, s->m->id, number, &amount) < 0)
		return VALUE_NONE;
	if (with_receipt.type == VALUE_BOOL && with_receipt.b && e &&
		e->type == EVENT_PURCHASE_COMPLETED) {
		if (e->attr[ATTR_bonus_in].type == VALUE_DECIMAL)
			amount = decimal_add(amount, e->attr[ATTR_bonus_in].i);
		if (e->attr[ATTR_bonus_out].type == VALUE_DECIMAL)
			amount = decimal_add(amount, -e->attr[ATTR_bonus_out].i);
	}
	return value_decimal(amount);
}

static struct value fn_audience(struct offers_source *s, struct value name)
{
	const struct audience *a =
		name.type == VALUE_TEXT ? rules_audience(s->w->rules, name.s) : NULL;
	bool in;

	if (!a || s->depth >= AUDIENCES_DEEP)
		return value_bool(false);
	s->depth++;
	in = filter_eval(a->is, &s->world);
	s->depth--;
	return value_bool(in);
}

static struct value fn_has(struct offers_source *s, struct value kind)
{
	enum contact_kind k = CONTACT_DEVICE;

	if (kind.type != VALUE_TEXT || (!contact_parse(kind.s, &k) && !str_is(kind.s, "push")))
		return value_bool(false);
	return value_bool(member_has(s->w, s->m, k) == 1);
}

static struct value fn_subscribed(struct offers_source *s, struct value row, struct value channel)
{
	enum media media = MEDIA_SMS;
	struct consent_view v;
	enum row r;
	bool one = channel.type == VALUE_TEXT && media_parse(channel.s, &media);

	if (row.type != VALUE_TEXT || !row_parse(row.s, &r))
		return value_bool(false);
	for (; media < MEDIA_RECEIPT; media++) {
		if (member_consent(s->w, s->m, r, media, &v) == 0 && v.granted && !v.off)
			return value_bool(true);
		if (one)
			break;
	}
	return value_bool(false);
}

static uint32_t object_number(const struct rules *r, struct str name)
{
	const struct offer *o = rules_offer(r, name);
	const struct task *t = o ? NULL : rules_task(r, name);

	return o ? o->number : t ? t->number : 0;
}

static struct value fn_received(
	struct offers_source *s, const struct value *object, struct value period)
{
	struct sql_stmt *st = db_st(s->w->db, object ? ST_RECEIVED : ST_RECEIVED_ANY);
	struct value v = VALUE_NONE;

	if (!st)
		return v;
	sql_int(st, 1, (int64_t)s->m->id);
	sql_int(st, 2, since(s, period));
	if (object)
		sql_int(st, 3,
			object->type == VALUE_TEXT ? object_number(s->w->rules, object->s) : 0);
	if (sql_step(st) == 1)
		v = value_int(sql_col(st, 0));
	sql_reset(st);
	return v;
}

static struct value call(void *ctx, enum filter_fn fn, const struct value *a, unsigned n)
{
	struct offers_source *s = ctx;
	struct sort t;

	if (!s->m)
		return VALUE_NONE;
	switch (fn) {
	case FILTER_COUNT:
		return sort_of(a[0], &t) ? fn_count(s, t, a[1], false) : VALUE_NONE;
	case FILTER_SUM:
		return fn_sum(s, a);
	case FILTER_LAST:
		return sort_of(a[0], &t) ? fn_last(s, t) : VALUE_NONE;
	case FILTER_FIRST_TIME:
		return sort_of(a[0], &t) ? fn_first_time(s, t) : VALUE_NONE;
	case FILTER_COUNTER:
		return counter_value(
			s, a[0].type == VALUE_TEXT ? rules_counter(s->w->rules, a[0].s) : NULL);
	case FILTER_BALANCE:
		return fn_balance(s, a[0], a[1]);
	case FILTER_IN_AUDIENCE:
		return fn_audience(s, a[0]);
	case FILTER_HAS:
		return fn_has(s, a[0]);
	case FILTER_SUBSCRIBED:
		return fn_subscribed(s, a[0], a[1]);
	case FILTER_RECEIVED:
		return fn_received(s, &a[0], a[1]);
	case FILTER_RECEIVED_ANY:
		return fn_received(s, NULL, a[0]);
	default:
		return VALUE_NONE;
	}
}

void source_init(struct offers_source *s, struct work *w, struct member *m, const struct event *e,
	const struct offer *o)
{
	*s = (struct offers_source){ .source = { source_get },
		.w = w,
		.m = m,
		.e = e,
		.o = o,
		.now = e ? e->occurred : w->now };
	s->world = (struct filter_world){ .source = &s->source, .call = call, .ctx = s };
}

void source_done(struct offers_source *s)
{
	event_drop(&s->fetched);
}

bool source_holds(struct offers_source *s, const struct filter *f)
{
	return !f || filter_eval(f, &s->world);
}
