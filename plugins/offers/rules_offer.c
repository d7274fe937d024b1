/* Offers: what their events are, what their steps and actions send, and what must not be. */
#include "plugins/offers/chain.h"
#include "plugins/offers/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- events ---- */

static void said_unknown(
	const struct offer_conf *c, const char *key, const char *word, struct conf_faults *f)
{
	char hint[200];

	event_type_hint(str_of(word), false, hint, sizeof hint);
	conf_fault_at(f, &c->at, key, "\"%s\" is no event%s", word, hint);
}

/* The types into a mask and a list; kinds: "phone" of phone.linked, "" for any. */
static size_t read_events(const struct offer_conf *c, const char *key, const char *const *v,
	size_t n, uint64_t *mask, const char **kind, enum event_type *list, struct conf_faults *f)
{
	size_t list_n = 0;

	for (size_t i = 0; i < n; i++) {
		enum event_type t;
		const char *which;

		if (!event_type_parse(str_of(v[i]), &t, &which)) {
			said_unknown(c, key, v[i], f);
			continue;
		}
		if (*mask & UINT64_C(1) << t) {
			/* phone.linked and email.linked together: either. */
			if (strcmp(kind[t], which) == 0)
				conf_fault_at(f, &c->at, key, "%s stands there twice", v[i]);
			else
				kind[t] = "";
			continue;
		}
		*mask |= UINT64_C(1) << t;
		kind[t] = which;
		list[list_n++] = t;
	}
	return list_n;
}

/* ---- steps ---- */

static void check_step_status(struct rules *r, const struct step_conf *c, struct conf_faults *f)
{
	bool found = c->status_system[0] == '\0';

	if (!c->status[0]) {
		if (c->status_system[0])
			conf_fault_at(f, &c->at, "status_system", "`status` says which");
		return;
	}
	for (size_t i = 0; i < r->conf->members.statuses_n; i++)
		found = found || strcmp(r->conf->members.statuses[i], c->status_system) == 0;
	if (!found)
		conf_fault_at(f, &c->at, "status_system", "\"%s\" is not one of members.statuses%s",
			c->status_system,
			rules_suggest(r->arena, c->status_system, r->conf->members.statuses,
				r->conf->members.statuses_n));
	else if (r->conf->members.statuses_n == 0)
		conf_fault_at(f, &c->at, "status", "members.statuses names no status system");
}

static void make_step(struct rules *r, struct offer *o, size_t i, const struct scope *trigger,
	struct conf_faults *f)
{
	struct step *s = &o->steps[i];
	const struct step_conf *c = &o->conf->steps[i];
	char user[160];

	s->conf = c;
	s->after = rules_span(c->after, (struct span){ 0 });
	s->windows = rules_windows(r, c->windows, c->windows_n);
	s->windows_n = c->windows_n;
	snprintf(user, sizeof user, "offer %s, step %zu", o->conf->name, i + 1);
	rules_via(r, c->via, c->via_n, c->fall_back_after, user, &c->at, &s->via, f);
	/* What the step's filter sees is the member at that time and the event that armed. */
	s->only_if = rules_filter(r, trigger, &c->at, "only_if", c->only_if, f);
	if (c->send[0])
		s->template = rules_use_template(
			r, c->send, &s->via, trigger, 0, user, &c->at, "send", f);
	else if (!c->status[0])
		conf_fault_at(f, &c->at, NULL, "sends nothing and assigns no status");
	check_step_status(r, c, f);
	if (span_is_zero(s->after) && i > 0)
		conf_warn_at(f, &c->at, "after", "goes out together with the step before");
	o->total_after.months += s->after.months;
	o->total_after.days += s->after.days;
	o->total_after.exact += s->after.exact;
}

static void make_steps(
	struct rules *r, struct offer *o, const struct scope *trigger, struct conf_faults *f)
{
	const struct offer_conf *c = o->conf;

	o->steps_n = c->steps_n;
	o->steps = arena_alloc(r->arena, (c->steps_n + 1) * sizeof *o->steps);
	if (c->steps_n > CHAIN_STEPS_MOST)
		conf_fault_at(f, &c->at, "steps", "there are more than %d", CHAIN_STEPS_MOST);
	for (size_t i = 0; i < c->steps_n; i++)
		make_step(r, o, i, trigger, f);
	if (c->steps_n == 0 && c->unless_n)
		conf_fault_at(f, &c->at, "unless", "there are no steps that it could stop");
}

/* ---- actions ---- */

