/* The catalogue of events, names over it, and events in memory. Reading them is event_read.c. Pure
 * but for memory; any thread.
 */
#include "plugins/offers/event.h"
#include "plugins/offers/event_intern.h"

#include <stdio.h>

const struct event_kind event_kinds[EVENT_TYPES] = {
#define EVENT(NAME, text, bits, r, list, words) \
	[EVENT_##NAME] = { .word = text, .attrs = list, .doc = words, .flags = bits, .row = r },
#include "plugins/offers/events.def"
#undef EVENT
};

const struct event_attr_kind event_attr_kinds[EVENT_ATTRS] = {
#define ATTR(text, kind, element, words)                                                 \
	[ATTR_##text] = {                                                                \
		.word = #text, .type = VALUE_##kind, .of = VALUE_##element, .doc = words \
	},
#include "plugins/offers/event_attrs.def"
#undef ATTR
};

static const struct {
	const char *word, *kind;
	enum event_type type;
} aliases[] = {
	{ "phone.linked", "phone", EVENT_CONTACT_LINKED },
	{ "email.linked", "email", EVENT_CONTACT_LINKED },
	{ "phone.unlinked", "phone", EVENT_CONTACT_UNLINKED },
	{ "email.unlinked", "email", EVENT_CONTACT_UNLINKED },
};
enum { ALIASES = sizeof aliases / sizeof aliases[0] };

/* What platforms call the events that they send, in whatever form of letters and signs between the
 * words: "Purchase completion", "PURCHASE_COMPLETION", "purchaseCompletion". */
static const struct {
	const char *letters, *kind;
	enum event_type type;
} platform_names[] = {
#define NAME(words, kind, EVENT) { words, kind, EVENT_##EVENT },
#include "plugins/offers/event_names.def"
#undef NAME
};

static bool platform_name(struct str word, enum event_type *t_r, const char **kind_r)
{
	char letters[48];
	size_t n = 0;

	for (size_t i = 0; i < word.n; i++) {
		char c = word.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c < 'a' || c > 'z')
			continue;
		if (n == sizeof letters - 1)
			return false;
		letters[n++] = c;
	}
	letters[n] = '\0';
	for (size_t i = 0; i < sizeof platform_names / sizeof platform_names[0]; i++)
		if (strcmp(letters, platform_names[i].letters) == 0) {
			*t_r = platform_names[i].type;
			if (kind_r)
				*kind_r = platform_names[i].kind;
			return true;
		}
	return false;
}

static const char *const row_words[ROW_COUNT] = { "DiscountOperation", "PaymentOperation",
	"DepositOperation", "RefundOperation", "CommunicationOffer", "Advertisement", "System" };
static const char *const alias_words[ALIAS_KINDS] = { "id", "card", "device", "phone", "email",
	"guest" };

const char *row_word(enum row r)
{
	return row_words[r];
}

bool row_parse(struct str word, enum row *r)
{
	for (unsigned i = 0; i < ROW_COUNT; i++)
		if (str_ieq(word, str_of(row_words[i]))) {
			*r = (enum row)i;
			return true;
		}
	return false;
}

const char *alias_word(enum alias_kind k)
{
	return alias_words[k];
}

bool event_type_parse(struct str word, enum event_type *t_r, const char **kind_r)
{
	if (kind_r)
		*kind_r = "";
	for (unsigned i = 0; i < EVENT_TYPES; i++)
		if (str_is(word, event_kinds[i].word)) {
			*t_r = (enum event_type)i;
			return true;
		}
	for (unsigned i = 0; i < ALIASES; i++)
		if (str_is(word, aliases[i].word)) {
			*t_r = aliases[i].type;
			if (kind_r)
				*kind_r = aliases[i].kind;
			return true;
		}
	return platform_name(word, t_r, kind_r);
}

bool event_is_kind(const struct event *e, const char *kind)
{
	return !kind || !kind[0] ||
	       (e->attr[ATTR_kind].type == VALUE_TEXT && str_is(e->attr[ATTR_kind].s, kind));
}

static const char *near(struct str word, unsigned without)
{
	const char *best = NULL;
	unsigned least = 5; /* below this */

	for (unsigned i = 0; i < EVENT_TYPES + ALIASES; i++) {
		const char *w =
			i < EVENT_TYPES ? event_kinds[i].word : aliases[i - EVENT_TYPES].word;
		unsigned d = str_distance(word, str_of(w), least);

		if (d < least && !(i < EVENT_TYPES && event_kinds[i].flags & without)) {
			least = d;
			best = w;
		}
	}
	return best;
}

