/* From what the files say to what is worked with: scopes, filters, channels, quotas, policy. Each
 * fault is said at its key. See rules.h.
 */
#include "plugins/offers/rules_private.h"

#include "gateway/base/map.h"
#include "gateway/mail/mail.h"
#include "gateway/model/address.h"
#include "plugins/offers/member.h"

#include <ctype.h>

/* ---- scopes ---- */

static const struct name world_names[] = {
	{ "now", VALUE_DATETIME, VALUE_MISSING, SLOT_WORLD + WORLD_NOW, "the moment of the event" },
	{ "today", VALUE_DATE, VALUE_MISSING, SLOT_WORLD + WORLD_TODAY,
		"the member's day at that moment" },
	{ "offer.name", VALUE_TEXT, VALUE_MISSING, SLOT_WORLD + WORLD_OFFER_NAME,
		"name of the offer or task" },
	{ "offer.title", VALUE_TEXT, VALUE_MISSING, SLOT_WORLD + WORLD_OFFER_TITLE, "its title" },
};

/* An attribute's type: a word, or "list of WORD". */
static bool attribute_type(struct str s, enum value_type *t_r, enum value_type *of_r)
{
	struct str of = s;

	*of_r = VALUE_MISSING;
	if (str_starts(s, STR("list of "))) {
		*t_r = VALUE_LIST;
		of = str_skip(s, 8);
		return value_type_parse(of, of_r) && *of_r != VALUE_LIST &&
		       *of_r != VALUE_MISSING && *of_r != VALUE_SPAN;
	}
	return value_type_parse(s, t_r) && *t_r != VALUE_LIST && *t_r != VALUE_MISSING &&
	       *t_r != VALUE_SPAN;
}

static bool good_attribute_name(const char *s)
{
	size_t n = 0;

	if (!islower((unsigned char)s[0]))
		return false;
	for (; s[n]; n++)
		if (!islower((unsigned char)s[n]) && !isdigit((unsigned char)s[n]) && s[n] != '_')
			return false;
	return n <= 48;
}

static void make_members(struct rules *r, struct conf_faults *f)
{
	const struct members_conf *m = &r->conf->members;
	const size_t built_in = 0
#define MEMBER(name, type, element, column, doc) +1
#include "plugins/offers/members.def"
#undef MEMBER
		;
	struct name *v = arena_alloc(r->arena, (built_in + m->attributes_n) * sizeof *v);
	struct scope *world = arena_new_of(r->arena, struct scope);
	struct scope *s = arena_new_of(r->arena, struct scope);
	size_t n = 0;

#define MEMBER(word, ty, element, column, about)                            \
	v[n] = (struct name){ "member." #word, VALUE_##ty, VALUE_##element, \
		SLOT_MEMBER + (unsigned)n, about };                         \
	n++;
#include "plugins/offers/members.def"
#undef MEMBER
	*world = (struct scope){ world_names, sizeof world_names / sizeof *world_names, NULL };
	*s = (struct scope){ v, n, world };
	r->attributes = v + n;
	if (m->attributes_n > SLOT_EVENT - SLOT_ATTR) {
		conf_fault_at(f, &m->at, "attributes", "there are more than %d of them",
			SLOT_EVENT - SLOT_ATTR);
		return;
	}
	for (size_t i = 0; i < m->attributes_n; i++) {
		const struct conf_pair *p = &m->attributes[i];
		struct name *at = &v[n];

		*at = (struct name){ .path = arena_printf(r->arena, "member.%s", p->key),
			.slot = (unsigned)(SLOT_ATTR + r->attributes_n) };
		if (!good_attribute_name(p->key)) {
			conf_fault(f, m->at.file, p->line,
				"attribute \"%s\": a name is lower-case letters, digits and _",
				p->key);
		} else if (scope_find(s, str_of(at->path))) {
			conf_fault(f, m->at.file, p->line, "attribute \"%s\": %s", p->key,
				"every member has one called so");
		} else if (!attribute_type(str_of(p->value), &at->type, &at->of)) {
			conf_fault(f, m->at.file, p->line,
				"attribute \"%s\": \"%s\" is not a type (bool, int, decimal, text, "
				"date, time, datetime, list of text …)",
				p->key, p->value);
		} else {
			n++;
			r->attributes_n++;
			s->n = n;
		}
	}
	r->member_scope = s;
}