static void check_reply(struct rules *r, struct offer *o, const struct action *a,
	const enum event_type *t, size_t n, struct conf_faults *f)
{
	const struct action_conf *c = a->conf;

	for (size_t i = 0; i < n; i++) {
		if (t[i] == EVENT_FRIEND_PURCHASED) {
			r->prints |= UINT64_C(1) << t[i];
			if (c->addressee != 1)
				conf_fault_at(f, &c->at, "addressee",
					"the paper belongs to the friend: addressee = \"buyer\" "
					"says that the lines are meant for them");
			else
				conf_warn_at(f, &c->at, "addressee",
					"is read by the friend, not by the member of this offer");
		} else if (!(event_kinds[t[i]].flags & EV_TILL)) {
			conf_fault_at(f, &c->at, "do",
				"CFG-ACT-1: %s does not happen at a till, so that nothing can be "
				"printed or shown; only send and status are possible",
				event_kinds[t[i]].word);
		}
	}
	if (c->template[0] || c->via_n)
		conf_fault_at(f, &c->at, c->template[0] ? "template" : "via",
			"a receipt or cashier line has `text` alone");
	if (!c->text[0])
		conf_fault_at(f, &c->at, NULL, "`text` is missing in action %d of %s",
			(int)(a - o->actions) + 1, o->conf->name);
}

static const char *suggest_counter(struct rules *r, const char *word)
{
	const char *known[16];
	size_t n = 0;

	for (size_t i = 0; i < r->conf->counters_n && n < sizeof known / sizeof *known; i++)
		if (strcmp(r->conf->counters[i].of, "actions") == 0)
			known[n++] = r->conf->counters[i].name;
	return rules_suggest(r->arena, word, known, n);
}

static void make_action(struct rules *r, struct offer *o, size_t i, const enum event_type *t,
	size_t n, const struct scope *trigger, const struct template_world *world,
	struct conf_faults *f)
{
	struct action *a = &o->actions[i];
	const struct action_conf *c = &o->conf->actions[i];
	char user[160];

	a->conf = c;
	a->what = (enum do_what)c->do_what;
	a->only_if = rules_filter(r, trigger, &c->at, "only_if", c->only_if, f);
	snprintf(user, sizeof user, "offer %s, action %zu", o->conf->name, i + 1);
	rules_via(r, c->via, c->via_n, c->fall_back_after, user, &c->at, &a->via, f);
	if (c->count[0]) {
		a->count = rules_counter(r, str_of(c->count));
		if (!a->count)
			conf_fault_at(f, &c->at, "count", "there is no counter \"%s\"%s", c->count,
				suggest_counter(r, c->count));
		else if (a->count->of >= 0)
			conf_fault_at(f, &c->at, "count",
				"counter \"%s\" is not of \"actions\": what an event raises is not "
				"raised here",
				c->count);
	}
	switch (a->what) {
	case DO_RECEIPT:
	case DO_CASHIER:
		check_reply(r, o, a, t, n, f);
		if (c->text[0])
			a->text = text_compile(str_of(c->text),
				a->what == DO_RECEIPT ? MEDIA_RECEIPT : MEDIA_CASHIER,
				r->conf->policy.language, world, &c->at, "text", r->arena, f);
		if (a->text)
			text_check_names(a->text, metavar_of_trigger(r->arena, trigger, 0), user,
				&c->at, "text", f);
		if (c->width || c->lines)
			a->printer = printer_make(c->width ? (unsigned)c->width : r->printer->width,
				c->lines ? (unsigned)c->lines : r->printer->lines,
				r->conf->policy.printer.code_page, r->arena);
		break;
	case DO_SEND:
		if (c->text[0])
			conf_fault_at(f, &c->at, "text", "what is sent stands in a template");
		if (!c->template[0])
			conf_fault_at(f, &c->at, NULL, "`template` is missing");
		else
			a->template = rules_use_template(
				r, c->template, &a->via, trigger, 0, user, &c->at, "template", f);
		break;
	case DO_STATUS:
		if (!c->value[0])
			conf_fault_at(f, &c->at, NULL, "`value` is missing: which status?");
		if (r->conf->members.statuses_n == 0)
			conf_fault_at(f, &c->at, "do", "members.statuses names no status system");
		else if (c->system[0]) {
			bool found = false;

			for (size_t k = 0; k < r->conf->members.statuses_n; k++)
				found = found ||
					strcmp(r->conf->members.statuses[k], c->system) == 0;
			if (!found)
				conf_fault_at(f, &c->at, "system",
					"\"%s\" is not one of members.statuses%s", c->system,
					rules_suggest(r->arena, c->system,
						r->conf->members.statuses,
						r->conf->members.statuses_n));
		}
		break;
	}
}

