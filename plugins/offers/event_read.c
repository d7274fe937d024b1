/* Events from JSON. The envelope is read strictly: a field that it does not have is a fault. What
 * `data` and `receipt` hold is typed by the catalogue; what the catalogue does not know there is
 * kept and counts for the digest, because platforms grow and no fact may be lost for it.
 */
#include "plugins/offers/event_intern.h"

#include <math.h>

enum {
	ID_MOST = 128,    /* ids, stores, cards, receipts */
	TEXT_MOST = 1024, /* other texts */
	LIST_MOST = 1000
};

struct reading {
	struct event *e;
	struct json_faults *f;
	const struct address_country *country;
	bool trusted; /* our own text: already in its form */
	json_t *raw[EVENT_ATTRS];
	json_t *extras;       /* owned */
	json_t *member;       /* owned: fields of the member */
	json_t *held;         /* owned: what raw[] may point into */
	struct str kind_said; /* by an alias of the type */
};

static void fault_at(struct reading *r, const char *at, const char *name, const char *words)
{
	char where[128];

	json_pointer(where, sizeof where, at, name);
	json_fault(r->f, where, "%s", words);
}

/* Texts, and whole numbers where platforms keep ids as such. */
static bool text_of(struct reading *r, json_t *v, size_t most, struct str *s_r, const char **why_r)
{
	struct str s = STR_NONE;

	if (json_is_string(v))
		s = str_trim(json_str(v));
	else if (json_is_integer(v))
		s = str_of(arena_printf(r->e->arena, "%lld", (long long)json_integer_value(v)));
	else
		*why_r = "must be a string";
	if (s.n > most)
		*why_r = arena_printf(r->e->arena, "is longer than %zu bytes", most);
	*s_r = arena_str(r->e->arena, s);
	return s.n <= most && (json_is_string(v) || json_is_integer(v));
}

static bool decimal_of(json_t *v, int64_t *i_r, const char **why_r)
{
	double d, whole;

	*why_r = "must be a number of at most four decimals";
	if (json_is_string(v))
		return decimal_parse(json_str(v), i_r);
	if (json_is_integer(v)) {
		json_int_t i = json_integer_value(v);

		*why_r = "is too large";
		return !__builtin_mul_overflow(i, (json_int_t)DECIMAL_ONE, i_r);
	}
	if (!json_is_real(v))
		return false;
	d = json_real_value(v) * DECIMAL_ONE;
	whole = round(d);
	if (!(fabs(d) < 1e17)) {
		*why_r = "is too large";
		return false;
	}
	*i_r = (int64_t)whole;
	return fabs(d - whole) <= 1e-3 + fabs(d) * 1e-15;
}

static json_t *first_of(json_t *o, const char *const *names)
{
	json_t *v = NULL;

	for (; *names && !v; names++)
		v = json_object_get(o, *names);
	return v;
}

/* ["a", "b"] or [{"code": "a", …}, …]: the texts; elements that have none are passed over. */
static bool list_of(struct reading *r, json_t *v, const char *const *names, struct value *out,
	const char **why_r)
{
	size_t n = json_array_size(v), k = 0;
	struct value *list;

	if (!json_is_array(v) || n > LIST_MOST) {
		*why_r = json_is_array(v) ? "has more than 1000 elements" : "must be an array";
		return false;
	}
	list = arena_alloc(r->e->arena, (n + 1) * sizeof *list);
	for (size_t i = 0; i < n; i++) {
		json_t *it = json_array_get(v, i);
		struct str s;

		if (json_is_object(it) && !(it = first_of(it, names)))
			continue;
		if (!text_of(r, it, ID_MOST, &s, why_r))
			return false;
		list[k++] = value_text(s);
	}
	*out = (struct value){ .type = VALUE_LIST, .of = VALUE_TEXT };
	out->list.v = list;
	out->list.n = k;
	return true;
}

static const char *const product_names[] = { "product", "code", "sku", "id", NULL };
static const char *const group_names[] = { "group", NULL };
static const char *const payment_names[] = { "method", "kind", "type", NULL };

/* A number, or the items themselves, of which products and groups are then read. */
static bool items_of(struct reading *r, json_t *v, const char **why_r)
{
	struct value *attr = r->e->attr;

	if (json_is_integer(v)) {
		attr[ATTR_items] = value_int(json_integer_value(v));
		return true;
	}
	*why_r = "must be an array, or their number";
	if (!json_is_array(v))
		return false;
	attr[ATTR_items] = value_int((int64_t)json_array_size(v));
	r->raw[ATTR_items] = v;
	return (r->raw[ATTR_products] ||
		       list_of(r, v, product_names, &attr[ATTR_products], why_r)) &&
	       (r->raw[ATTR_groups] || json_is_string(json_array_get(v, 0)) ||
		       list_of(r, v, group_names, &attr[ATTR_groups], why_r));
}