const struct scope *rules_trigger(struct rules *r, const enum event_type *t, size_t n)
{
	const struct scope *s = event_scope(t, n, r->arena);
	struct scope *copy = arena_new_of(r->arena, struct scope);

	*copy = *s;
	copy->next = r->member_scope;
	return copy;
}

/* Every name that any trigger has. */
static const struct scope *everything(struct rules *r)
{
#define ATTR(word, ty, element, about) \
	{ "event." #word, VALUE_##ty, VALUE_##element, SLOT_EVENT + ATTR_##word, about },
	static const struct name names[] = {
#include "plugins/offers/event_attrs.def"
	};
#undef ATTR
	struct scope *s = arena_new_of(r->arena, struct scope);

	*s = (struct scope){ names, EVENT_ATTRS, r->member_scope };
	return s;
}

/* ---- filters ---- */

static const char *const contact_words[] = { "phone", "email", "viber", "social", "device" };

struct nearest {
	struct str word;
	const char *best;
	unsigned distance;
};

static bool candidate(struct nearest *n, const char *name)
{
	unsigned d = str_distance(n->word, str_of(name), 3);

	if (d < n->distance) {
		n->distance = d;
		n->best = name;
	}
	return d == 0;
}

const char *rules_suggest(struct arena *a, const char *word, const char *const *known, size_t n)
{
	enum { SHOWN = 8 };
	size_t length = strlen(word);
	struct nearest near = { str_of(word), NULL, length < 4 ? 2 : length < 8 ? 3 : 4 };
	struct buf b = BUF_INIT;
	const char *r;

	for (size_t i = 0; i < n; i++)
		candidate(&near, known[i]);
	if (near.best)
		buf_printf(&b, "; did you mean \"%s\"?", near.best);
	for (size_t i = 0; !near.best && i < n && i < SHOWN; i++)
		buf_printf(&b, "%s\"%s\"%s",
			i       ? ", "
			: n > 1 ? "; there are "
				: "; there is ",
			known[i], i + 1 == SHOWN && n > SHOWN ? ", \xe2\x80\xa6" : "");
	r = arena_cstr(a, buf_view(&b));
	buf_free(&b);
	return r;
}

/* The first event of that family: purchase.completed for "purchase". */
static const char *event_of_family(struct str word)
{
	for (unsigned i = 0; word.n && i < EVENT_TYPES; i++) {
		struct str w = str_of(event_kinds[i].word);

		if (w.n > word.n && w.p[word.n] == '.' && str_starts(w, word))
			return event_kinds[i].word;
	}
	return NULL;
}

/* Does the configuration know that word? */
static bool known(void *ctx, enum filter_word kind, struct str word, struct str *near_r)
{
	struct rules *r = ctx;
	struct nearest n = { word, NULL, 4 };
	const struct rules_conf *c = r->conf;
	enum event_type t;

	switch (kind) {
	case FILTER_WORD_EVENT:
		if (event_type_parse(word, &t, NULL))
			return true;
		n.best = event_type_near(word);
		if (!n.best)
			n.best = event_of_family(word);
		break;
	case FILTER_WORD_FIELD: {
#define ATTR(name, type, element, doc) { #name, VALUE_##type },
		static const struct {
			const char *name;
			enum value_type type;
		} attrs[] = {
#include "plugins/offers/event_attrs.def"
		};
#undef ATTR
		for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
			if (attrs[i].type == VALUE_DECIMAL || attrs[i].type == VALUE_INT)
				candidate(&n, attrs[i].name);
		break;
	}
	case FILTER_WORD_COUNTER:
		for (size_t i = 0; i < c->counters_n; i++)
			candidate(&n, c->counters[i].name);
		break;
	case FILTER_WORD_CURRENCY:
		for (size_t i = 0; i < c->texts.currencies_n; i++)
			candidate(&n, c->texts.currencies[i].code);
		/* Money has its three letters everywhere. */
		if (word.n == 3 && isupper((unsigned char)word.p[0]) &&
			isupper((unsigned char)word.p[1]) && isupper((unsigned char)word.p[2]))
			return true;
		break;
	case FILTER_WORD_AUDIENCE:
		for (size_t i = 0; i < c->audiences_n; i++)
			candidate(&n, c->audiences[i].name);
		break;
	case FILTER_WORD_CONTACT:
		for (size_t i = 0; i < sizeof contact_words / sizeof *contact_words; i++)
			candidate(&n, contact_words[i]);
		break;
	case FILTER_WORD_ROW:
		for (unsigned i = 0; i < ROW_COUNT; i++)
			candidate(&n, row_word((enum row)i));
		break;
	case FILTER_WORD_CHANNEL:
		for (unsigned i = 0; i < MEDIA_RECEIPT; i++)
			candidate(&n, media_word((enum media)i));
		break;
	case FILTER_WORD_OBJECT:
		for (size_t i = 0; i < c->offers_n; i++)
			candidate(&n, c->offers[i].name);
		for (size_t i = 0; i < c->more_offers_n; i++)
			candidate(&n, c->more_offers[i].name);
		for (size_t i = 0; i < c->tasks_n; i++)
			candidate(&n, c->tasks[i].name);
		for (size_t i = 0; i < c->mailings_n; i++)
			candidate(&n, c->mailings[i].name);
		break;
	case FILTER_WORDS:
		break;
	}
	if (n.best && n.distance > 0 && near_r)
		*near_r = str_of(n.best);
	return n.distance == 0;
}

/* As counter_value() has it: what is said of every n-th one is a number. */
static bool sums(void *ctx, struct str counter)
{
	const struct rules *r = ctx;

	for (size_t i = 0; i < r->conf->counters_n; i++) {
		const struct counter_conf *c = &r->conf->counters[i];

		if (str_is(counter, c->name))
			return strcmp(c->of, "actions") != 0 && c->sum[0] && !c->every &&
			       !c->every_amount[0];
	}
	return false;
}

const struct filter *rules_filter(struct rules *r, const struct scope *scope,
	const struct conf_where *at, const char *key, const char *text, struct conf_faults *f)
{
	struct filter_env env = {
		.scope = scope, .known = known, .sums = sums, .ctx = r, .zone = r->zone
	};
	struct filter_faults faults = { 0 };
	const struct filter *made;

	if (!text || !text[0])
		return NULL;
	made = filter_compile(r->arena, str_of(text), &env, &faults);
	for (unsigned i = 0; i < faults.n; i++) {
		const struct filter_fault *v = &faults.v[i];

		if (v->warning)
			conf_warn_at(f, at, key, "column %u: %s", v->column, v->text);
		else
			conf_fault_at(f, at, key, "column %u: %s", v->column, v->text);
	}
	return made;
}

static void make_audiences(struct rules *r, struct conf_faults *f)
{
	r->audiences_n = r->conf->audiences_n;
	r->audiences = arena_alloc(r->arena, (r->audiences_n + 1) * sizeof *r->audiences);
	for (size_t i = 0; i < r->audiences_n; i++) {
		const struct audience_conf *c = &r->conf->audiences[i];

		r->audiences[i].conf = c;
		r->audiences[i].is = rules_filter(r, r->member_scope, &c->at, "is", c->is, f);
	}
}

/* Audiences may name each other, but in no ring. */
static bool audience_reaches(const struct rules *r, const struct audience *from,
	const struct audience *to, unsigned depth)
{
	const struct value *args;
	enum filter_fn fn;

	if (!from->is || depth > r->audiences_n)
		return false;
	for (unsigned i = 0; filter_call_at(from->is, i, &fn, &args); i++) {
		const struct audience *next;

		if (fn != FILTER_IN_AUDIENCE)
			continue;
		next = rules_audience(r, args[0].s);
		if (next && (next == to || audience_reaches(r, next, to, depth + 1)))
			return true;
	}
	return false;
}

static void check_rings(const struct rules *r, struct conf_faults *f)
{
	for (size_t i = 0; i < r->audiences_n; i++)
		if (audience_reaches(r, &r->audiences[i], &r->audiences[i], 0))
			conf_fault_at(f, &r->audiences[i].conf->at, "is",
				"this audience is defined by itself");
}

/* ---- counters ---- */

static enum event_attr attribute_named(struct str path)
{
#define ATTR(name, type, element, doc) "event." #name,
	static const char *const names[] = {
#include "plugins/offers/event_attrs.def"
	};
#undef ATTR
	for (unsigned i = 0; i < EVENT_ATTRS; i++)
		if (str_is(path, names[i]))
			return (enum event_attr)i;
	return EVENT_ATTRS;
}

static void make_counter(struct rules *r, struct counter *c, struct conf_faults *f)
{
	const struct counter_conf *conf = c->conf;
	const struct scope *scope;
	enum event_type t;
	const char *kind;

	c->of = -1;
	c->kind = "";
	c->sum = EVENT_ATTRS;
	if (str_is(str_of(conf->of), "actions")) {
		if (conf->sum[0] || conf->only_if[0])
			conf_fault_at(f, &conf->at, conf->sum[0] ? "sum" : "only_if",
				"a counter of actions is raised by `count` alone");
		return;
	}
	if (!event_type_parse(str_of(conf->of), &t, &kind)) {
		char hint[200] = "";

		if (!conf->of[0]) /* that it is missing was said */
			return;
		event_type_hint(str_of(conf->of), false, hint, sizeof hint);
		conf_fault_at(f, &conf->at, "of", "\"%s\" is no event%s", conf->of, hint);
		return;
	}
	c->of = (int)t;
	c->kind = kind;
	scope = rules_trigger(r, &t, 1);
	c->only_if = rules_filter(r, scope, &conf->at, "only_if", conf->only_if, f);
	if (conf->sum[0]) {
		const struct name *n = scope_find(scope, str_of(conf->sum));

		c->sum = attribute_named(str_of(conf->sum));
		if (!n || c->sum == EVENT_ATTRS) {
			const struct name *near = scope_near(scope, str_of(conf->sum));

			conf_fault_at(f, &conf->at, "sum", "%s has no \"%s\"%s%s%s", conf->of,
				conf->sum, near ? "; did you mean \"" : "", near ? near->path : "",
				near ? "\"?" : "");
		} else if (n->type != VALUE_DECIMAL && n->type != VALUE_INT) {
			conf_fault_at(f, &conf->at, "sum", "%s is a %s, not a number", conf->sum,
				value_type_word(n->type));
		}
	}
	if (conf->every_amount[0]) {
		decimal_parse(str_of(conf->every_amount), &c->every_amount);
		if (!conf->sum[0])
			conf_fault_at(f, &conf->at, "every_amount", "`sum` says of what");
		else if (c->every_amount <= 0)
			conf_fault_at(f, &conf->at, "every_amount", "must be more than 0");
	}
}

static void make_counters(struct rules *r, struct conf_faults *f)
{
	r->counters_n = r->conf->counters_n;
	r->counters = arena_alloc(r->arena, (r->counters_n + 1) * sizeof *r->counters);
	for (size_t i = 0; i < r->counters_n; i++) {
		r->counters[i].conf = &r->conf->counters[i];
		make_counter(r, &r->counters[i], f);
	}
}

/* ---- small things that stand in texts ---- */

struct span rules_span(const char *text, struct span otherwise)
{
	struct span s;

	if (text && strcmp(text, "0") == 0)
		return (struct span){ 0 };
	return text && text[0] && !span_parse(str_of(text), &s) ? s : otherwise;
}

struct window *rules_windows(struct rules *r, const char *const *v, size_t n)
{
	struct window *w = arena_alloc(r->arena, (n + 1) * sizeof *w);

	for (size_t i = 0; i < n; i++) {
		window_parse(str_of(v[i]), &w[i]);
		w[i].holidays = &r->holidays;
	}
	return w;
}

/* "2 per 30 days", "1 per day", "50000". */
int quota_parse(struct str s, struct quota *q, const char **why_r)
{
	static const char words[] = "is not like \"2 per 30 days\", \"1 per day\" or \"500\"";
	struct str head;
	uint64_t n;

	*q = (struct quota){ 0 };
	*why_r = words;
	s = str_trim(s);
	str_cut(&s, ' ', &head);
	if (!str_u64(head, &n) || n == 0 || n > INT32_MAX)
		return -1;
	q->most = (int64_t)n;
	s = str_trim(s);
	if (s.n == 0)
		return 0;
	str_cut(&s, ' ', &head);
	s = str_trim(s);
	if (!str_is(head, "per") || s.n == 0)
		return -1;
	if (period_parse(s, &q->period))
		return 0;
	q->period = PERIOD_EVER;
	return span_parse(s, &q->span) || span_is_zero(q->span) ? -1 : 0;
}

bool rules_via(const struct rules *r, const char *const *words, size_t n, const char *after,
	const char *user, const struct conf_where *at, struct via *v, struct conf_faults *f)
{
	size_t before = f->errors;
	struct span s = rules_span(after, (struct span){ 0 });

	*v = (struct via){ 0 };
	if (n > VIA_MOST) {
		conf_fault_at(f, at, "via", "%s: there are more than %d channels", user, VIA_MOST);
		n = VIA_MOST;
	}
	for (size_t i = 0; i < n; i++) {
		enum media m;

		if (!media_parse(str_of(words[i]), &m))
			continue; /* said by its row */
		for (unsigned k = 0; k < v->n; k++)
			if (v->media[k] == m)
				conf_fault_at(
					f, at, "via", "%s: %s stands there twice", user, words[i]);
		if (!(r->media & MEDIA_BIT(m)))
			conf_fault_at(f, at, "via",
				"%s: no route takes %s; a channel and a route for media = \"%s\" "
				"come first",
				user, words[i], words[i]);
		v->media[v->n++] = (uint8_t)m;
	}
	if (s.months)
		conf_fault_at(f, at, "fall_back_after",
			"%s: months are too long to wait for a receipt", user);
	v->fall_back_after = s.exact + s.days * DUR_DAY;
	if (v->fall_back_after && v->n < 2)
		conf_fault_at(
			f, at, "fall_back_after", "%s: there is no second channel in `via`", user);
	return f->errors == before;
}

const struct template *rules_use_template(struct rules *r, const char *name, const struct via *via,
	const struct scope *trigger, unsigned also, const char *user, const struct conf_where *at,
	const char *key, struct conf_faults *f)
{
	const struct template *t = template_find(r->templates, str_of(name));
	unsigned media = 0;

	if (!t) {
		struct nearest n = { str_of(name), NULL, 4 };

		if (!name[0]) /* that it is missing was said */
			return NULL;
		for (size_t i = 0; i < r->conf->texts.templates_n; i++)
			if (candidate(&n, r->conf->texts.templates[i].name))
				return NULL; /* it is there, and faulty: said already */
		conf_fault_at(f, at, key, "there is no template \"%s\"%s%s%s", name,
			n.best ? "; did you mean \"" : "", n.best ? n.best : "",
			n.best ? "\"?" : "");
		return NULL;
	}
	if (via->n == 0)
		conf_fault_at(f, at, conf_given(at, "via") ? "via" : NULL,
			"`via` must say over which channels \"%s\" goes", name);
	for (unsigned i = 0; i < via->n; i++) {
		if (!(template_media(t) & MEDIA_BIT(via->media[i])))
			conf_fault_at(f, at, "via", "template \"%s\" has no text for %s", name,
				media_word((enum media)via->media[i]));
		media |= MEDIA_BIT(via->media[i]);
	}
	template_check_names(
		t, media, metavar_of_trigger(r->arena, trigger, also), user, at, key, f);
	return t;
}

/* ---- policy ---- */

static void make_class(struct rules *r, enum class c, const char *name, struct conf_faults *f)
{
	const struct class_conf *conf = policy_class(&r->conf->policy, c);
	struct class_rules *out = &r->classes[c];

	out->conf = conf;
	out->quiet = rules_windows(r, conf->quiet, conf->quiet_n);
	out->quiet_n = conf->quiet_n;
	out->per_channel = conf->per == 1;
	out->max = arena_alloc(r->arena, (conf->max_n + 1) * sizeof *out->max);
	out->max_n = conf->max_n;
	for (size_t i = 0; i < conf->max_n; i++) {
		const char *why;

		if (quota_parse(str_of(conf->max[i]), &out->max[i], &why) != 0)
			conf_fault_at(
				f, &r->conf->policy.at, name, "max: \"%s\" %s", conf->max[i], why);
	}
	for (size_t i = 0; i < conf->exempt_n; i++) {
		enum media m;

		if (media_parse(str_of(conf->exempt[i]), &m))
			out->exempt |= MEDIA_BIT(m);
	}
	if (out->quiet_n && window_out(out->quiet, out->quiet_n, zone_utc(), DUR_DAY) == 0)
		conf_fault_at(f, &r->conf->policy.at, name, "quiet: no hour is left to send in");
}

static int by_length(const void *pa, const void *pb)
{
	const struct quiet_country *a = pa, *b = pb;

	return a->prefix.n != b->prefix.n ? (a->prefix.n > b->prefix.n ? -1 : 1)
					  : str_cmp(a->prefix, b->prefix);
}

static void make_countries(struct rules *r, struct conf_faults *f)
{
	const struct policy_conf *p = &r->conf->policy;
	struct quiet_country *v = arena_alloc(r->arena, (p->countries_n + 1) * sizeof *v);

	for (size_t i = 0; i < p->countries_n; i++) {
		const struct quiet_country_conf *c = &p->countries[i];
		struct str digits = str_of(c->prefix);

		if (digits.n && digits.p[0] == '+')
			digits = str_skip(digits, 1);
		v[i] = (struct quiet_country){ digits, rules_windows(r, c->quiet, c->quiet_n),
			c->quiet_n };
		if (!digits.n || strspn(digits.p, "0123456789") != digits.n)
			conf_fault_at(f, &c->at, "prefix",
				"\"%s\" is not what international numbers begin with (\"49\")",
				c->prefix);
		if (c->quiet_n && window_out(v[i].quiet, v[i].quiet_n, zone_utc(), DUR_DAY) == 0)
			conf_fault_at(f, &c->at, "quiet", "no hour is left to send in");
	}
	qsort(v, p->countries_n, sizeof *v, by_length);
	for (size_t i = 1; i < p->countries_n; i++)
		if (str_eq(v[i].prefix, v[i - 1].prefix))
			conf_fault_at(f, &p->at, "countries", "prefix \"%.*s\" is there twice",
				STR_ARG(v[i].prefix));
	r->countries = v;
	r->countries_n = p->countries_n;
}

/* "club@shop.example", or "Club <club@shop.example>". */
static void check_mail_sender(
	const struct policy_conf *p, const struct conf_pair *pair, struct conf_faults *f)
{
	struct buf name = BUF_INIT;
	struct str address;
	struct err e;

	if (!mail_mailbox(str_of(pair->value), &name, &address))
		conf_fault(f, p->at.file, pair->line,
			"policy.from.email must be an address, or \"Name <address>\"");
	else if (address_email(address, &e) != 0)
		conf_fault(f, p->at.file, pair->line, "policy.from.email: %s", e.text);
	buf_free(&name);
}

static void make_policy(struct rules *r, struct conf_faults *f)
{
	const struct policy_conf *p = &r->conf->policy;
	struct err e = { 0 };
	struct span s;

	r->holidays.v = arena_alloc(r->arena, (p->holidays_n + 1) * sizeof *r->holidays.v);
	for (size_t i = 0; i < p->holidays_n; i++)
		if (!holiday_parse(str_of(p->holidays[i]), &r->holidays.v[r->holidays.n]))
			r->holidays.n++;
	r->zone = zone_find(str_of(p->default_clock), &e);
	if (!r->zone)
		r->zone = zone_utc(); /* said by its row */
	make_class(r, CLASS_MARKETING, "marketing", f);
	make_class(r, CLASS_SERVICE, "service", f);
	make_class(r, CLASS_LEGAL, "legal", f);
	make_countries(r, f);
	r->keep_events = rules_span(p->keep_events, (struct span){ .days = 400 });
	r->max_lateness = rules_span(p->max_lateness, (struct span){ .exact = DUR_DAY });
	r->settle = rules_span(p->settle, (struct span){ 0 });
	r->expires = rules_span(p->expires, (struct span){ .days = 3 });
	s = rules_span(p->spread, (struct span){ 0 });
	r->spread = s.exact;
	if (s.months || s.days || s.exact > 12 * DUR_HOUR)
		conf_fault_at(f, &p->at, "spread", "is at most 12 h");
	for (size_t i = 0; i < p->from_n; i++) {
		enum media m;

		if (!media_parse(str_of(p->from[i].key), &m))
			conf_fault(f, p->at.file, p->from[i].line,
				"\"%s\" in policy.from is not a channel (sms, email, push, viber, "
				"social)",
				p->from[i].key);
		else if (m == MEDIA_EMAIL)
			check_mail_sender(p, &p->from[i], f);
	}
	r->printer =
		printer_make(p->printer.width, p->printer.lines, p->printer.code_page, r->arena);
	if (!r->printer) {
		conf_fault_at(f, &p->at, "printer",
			"code_page: \"%s\" is not one of a till's printer", p->printer.code_page);
		r->printer = printer_usual();
	}
}

static void check_ledger(const struct rules *r, struct conf_faults *f)
{
	const struct ledger_conf *l = &r->conf->ledger;

	if (l->master == 1 && !l->webhook[0])
		conf_fault_at(f, &l->at, "master", "\"upstream\" needs a webhook");
	if (l->webhook[0] && !l->webhook_secret)
		conf_fault_at(
			f, &l->at, "webhook", "webhook_secret is missing: commands are signed");
}

static bool names_holidays(const struct window *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].days & (WINDOW_HOLIDAYS | WINDOW_NO_HOLIDAYS))
			return true;
	return false;
}