/* ---- when it runs ---- */

/* "2026-03-01" or "2026-03-01 10:00"; the end of a bare last day is its midnight. */
static bool read_moment(const char *s, bool last, struct local *l)
{
	struct str rest = str_of(s), day;

	str_cut(&rest, ' ', &day);
	if (!date_parse(day, &l->day))
		return false;
	l->ns = 0;
	rest = str_trim(rest);
	if (rest.n == 0) {
		l->day += last;
		return true;
	}
	return time_of_day_parse(rest, &l->ns);
}

static void make_active(struct rules *r, struct offer *o, struct conf_faults *f)
{
	const struct active_conf *c = &o->conf->active;

	o->by_member = c->clock == CLOCK_MEMBER;
	if (c->from[0]) {
		if (read_moment(c->from, false, &o->from_local))
			o->from = zone_wall(r->zone, o->from_local);
		else
			conf_fault_at(f, &o->conf->at, "active",
				"from: \"%s\" is not a day or a day and time", c->from);
	}
	if (c->to[0]) {
		if (read_moment(c->to, true, &o->to_local))
			o->to = zone_wall(r->zone, o->to_local);
		else
			conf_fault_at(f, &o->conf->at, "active",
				"to: \"%s\" is not a day or a day and time", c->to);
	}
	if (o->from && o->to && o->to <= o->from)
		conf_fault_at(f, &o->conf->at, "active", "ends before it begins");
}

static void read_quota(const struct offer_conf *c, const char *name, const char *text,
	struct quota *q, struct conf_faults *f)
{
	const char *why;

	*q = (struct quota){ 0 };
	if (text[0] && quota_parse(str_of(text), q, &why) != 0)
		conf_fault_at(f, &c->at, "limits", "%s: \"%s\" %s", name, text, why);
}

static void make_key(
	struct rules *r, struct offer *o, const struct scope *trigger, struct conf_faults *f)
{
	const struct offer_conf *c = o->conf;
	const struct name *n;

	(void)r;
	o->key_attr = -1;
	if (!c->key[0]) {
		if (c->again == AGAIN_PARALLEL)
			conf_fault_at(f, &c->at, "again",
				"\"parallel\" needs `key`: what tells the chains apart");
		return;
	}
	n = scope_find(trigger, str_of(c->key));
	if (!n || n->slot < SLOT_EVENT || n->slot >= SLOT_WORLD || n->type == VALUE_LIST)
		conf_fault_at(f, &c->at, "key",
			"\"%s\" is not a plain attribute of all events in `when`: a list, or "
			"what only some of them have, cannot tell chains apart",
			c->key);
	else
		o->key_attr = (int)(n->slot - SLOT_EVENT);
}

/* ---- one offer ---- */

static bool all_at_till(const enum event_type *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(event_kinds[t[i]].flags & EV_TILL))
			return false;
	return true;
}

/* The events whose history a filter asks for, through audiences as well. */
static uint64_t looks_back(const struct rules *r, const struct filter *f, unsigned depth)
{
	const struct value *args;
	enum filter_fn fn;
	uint64_t set = 0;

	for (unsigned i = 0; f && depth <= r->audiences_n && filter_call_at(f, i, &fn, &args);
		i++) {
		const struct audience *a;
		enum event_type t;
		const char *kind;

		switch (fn) {
		case FILTER_COUNT:
		case FILTER_LAST:
		case FILTER_FIRST_TIME:
		case FILTER_SUM:
			if (event_type_parse(args[fn == FILTER_SUM].s, &t, &kind))
				set |= UINT64_C(1) << t;
			break;
		case FILTER_IN_AUDIENCE:
			a = rules_audience(r, args[0].s);
			set |= a ? looks_back(r, a->is, depth + 1) : 0;
			break;
		default:
			break;
		}
	}
	return set;
}