/* Lots and balances: arrays of objects whose amounts can be read; what else they hold, whoever
 * needs it reads. */
static bool rows_of(struct reading *r, json_t *v, bool lots, const char **why_r)
{
	size_t i;
	json_t *o;
	int64_t n;
	wall_t t;

	*why_r = lots ? "must be an array of objects with id and amount"
		      : "must be an array of objects with currency and amount";
	if (!json_is_array(v) || json_array_size(v) > LIST_MOST)
		return false;
	json_array_foreach(v, i, o)
	{
		static const char *const times[] = { "activates_at", "expires_at" };
		const char *ignored;
		struct str s;
		json_t *id = json_object_get(o, lots ? "id" : "currency");

		if (!id || !text_of(r, id, ID_MOST, &s, &ignored) || s.n == 0 ||
			!decimal_of(json_object_get(o, "amount"), &n, &ignored))
			return false;
		for (unsigned k = 0; lots && k < 2; k++) {
			json_t *at = json_object_get(o, times[k]);

			if (at && !json_is_null(at) && !clock_parse_rfc3339(json_str(at), &t)) {
				*why_r = "has an element whose activates_at or expires_at is no "
					 "time (RFC 3339)";
				return false;
			}
		}
	}
	return true;
}

/* {"question": answer} or [{"question": …, "answer": …}]: made the former. */
static bool answers_of(struct reading *r, json_t *v, const char **why_r)
{
	static const char *const questions[] = { "question", "name", "id", NULL };
	static const char *const replies[] = { "answer", "value", NULL };
	json_t *made, *o;
	size_t i;

	*why_r = "must be an object, or an array of objects with question and answer";
	if (json_is_object(v))
		return true;
	if (!json_is_array(v))
		return false;
	made = json_object();
	json_array_foreach(v, i, o)
	{
		json_t *q = first_of(o, questions), *a = first_of(o, replies);

		if (!json_is_string(q) || !a) {
			json_decref(made);
			return false;
		}
		json_object_set(made, json_string_value(q), a);
	}
	json_array_append_new(r->held, made);
	r->raw[ATTR_answers] = made;
	return true;
}

static bool composite_of(struct reading *r, json_t *v, enum event_attr a, const char **why_r)
{
	r->raw[a] = v;
	switch (a) {
	case ATTR_lots:
		return rows_of(r, v, true, why_r);
	case ATTR_balances:
		return rows_of(r, v, false, why_r);
	case ATTR_answers:
		return answers_of(r, v, why_r);
	default: /* fields of the member: whoever keeps members reads them */
		r->raw[a] = NULL;
		*why_r = "must be an object";
		return json_is_object(v) && json_object_update(r->member, v) == 0;
	}
}

static bool attr_of(struct reading *r, json_t *v, enum event_attr a, const char **why_r)
{
	struct value *out = &r->e->attr[a];
	int64_t i;
	struct str s;
	wall_t t;

	switch (event_attr_kinds[a].type) {
	case VALUE_TEXT:
		if (!text_of(r, v, a == ATTR_text || a == ATTR_proof ? TEXT_MOST : ID_MOST * 4, &s,
			    why_r))
			return false;
		if (s.n)
			*out = value_text(s);
		return true;
	case VALUE_DECIMAL:
		if (!decimal_of(v, &i, why_r))
			return false;
		*out = value_decimal(i);
		return true;
	case VALUE_BOOL:
		*why_r = "must be true or false";
		*out = value_bool(json_is_true(v));
		return json_is_boolean(v);
	case VALUE_DATETIME:
		*why_r = "must be a time as in \"2026-11-22T10:15:00Z\" (RFC 3339)";
		if (!clock_parse_rfc3339(json_str(v), &t))
			return false;
		*out = value_datetime(t - ((t % DUR_MS) + DUR_MS) % DUR_MS);
		return true;
	case VALUE_INT:
		return items_of(r, v, why_r);
	case VALUE_LIST:
		r->raw[a] = v;
		return list_of(r, v,
			a == ATTR_payments ? payment_names
			: a == ATTR_groups ? group_names
					   : product_names,
			out, why_r);
	default:
		return composite_of(r, v, a, why_r);
	}
}