const char *event_type_near(struct str word)
{
	return near(word, 0);
}

void event_type_hint(struct str word, bool taken, char *out, size_t cap)
{
	unsigned without = taken ? EV_OWN : 0;
	const char *best = near(word, without);
	struct str rest = word, about;
	struct buf b = BUF_INIT;
	unsigned n = 0;

	if (best)
		buf_printf(&b, "; did you mean \"%s\"?", best);
	if (!str_cut(&rest, '.', &about))
		about = word;
	for (unsigned i = 0; !best && about.n && i < EVENT_TYPES; i++) {
		struct str w = str_of(event_kinds[i].word);

		if (w.n <= about.n || w.p[about.n] != '.' || event_kinds[i].flags & without ||
			!str_ieq(str_n(w.p, about.n), about))
			continue;
		buf_printf(&b, "%s%.*s", n++ ? ", " : "; there are ", STR_ARG(w));
	}
	str_copy(out, cap, buf_view(&b));
	buf_free(&b);
}

bool event_has_attr(enum event_type t, enum event_attr a)
{
	struct str rest = str_of(event_kinds[t].attrs), one, want;

	if ((int)a < EVENT_ENVELOPE)
		return true;
	want = str_of(event_attr_kinds[a].word);
	while (str_cut(&rest, ' ', &one))
		if (str_eq(one, want))
			return true;
	return false;
}

bool event_attr_parse(struct str word, enum event_attr *a_r)
{
	for (unsigned i = 0; i < EVENT_ATTRS; i++)
		if (str_is(word, event_attr_kinds[i].word)) {
			*a_r = (enum event_attr)i;
			return true;
		}
	return false;
}

/* ---- names ---- */
/* What is said of the receipt rather than of the event. */
static const struct {
	const char *word;
	enum event_attr attr;
} of_receipt[] = {
	{ "receipt.number", ATTR_receipt },
	{ "receipt.store", ATTR_store },
	{ "receipt.till", ATTR_till },
	{ "receipt.total", ATTR_total },
	{ "receipt.currency", ATTR_currency },
	{ "receipt.discount", ATTR_discount },
	{ "receipt.items", ATTR_items },
	{ "receipt.products", ATTR_products },
	{ "receipt.groups", ATTR_groups },
	{ "receipt.payments", ATTR_payments },
	{ "receipt.coupon", ATTR_coupon },
	{ "receipt.bonus_in", ATTR_bonus_in },
	{ "receipt.bonus_out", ATTR_bonus_out },
};
enum { OF_RECEIPT = sizeof of_receipt / sizeof of_receipt[0] };

static bool all_have(const enum event_type *t, size_t n, enum event_attr a)
{
	for (size_t i = 0; i < n; i++)
		if (!event_has_attr(t[i], a))
			return false;
	return event_attr_kinds[a].type != VALUE_MISSING;
}

const struct scope *event_scope(const enum event_type *t, size_t n, struct arena *a)
{
	struct name *v = arena_alloc(a, (EVENT_ATTRS + OF_RECEIPT) * sizeof *v);
	struct scope *s = arena_new_of(a, struct scope);

	for (unsigned i = 0; i < EVENT_ATTRS; i++)
		if (all_have(t, n, (enum event_attr)i))
			v[s->n++] = (struct name){
				.path = arena_printf(a, "event.%s", event_attr_kinds[i].word),
				.type = event_attr_kinds[i].type,
				.of = event_attr_kinds[i].of,
				.slot = SLOT_EVENT + i,
				.doc = event_attr_kinds[i].doc,
			};
	for (unsigned i = 0; i < OF_RECEIPT; i++)
		if (all_have(t, n, of_receipt[i].attr))
			v[s->n++] = (struct name){
				.path = of_receipt[i].word,
				.type = event_attr_kinds[of_receipt[i].attr].type,
				.of = event_attr_kinds[of_receipt[i].attr].of,
				.slot = SLOT_EVENT + (unsigned)of_receipt[i].attr,
				.doc = event_attr_kinds[of_receipt[i].attr].doc,
			};
	s->v = v;
	return s;
}