void rules_make_offer(struct rules *r, struct offer *o, const struct offer_conf *c,
	const struct template_world *world, struct conf_faults *f)
{
	enum event_type when[EVENT_TYPES], unless[EVENT_TYPES];
	const struct scope *trigger, *other;
	size_t when_n, unless_n;

	o->conf = c;
	o->kind = (enum class)c->kind;
	when_n = read_events(c, "when", c->when, c->when_n, &o->arms, o->arm_kind, when, f);
	unless_n = read_events(
		c, "unless", c->unless, c->unless_n, &o->disarms, o->disarm_kind, unless, f);
	if (c->when_n == 0)
		conf_fault_at(f, &c->at, NULL, "`when` is missing: which event is it about?");
	o->row = when_n ? event_kinds[when[0]].row : ROW_OFFER;
	if (c->consent[0])
		row_parse(str_of(c->consent), &o->row);
	trigger = when_n ? rules_trigger(r, when, when_n) : r->member_scope;
	other = unless_n ? rules_trigger(r, unless, unless_n) : r->member_scope;
	o->only_if = rules_filter(r, trigger, &c->at, "only_if", c->only_if, f);
	if (c->unless_if[0] && c->unless_n == 0)
		conf_fault_at(f, &c->at, "unless_if", "there is no `unless`");
	o->unless_if = rules_filter(r, other, &c->at, "unless_if", c->unless_if, f);
	o->looks_back = looks_back(r, o->only_if, 0) | looks_back(r, o->unless_if, 0);
	make_key(r, o, trigger, f);
	make_active(r, o, f);
	make_steps(r, o, trigger, f);
	o->actions_n = c->actions_n;
	o->actions = arena_alloc(r->arena, (c->actions_n + 1) * sizeof *o->actions);
	for (size_t i = 0; i < c->actions_n; i++)
		make_action(r, o, i, when, when_n, trigger, world, f);
	if (c->steps_n == 0 && c->actions_n == 0)
		conf_fault_at(f, &c->at, NULL, "does nothing: it has neither steps nor actions");
	if (c->same_receipt_only && !all_at_till(when, when_n))
		conf_fault_at(f, &c->at, "same_receipt_only",
			"not all of its events have a receipt: leave this out, or let `when` name "
			"events "
			"of a till alone");
	read_quota(c, "per_member", c->limits.per_member, &o->per_member, f);
	read_quota(c, "per_account", c->limits.per_account, &o->per_account, f);
	read_quota(c, "per_store", c->limits.per_store, &o->per_store, f);
	read_quota(c, "total", c->limits.total, &o->total, f);
	o->settle = rules_span(c->settle, r->settle);
	o->max_lateness = rules_span(c->max_lateness, r->max_lateness);
	o->expires = rules_span(c->expires, r->expires);
	o->version = offer_version(c);
}

/* ---- by event ---- */

static bool sends_soft(const struct offer *o)
{
	if (o->conf->on_soft != SOFT_CONFIRM)
		return false;
	for (unsigned t = 0; t < EVENT_TYPES; t++)
		if (o->arms & UINT64_C(1) << t && event_kinds[t].flags & EV_SOFT)
			return true;
	return false;
}

static bool concerns(const struct offer *o, enum event_type t)
{
	if ((o->arms | o->disarms) & UINT64_C(1) << t)
		return true;
	if (t == EVENT_PURCHASE_COMPLETED || t == EVENT_PURCHASE_CANCELLED)
		return sends_soft(o) ||
		       (t == EVENT_PURCHASE_CANCELLED && o->steps_n > 0 &&
			       (o->arms | o->disarms) & UINT64_C(1) << EVENT_PURCHASE_COMPLETED);
	return t == EVENT_PURCHASE_REFUNDED && o->conf->rearm_on_refund;
}

static int by_priority(const void *pa, const void *pb)
{
	const struct offer *a = *(const struct offer *const *)pa;
	const struct offer *b = *(const struct offer *const *)pb;

	if (a->conf->priority != b->conf->priority)
		return a->conf->priority < b->conf->priority ? -1 : 1;
	return strcmp(a->conf->name, b->conf->name);
}

static void sort_by_event(struct rules *r)
{
	for (unsigned t = 0; t < EVENT_TYPES; t++) {
		struct offer **v = arena_alloc(r->arena, (r->offers_n + 1) * sizeof *v);
		size_t n = 0;

		for (size_t i = 0; i < r->offers_n; i++)
			if (concerns(&r->offers[i], (enum event_type)t))
				v[n++] = &r->offers[i];
		qsort(v, n, sizeof *v, by_priority);
		r->by_event[t] = v;
		r->by_event_n[t] = n;
	}
}

void rules_make_offers(struct rules *r, const struct template_world *world, struct conf_faults *f)
{
	const struct rules_conf *c = r->conf;

	_Static_assert(EVENT_TYPES <= 64, "sets of events are masks of 64 bits");
	r->offers_n = c->offers_n + c->more_offers_n;
	r->offers = arena_alloc(r->arena, (r->offers_n + 1) * sizeof *r->offers);
	for (size_t i = 0; i < r->offers_n; i++)
		rules_make_offer(r, &r->offers[i],
			i < c->offers_n ? &c->offers[i] : &c->more_offers[i - c->offers_n], world,
			f);
	sort_by_event(r);
}