/* Platforms may say more than is known here; what is nearly known is a slip of somebody. */
static void note_odd(struct reading *r, const char *at, const char *name)
{
	struct str rest = str_of(event_kinds[r->e->type].attrs), one, best = STR_NONE;
	size_t n = strlen(name);
	unsigned least = n > 5 ? 3 : 2; /* below this */
	struct event *e = r->e;

	if (r->trusted || e->odd_n == EVENT_ODD || n < 3 || n > 60)
		return;
	while (str_cut(&rest, ' ', &one)) {
		unsigned d = str_distance(str_of(name), one, least);

		if (d < least && !str_is(one, name)) {
			least = d;
			best = one;
		}
	}
	if (best.n)
		e->odd[e->odd_n++] = arena_printf(
			e->arena, "%s.%s: is \"%.*s\" meant?", at + 1, name, STR_ARG(best));
}

/* `data`, and the receipt where it is an object. */
static void read_fields(struct reading *r, json_t *o, const char *at)
{
	const char *name, *why = "";
	enum event_attr a;
	json_t *v;

	/* what stands for itself comes before what is drawn from items */
	for (enum event_attr k = ATTR_products; k <= ATTR_groups; k++)
		if (event_has_attr(r->e->type, k) &&
			json_is_array(json_object_get(o, event_attr_kinds[k].word)))
			r->raw[k] = json_object_get(o, event_attr_kinds[k].word);
	json_object_foreach(o, name, v)
	{
		if (json_is_null(v))
			continue;
		if (!event_attr_parse(str_of(name), &a) || a < ATTR_store ||
			(a != ATTR_member && !event_has_attr(r->e->type, a))) {
			json_object_set(r->extras, name, v);
			note_odd(r, at, name);
		} else if (!attr_of(r, v, a, &why)) {
			fault_at(r, at, name, why);
		}
	}
}

static void read_receipt(struct reading *r, json_t *v)
{
	static const char *const names[] = { "id", "number", "receipt", NULL };
	const char *why = "", *name;
	json_t *id, *rest, *it;

	if (!v || json_is_null(v))
		return;
	if (!json_is_object(v)) {
		if (!attr_of(r, v, ATTR_receipt, &why))
			json_fault(r->f, "/receipt", "%s or an object", why);
		return;
	}
	id = first_of(v, names);
	if (!id || !attr_of(r, id, ATTR_receipt, &why))
		json_fault(r->f, "/receipt/id", "%s", id ? why : "is missing");
	rest = json_object();
	json_object_foreach(v, name, it)
	{
		if (strcmp(name, "id") != 0 && strcmp(name, "number") != 0)
			json_object_set(rest, name, it);
	}
	json_array_append_new(r->held, rest);
	read_fields(r, rest, "/receipt");
}

/* ---- who ---- */
static bool name_of(
	struct reading *r, enum alias_kind k, struct str s, struct str *out, struct err *e)
{
	struct address a;
	ptrdiff_t at;
	char *copy;