/* ---- events in memory ---- */
struct event *event_blank(void)
{
	struct arena *a = arena_new();
	struct event *e = arena_new_of(a, struct event);

	e->arena = a;
	return e;
}

struct event *event_make(enum event_type t, wall_t at, struct str source, struct str id)
{
	struct event *e = event_blank();

	e->type = t;
	e->occurred = e->received = at;
	e->source = arena_str(e->arena, source);
	e->id = arena_str(e->arena, id);
	return e;
}

void event_drop(struct event **ep)
{
	struct arena *a;

	if (!*ep)
		return;
	json_decref((*ep)->body);
	a = (*ep)->arena;
	*ep = NULL;
	arena_free(&a);
}

json_t *event_part(const struct event *e, enum event_attr a)
{
	return json_object_get(json_object_get(e->body, "data"), event_attr_kinds[a].word);
}

/* The envelope as attributes, for filters and templates. */
void event_envelope(struct event *e)
{
	e->attr[ATTR_id] = value_text(e->id);
	e->attr[ATTR_type] = value_text(str_of(event_kinds[e->type].word));
	e->attr[ATTR_source] = value_text(e->source);
	e->attr[ATTR_occurred_at] = value_datetime(e->occurred);
	e->attr[ATTR_received_at] = value_datetime(e->received);
}

/* ---- the stored form ---- */
static json_t *text_json(struct str s)
{
	return json_stringn_nocheck(s.p, s.n);
}

static json_t *time_json(wall_t t)
{
	struct buf b = BUF_INIT;
	json_t *v;

	clock_put_rfc3339(&b, t);
	v = text_json(buf_view(&b));
	buf_free(&b);
	return v;
}

static json_t *value_json(struct value v)
{
	struct buf b = BUF_INIT;
	json_t *j = NULL;

	switch (v.type) {
	case VALUE_BOOL:
		return json_boolean(v.b);
	case VALUE_INT:
		return json_integer(v.i);
	case VALUE_DECIMAL:
		decimal_put(&b, v.i);
		j = text_json(buf_view(&b));
		buf_free(&b);
		return j;
	case VALUE_TEXT:
		return text_json(v.s);
	case VALUE_DATETIME:
		return time_json(v.i);
	case VALUE_LIST:
		j = json_array();
		for (size_t i = 0; i < v.list.n; i++)
			json_array_append_new(j, value_json(v.list.v[i]));
		return j;
	default:
		CHECK(!"a type that no attribute has");
		return NULL;
	}
}

void event_write(struct event *e, json_t *const *raw, json_t *extras, wall_t occurred)
{
	json_t *all = json_object(), *data = extras ? json_incref(extras) : json_object(),
	       *who = json_object();
	char *text;

	json_object_set_new(all, "id", text_json(e->id));
	json_object_set_new(all, "source", text_json(e->source));
	json_object_set_new(all, "type", json_string(event_kinds[e->type].word));
	if (occurred)
		json_object_set_new(all, "occurred_at", time_json(occurred));
	for (unsigned i = 0; i < ALIAS_KINDS; i++)
		if (e->who[i].n)
			json_object_set_new(who, alias_words[i], text_json(e->who[i]));
	if (json_object_size(who))
		json_object_set(all, "member", who);
	json_decref(who);
	for (unsigned i = ATTR_store; i < EVENT_ATTRS; i++) {
		json_t *v = raw && raw[i]                      ? json_incref(raw[i])
			    : e->attr[i].type != VALUE_MISSING ? value_json(e->attr[i])
							       : NULL;

		if (v)
			json_object_set_new(
				(int)i < EVENT_ENVELOPE ? all : data, event_attr_kinds[i].word, v);
	}
	if (json_object_size(data))
		json_object_set(all, "data", data);
	json_decref(data);
	text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
	CHECK(text);
	e->digest = str_hash(str_of(text));
	if (e->offset) /* behind the digest: the same instant in another zone is the same */
		e->text = str_of(arena_printf(e->arena, "%.*s,\"utc_offset\":%d}",
			(int)strlen(text) - 1, text, (int)e->offset));
	else
		e->text = arena_str(e->arena, str_of(text));
	free(text);
	json_decref(e->body);
	e->body = all;
}

void event_seal(struct event *e)
{
	event_write(e, NULL, NULL, e->occurred);
	event_envelope(e);
}