/* A window that means holidays where none are known would be closed on all days, or open on those
 * that were meant, unnoticed. */
static void check_holidays(const struct rules *r, struct conf_faults *f)
{
	static const char none[] = "names holiday, and policy.holidays has none";

	if (r->holidays.n)
		return;
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		if (names_holidays(r->classes[c].quiet, r->classes[c].quiet_n))
			conf_fault_at(f, &r->conf->policy.at, "quiet", none);
	for (size_t i = 0; i < r->countries_n; i++)
		if (names_holidays(r->countries[i].quiet, r->countries[i].quiet_n))
			conf_fault_at(f, &r->conf->policy.at, "countries", none);
	for (size_t i = 0; i < r->offers_n; i++)
		for (size_t k = 0; k < r->offers[i].steps_n; k++)
			if (names_holidays(
				    r->offers[i].steps[k].windows, r->offers[i].steps[k].windows_n))
				conf_fault_at(f, &r->offers[i].steps[k].conf->at, "at", none);
}

/* What sends has one name. */
static void check_objects(const struct rules *r, struct conf_faults *f)
{
	struct map seen = MAP_INIT;

	for (size_t i = 0; i < r->offers_n; i++)
		if (r->offers[i].conf->name[0] &&
			map_put(&seen, str_of(r->offers[i].conf->name), &r->offers[i]))
			conf_fault_at(
				f, &r->offers[i].conf->at, "name", "another offer has this name");
	for (size_t i = 0; i < r->tasks_n; i++)
		if (r->tasks[i].conf->name[0] &&
			map_put(&seen, str_of(r->tasks[i].conf->name), &r->tasks[i]))
			conf_fault_at(f, &r->tasks[i].conf->at, "name",
				"an offer or another task has this name");
	map_free(&seen);
}

void rules_make(struct rules *r, const char *dir, struct conf_faults *f)
{
	struct template_world world = { .dir = dir };

	make_policy(r, f);
	make_members(r, f);
	if (!r->member_scope)
		return;
	r->currencies = currencies_make(
		r->conf->texts.currencies, r->conf->texts.currencies_n, r->arena, f);
	world.scope = metavar_scope(r->arena, everything(r));
	world.currencies = r->currencies;
	world.printer = r->printer;
	r->templates = templates_compile(&r->conf->texts, &world, r->arena, f);
	r->template_numbers =
		arena_alloc(r->arena, (templates_count(r->templates) + 1) * sizeof(uint32_t));
	make_audiences(r, f);
	make_counters(r, f);
	rules_make_offers(r, &world, f);
	rules_make_tasks(r, f);
	rules_make_mailings(r, f);
	check_rings(r, f);
	check_ledger(r, f);
	check_objects(r, f);
	check_holidays(r, f);
}