	*out = arena_str(r->e->arena, s);
	if (r->trusted)
		return true;
	if (k == ALIAS_PHONE) {
		if (address_destination(&a, s, TON_UNKNOWN, 0, r->country, e) < 0)
			return false;
		*out = arena_str(r->e->arena, address_str(&a));
	} else if (k == ALIAS_EMAIL) {
		if (address_email(s, e) < 0)
			return false;
		copy = arena_cstr(r->e->arena, s);
		at = (ptrdiff_t)(strrchr(copy, '@') - copy);
		for (char *p = copy + at; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		*out = str_n(copy, s.n);
	}
	return true;
}

static void read_who(struct reading *r, json_t *v)
{
	const char *name, *why = "";
	struct err err = { 0 };
	struct str s;
	json_t *it;

	if (!v || json_is_null(v))
		return;
	if (!json_is_object(v)) { /* "member": "m1" is its id */
		if (!text_of(r, v, ID_MOST, &r->e->who[ALIAS_MEMBER], &why))
			json_fault(r->f, "/member", "%s or an object", why);
		return;
	}
	json_object_foreach(v, name, it)
	{
		unsigned k = 0;

		while (k < ALIAS_KINDS && strcmp(name, alias_word((enum alias_kind)k)) != 0)
			k++;
		if (json_is_null(it))
			continue;
		if (k == ALIAS_KINDS)
			json_object_set(r->member, name, it);
		else if (!text_of(r, it, k == ALIAS_EMAIL ? ID_MOST * 2 : ID_MOST, &s, &why))
			fault_at(r, "/member", name, why);
		else if (s.n && !name_of(r, (enum alias_kind)k, s, &r->e->who[k], &err))
			fault_at(r, "/member", name, err.text);
	}
}

/* contact.linked and its kin: the kind may be in the type's name, the address in the member. */
static void read_contact(struct reading *r)
{
	struct value *kind = &r->e->attr[ATTR_kind], *value = &r->e->attr[ATTR_value];
	enum alias_kind k;
	struct err err = { 0 };
	struct str s;

	if (r->e->type != EVENT_CONTACT_LINKED && r->e->type != EVENT_CONTACT_UNLINKED &&
		r->e->type != EVENT_CONTACT_INVALID)
		return;
	if (r->kind_said.n) {
		if (kind->type == VALUE_TEXT && !str_eq(kind->s, r->kind_said))
			json_fault(r->f, "/data/kind", "is not what the type says");
		*kind = value_text(r->kind_said);
	}
	for (unsigned i = 0; kind->type == VALUE_MISSING && i < 2; i++) {
		json_t *v = json_object_get(r->extras, i ? "email" : "phone");

		if (json_is_string(v)) {
			*kind = value_text(i ? STR("email") : STR("phone"));
			*value = value_text(arena_str(r->e->arena, json_str(v)));
		}
	}
	if (kind->type == VALUE_MISSING) {
		json_fault(r->f, "/data/kind", "is missing");
		return;
	}
	if (!str_is(kind->s, "phone") && !str_is(kind->s, "email"))
		return;
	k = str_is(kind->s, "phone") ? ALIAS_PHONE : ALIAS_EMAIL;
	if (value->type == VALUE_MISSING && r->e->who[k].n)
		*value = value_text(r->e->who[k]);
	else if (value->type == VALUE_TEXT && name_of(r, k, value->s, &s, &err))
		*value = value_text(s);
	else if (value->type == VALUE_TEXT)
		json_fault(r->f, "/data/value", "%s", err.text);
}

/* What an event cannot be without. */
static void check_needed(struct reading *r)
{
	static const struct {
		enum event_type type;
		enum event_attr attr;
	} needed[] = {
		{ EVENT_DISCOUNT_CALCULATED, ATTR_discount },
		{ EVENT_BONUS_CALCULATED, ATTR_amount },
		{ EVENT_BONUS_DEDUCTED, ATTR_amount },
		{ EVENT_PURCHASE_REFUNDED, ATTR_refunds },
		{ EVENT_PURCHASE_CANCELLED, ATTR_receipt },
		{ EVENT_STATUS_CALCULATED, ATTR_value },
		{ EVENT_STATUS_CHANGED, ATTR_to },
		{ EVENT_MEMBER_MERGED, ATTR_into },
		{ EVENT_BONUS_LOT, ATTR_lot },
		{ EVENT_CONSENT_CHANGED, ATTR_granted },
	};

	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (needed[i].type == r->e->type &&
			r->e->attr[needed[i].attr].type == VALUE_MISSING)
			fault_at(r, (int)needed[i].attr < EVENT_ENVELOPE ? "" : "/data",
				event_attr_kinds[needed[i].attr].word, "is missing");
}

static enum event_verdict read_type(struct reading *r, json_t *v)
{
	struct str word = json_str(v);
	const char *kind;
	char hint[120];

	if (!json_is_string(v)) {
		json_fault(r->f, "/type", v ? "must be a string" : "is missing");
		return EVENT_FAULTY;
	}
	if (event_type_parse(word, &r->e->type, &kind) &&
		(r->trusted || !(event_kinds[r->e->type].flags & EV_OWN))) {
		r->kind_said = str_of(kind);
		return EVENT_OK;
	}
	if (event_type_parse(word, &r->e->type, &kind)) {
		json_fault(r->f, "/type",
			"\"%.*s\" is made here of what becomes of messages, and not taken",
			(int)(word.n < 80 ? word.n : 80), word.p);
		return EVENT_UNKNOWN_TYPE;
	}
	event_type_hint(word, !r->trusted, hint, sizeof hint);
	json_fault(r->f, "/type", "\"%.*s\" is not an event known here%s",
		(int)(word.n < 60 ? word.n : 60), word.p, hint);
	return EVENT_UNKNOWN_TYPE;
}

/* "…+02:00", which was taken as a time: seconds. */
static int32_t offset_of(struct str s)
{
	struct str zone = str_skip(s, s.n > 6 ? s.n - 6 : s.n);
	uint64_t h, m;

	if (zone.n != 6 || (zone.p[0] != '+' && zone.p[0] != '-') || zone.p[3] != ':' ||
		!str_u64(str_n(zone.p + 1, 2), &h) || !str_u64(str_n(zone.p + 4, 2), &m))
		return 0;
	return (int32_t)(h * 3600 + m * 60) * (zone.p[0] == '-' ? -1 : 1);
}

static void read_envelope(struct reading *r, struct json_obj *o, wall_t *said_r)
{
	struct event *e = r->e;
	int64_t offset;
	const char *why = "";
	json_t *v;

	v = json_obj_any(o, "id", JSON_REQUIRED);
	if (v && !json_is_null(v) && !text_of(r, v, ID_MOST, &e->id, &why))
		json_fault(r->f, "/id", "%s", why);
	else if (v && !json_is_null(v) && !e->id.n)
		json_fault(r->f, "/id", "must not be empty");
	v = json_obj_any(o, "source", 0);
	if (v && !json_is_null(v) && !text_of(r, v, ID_MOST, &e->source, &why))
		json_fault(r->f, "/source", "%s", why);
	if (json_obj_time(o, "occurred_at", 0, said_r)) {
		*said_r -= ((*said_r % DUR_MS) + DUR_MS) % DUR_MS;
		e->offset = offset_of(json_str(json_object_get(o->o, "occurred_at")));
	}
	if (r->trusted && json_obj_int(o, "utc_offset", 0, -86400, 86400, &offset))
		e->offset = (int32_t)offset;
	for (enum event_attr a = ATTR_store; a <= ATTR_till; a++) {
		v = json_obj_any(o, event_attr_kinds[a].word, 0);
		if (v && !json_is_null(v) && !attr_of(r, v, a, &why))
			fault_at(r, "", event_attr_kinds[a].word, why);
	}
	read_receipt(r, json_obj_any(o, "receipt", 0));
	read_who(r, json_obj_any(o, "member", 0));
	v = json_obj_any(o, "data", 0);
	if (json_is_object(v))
		read_fields(r, v, "/data");
	else if (v && !json_is_null(v))
		json_fault(r->f, "/data", "must be an object");
}

/* Fills r->e; said_r: what occurred_at says, 0 when nothing. */
static enum event_verdict read_event(struct reading *r, json_t *v, wall_t *said_r)
{
	enum event_verdict verdict;
	struct json_obj o;

	r->extras = json_object();
	r->member = json_object();
	r->held = json_array();
	json_obj_open(&o, v, "", r->f);
	if (!o.o)
		return EVENT_FAULTY;
	verdict = read_type(r, json_obj_any(&o, "type", 0));
	if (verdict != EVENT_OK)
		return verdict;
	read_envelope(r, &o, said_r);
	json_obj_close(&o);
	read_contact(r);
	if (json_object_size(r->member))
		r->raw[ATTR_member] = r->member;
	if (!r->trusted)
		check_needed(r);
	return r->f->n ? EVENT_FAULTY : EVENT_OK;
}

static void reading_end(struct reading *r, bool keep)
{
	json_decref(r->extras);
	json_decref(r->member);
	json_decref(r->held);
	if (!keep)
		event_drop(&r->e);
}

enum event_verdict event_read(json_t *v, wall_t now, const struct event_reader *how,
	struct event **e_r, struct json_faults *f)
{
	struct reading r = { .e = event_blank(), .f = f, .country = how->country };
	enum event_verdict verdict;
	wall_t said = 0;

	*e_r = NULL;
	now -= now % DUR_MS;
	verdict = read_event(&r, v, &said);
	if (verdict == EVENT_OK && said > now && said - now > how->too_far) {
		json_fault(f, "/occurred_at", "is too far in the future");
		verdict = EVENT_FUTURE;
	}
	if (verdict == EVENT_OK) {
		struct event *e = r.e;

		if (!e->source.n)
			e->source = arena_str(e->arena, how->source);
		e->received = now;
		e->occurred = !said || (said > now && said - now > how->ahead) ? now : said;
		event_write(e, r.raw, r.extras, said);
		event_envelope(e);
		*e_r = e;
	}
	reading_end(&r, verdict == EVENT_OK);
	return verdict;
}

struct event *event_restore(struct str text, wall_t occurred, wall_t received)
{
	struct json_faults f = { 0 };
	struct reading r = { .e = event_blank(), .f = &f, .trusted = true };
	json_t *v = json_read(text, &f);
	wall_t said = 0;
	struct event *e;

	if (!v || read_event(&r, v, &said) != EVENT_OK) {
		json_decref(v);
		reading_end(&r, false);
		return NULL;
	}
	e = r.e;
	e->body = v;
	e->text = arena_str(e->arena, text);
	e->digest = str_hash(e->text);
	e->occurred = occurred;
	e->received = received;
	event_envelope(e);
	reading_end(&r, true);
	return e;
}
