/* Members from JSON and from rows of CSV. See member_input.h. */
#include "plugins/offers/member_input.h"

#include <math.h>
#include <stdio.h>

enum { NAME_MOST = 200, ID_MOST = 128, TEXT_MOST = 2000, LIST_MOST = 200 };

struct reading {
	const struct member_reader *how;
	struct arena *a;
	struct member_input *in;
	struct json_faults *f;
};

static struct str keep(struct reading *r, struct str s)
{
	return arena_str(r->a, s);
}

/* ---- what was read, by kind; `why` is for the fault ---- */

static bool add_alias(struct reading *r, enum alias_kind kind, struct str v, const char **why)
{
	struct member_input *in = r->in;

	*why = "must be 1 to 128 bytes long";
	if (!v.n || v.n > ID_MOST)
		return false;
	*why = "there are more than 16 cards and devices";
	if (in->aliases_n == INPUT_ALIASES)
		return false;
	if (!in->aliases)
		in->aliases = arena_alloc(r->a, INPUT_ALIASES * sizeof *in->aliases);
	in->aliases[in->aliases_n++] = (struct input_alias){ kind, keep(r, v) };
	return true;
}

static bool put_contact(struct reading *r, const struct contact *c, bool gone, const char **why)
{
	struct member_input *in = r->in;

	*why = "there are more than 24 contacts";
	if (in->contacts_n == INPUT_CONTACTS)
		return false;
	if (!in->contacts)
		in->contacts = arena_alloc(r->a, INPUT_CONTACTS * sizeof *in->contacts);
	in->contacts[in->contacts_n++] = (struct input_contact){ *c, gone };
	return true;
}

static bool add_contact(struct reading *r, enum contact_kind kind, struct str v, struct str sub,
	unsigned flags, const char **why)
{
	struct contact c = { .kind = kind, .flags = flags, .sub = keep(r, sub) };

	return contact_normal(r->a, kind, v, r->how->country, &c.value, why) &&
	       put_contact(r, &c, false, why);
}

static bool set_birthday(struct reading *r, struct str v, const char **why)
{
	struct member_input *in = r->in;
	char full[16];
	int64_t days;
	int y, m, d;

	*why = "must be a date, \"1980-02-29\" or, without the year, \"02-29\"";
	if (str_starts(v, STR("--")))
		v = str_skip(v, 2);
	in->born_known = v.n == 10;
	if (v.n == 5) { /* a leap year, so that 29 February is one */
		snprintf(full, sizeof full, "2000-%.*s", STR_ARG(v));
		v = str_of(full);
	}
	if (v.n != 10 || !date_parse(v, &days))
		return false;
	date_civil(days, &y, &m, &d);
	in->birthday = m * 100 + d;
	in->born = in->born_known ? days : 0;
	in->given |= GIVEN_BIRTHDAY;
	return true;
}

static bool set_zone(struct reading *r, struct str v, const char **why)
{
	struct err e = { 0 };

	r->in->zone = zone_find(v, &e);
	*why = "is not a time zone, \"Europe/Riga\" or \"+05:30\"";
	r->in->given |= GIVEN_ZONE;
	return r->in->zone != NULL;
}

static bool set_state(struct reading *r, struct str v, const char **why)
{
	*why = "must be anonymous, customer, registered or blocked";
	r->in->given |= GIVEN_STATE;
	return member_state_parse(v, &r->in->state) && r->in->state != MEMBER_LEFT;
}

static bool set_registered(struct reading *r, struct str v, const char **why)
{
	int64_t day;

	*why = "must be a time as in \"2026-11-22T10:15:00Z\" (RFC 3339), or a date";
	r->in->given |= GIVEN_REGISTERED;
	if (date_parse(v, &day)) {
		r->in->registered = zone_midnight(
			r->how->rules && r->how->rules->zone ? r->how->rules->zone : zone_utc(),
			day);
		return true;
	}
	return clock_parse_rfc3339(v, &r->in->registered);
}

static bool set_name(
	struct reading *r, struct str v, unsigned bit, struct str *to, const char **why)
{
	*why = "must be at most 200 bytes of UTF-8";
	if (v.n > NAME_MOST || !str_utf8_valid(v))
		return false;
	*to = keep(r, v);
	r->in->given |= bit;
	return true;
}

static bool add_status(struct reading *r, struct str system, struct str v, const char **why)
{
	struct member_input *in = r->in;

	*why = "must be at most 128 bytes; at most 16 statuses";
	if (!system.n || system.n > ID_MOST || v.n > ID_MOST || in->statuses_n == INPUT_STATUSES)
		return false;
	if (!in->statuses)
		in->statuses = arena_alloc(r->a, INPUT_STATUSES * sizeof *in->statuses);
	in->statuses[in->statuses_n++] = (struct member_status){ keep(r, system), keep(r, v) };
	return true;
}

static bool add_cell(struct reading *r, int row, int channel, bool granted, const char **why)
{
	struct member_input *in = r->in;

	*why = "there are more than 64 subscriptions";
	if (in->consent_n == INPUT_CONSENT)
		return false;
	if (!in->consent)
		in->consent = arena_alloc(r->a, INPUT_CONSENT * sizeof *in->consent);
	in->consent[in->consent_n++] = (struct input_cell){ row, channel, granted };
	return true;
}

/* "*" is all. */
static bool row_word_of(struct str s, int *row_r)
{
	enum row row = ROW_SYSTEM;
	bool ok = str_is(s, "*") || row_parse(s, &row);

	*row_r = str_is(s, "*") ? -1 : (int)row;
	return ok;
}
static bool channel_word_of(struct str s, int *channel_r)
{
	enum media media = MEDIA_SMS;
	bool ok = str_is(s, "*") || (media_parse(s, &media) && media < MEDIA_RECEIPT);

	*channel_r = str_is(s, "*") ? -1 : (int)media;
	return ok;
}

static bool bool_of(struct str s, bool *b_r)
{
	static const char *const words[] = { "true", "1", "yes", "false", "0", "no" };

	for (unsigned i = 0; i < 6; i++)
		if (str_ieq(s, str_of(words[i]))) {
			*b_r = i < 3;
			return true;
		}
	return false;
}

/* ---- declared attributes ---- */

static bool scalar_parse(enum value_type t, struct str s, struct arena *a, struct value *v_r)
{
	int64_t i;
	bool b;

	*v_r = (struct value){ .type = t };
	switch (t) {
	case VALUE_BOOL:
		if (!bool_of(s, &b))
			return false;
		v_r->b = b;
		return true;
	case VALUE_INT:
		return str_i64(s, &v_r->i);
	case VALUE_DECIMAL:
		return decimal_parse(s, &v_r->i);
	case VALUE_TEXT:
		v_r->s = arena_str(a, s);
		return s.n <= TEXT_MOST && str_utf8_valid(s);
	case VALUE_DATE:
		return date_parse(s, &v_r->i);
	case VALUE_TIME:
		return time_of_day_parse(s, &v_r->i);
	case VALUE_DATETIME:
		if (!clock_parse_rfc3339(s, &i))
			return false;
		v_r->i = i;
		return true;
	case VALUE_SPAN:
		return span_parse(s, &v_r->span) == NULL;
	default:
		return false;
	}
}

bool attr_parse(const struct name *attr, struct str text, struct arena *a, struct value *v_r)
{
	struct value *v;
	struct str item;
	size_t n = 0;

	if (attr->type != VALUE_LIST)
		return scalar_parse(attr->type, text, a, v_r);
	v = arena_alloc(a, LIST_MOST * sizeof *v);
	while (str_cut(&text, ';', &item)) {
		item = str_trim(item);
		if (!item.n)
			continue;
		if (n == LIST_MOST || !scalar_parse(attr->of, item, a, &v[n++]))
			return false;
	}
	*v_r = (struct value){
		.type = VALUE_LIST, .of = n ? attr->of : VALUE_MISSING, .list = { .v = v, .n = n }
	};
	return true;
}

static bool scalar_json(enum value_type t, json_t *v, struct arena *a, struct value *v_r)
{
	double d;

	if (json_is_string(v))
		return scalar_parse(t, json_str(v), a, v_r);
	*v_r = (struct value){ .type = t };
	if (t == VALUE_BOOL && json_is_boolean(v)) {
		v_r->b = json_is_true(v);
		return true;
	}
	if (t == VALUE_INT && json_is_integer(v)) {
		v_r->i = json_integer_value(v);
		return true;
	}
	if (t != VALUE_DECIMAL || !json_is_number(v))
		return false;
	d = json_number_value(v);
	if (!(fabs(d) < 9e14))
		return false;
	v_r->i =
		json_is_integer(v) ? json_integer_value(v) * DECIMAL_ONE : llround(d * DECIMAL_ONE);
	return fabs((double)v_r->i / DECIMAL_ONE - d) <= fabs(d) * 1e-12 + 1e-9;
}

static bool attr_json(const struct name *attr, json_t *v, struct arena *a, struct value *v_r)
{
	struct value *list;
	json_t *item;
	size_t i;

	if (attr->type != VALUE_LIST || !json_is_array(v))
		return attr->type == VALUE_LIST
			       ? json_is_string(v) && attr_parse(attr, json_str(v), a, v_r)
			       : scalar_json(attr->type, v, a, v_r);
	if (json_array_size(v) > LIST_MOST)
		return false;
	list = arena_alloc(a, (json_array_size(v) + 1) * sizeof *list);
	json_array_foreach(v, i, item)
	{
		if (!scalar_json(attr->of, item, a, &list[i]))
			return false;
	}
	*v_r = (struct value){ .type = VALUE_LIST,
		.of = json_array_size(v) ? attr->of : VALUE_MISSING,
		.list = { .v = list, .n = json_array_size(v) } };
	return true;
}

static struct str attr_name(const struct name *attr)
{
	return str_skip(str_of(attr->path), strlen("member."));
}

static bool attr_find(const struct rules *r, struct str name, size_t *n_r)
{
	for (size_t i = 0; r && i < r->attributes_n; i++)
		if (str_eq(attr_name(&r->attributes[i]), name)) {
			*n_r = i;
			return true;
		}
	return false;
}

struct member_input member_input_under(const struct member_input *in, const struct rules *from,
	const struct rules *to, struct arena *a)
{
	struct member_input out = *in;

	if (from == to || !from || !in->attrs_n)
		return out;
	out.attrs = arena_alloc(a, in->attrs_n * sizeof *out.attrs);
	out.attrs_n = 0;
	for (unsigned i = 0; i < in->attrs_n; i++) {
		const struct name *was = &from->attributes[in->attrs[i].n];
		size_t at;

		if (attr_find(to, attr_name(was), &at) && to->attributes[at].type == was->type &&
			to->attributes[at].of == was->of)
			out.attrs[out.attrs_n++] = (struct input_attr){ at, in->attrs[i].value };
	}
	return out;
}

static void add_attr(struct reading *r, size_t n, struct value v)
{
	struct member_input *in = r->in;

	if (!in->attrs)
		in->attrs = arena_alloc(r->a, 2 * r->how->rules->attributes_n * sizeof *in->attrs);
	if (in->attrs_n < 2 * r->how->rules->attributes_n)
		in->attrs[in->attrs_n++] = (struct input_attr){ n, v };
}

/* ---- JSON ---- */

static void fault(struct reading *r, const char *at, const char *name, const char *why)
{
	char where[128];

	json_pointer(where, sizeof where, at, name);
	json_fault(r->f, where, "%s", why);
}

static struct str near_attr(const struct rules *r, struct str name)
{
	struct str best = STR_NONE;
	unsigned d = 3;

	for (size_t i = 0; r && i < r->attributes_n; i++) {
		unsigned k = str_distance(name, attr_name(&r->attributes[i]), d);

		if (k < d) {
			d = k;
			best = attr_name(&r->attributes[i]);
		}
	}
	return best;
}

static void read_attr(struct reading *r, const char *at, const char *name, json_t *v)
{
	struct value value = VALUE_NONE;
	char why[200];
	size_t n;

	if (!attr_find(r->how->rules, str_of(name), &n)) {
		struct str near = near_attr(r->how->rules, str_of(name));

		snprintf(why, sizeof why, "is not a declared attribute%s%.*s%s",
			near.n ? "; is \"" : "", STR_ARG(near), near.n ? "\" meant?" : "");
		fault(r, at, name, why);
		return;
	}
	if (!json_is_null(v) && !attr_json(&r->how->rules->attributes[n], v, r->a, &value)) {
		snprintf(why, sizeof why, "is not a good %s",
			value_type_word(r->how->rules->attributes[n].type));
		fault(r, at, name, why);
		return;
	}
	add_attr(r, n, value);
}

static void read_contact(struct reading *r, json_t *v, size_t i)
{
	struct json_obj o;
	struct str kind = STR_NONE, value = STR_NONE, provider = STR_NONE, service = STR_NONE,
		   platform = STR_NONE, device = STR_NONE, sub = STR_NONE;
	bool verified = r->how->verified, valid = true, landline = false;
	enum contact_kind k = CONTACT_PHONE;
	const char *why;
	char at[40];

	snprintf(at, sizeof at, "/contacts/%zu", i);
	json_obj_open(&o, v, at, r->f);
	if (json_obj_str(&o, "kind", JSON_REQUIRED, 16, &kind) && !contact_parse(kind, &k))
		json_obj_fault(&o, "kind", "must be phone, email, viber, social or device");
	json_obj_str(&o, "value", JSON_REQUIRED, ADDRESS_PUSH_MAX, &value);
	json_obj_bool(&o, "verified", 0, &verified);
	json_obj_bool(&o, "valid", 0, &valid);
	json_obj_bool(&o, "landline", 0, &landline);
	json_obj_str(&o, "provider", 0, ID_MOST, &provider);
	json_obj_str(&o, "service", 0, ID_MOST, &service);
	json_obj_str(&o, "platform", 0, ID_MOST, &platform);
	json_obj_str(&o, "device", 0, ID_MOST, &device);
	if (!json_obj_close(&o) && r->f->n && !r->how->lenient)
		return;
	if (k == CONTACT_SOCIAL) {
		if (!provider.n) {
			json_obj_fault(&o, "provider", "is missing: which network");
			return;
		}
		sub = provider;
		value = str_of(arena_printf(r->a, "%.*s:%.*s", STR_ARG(provider), STR_ARG(value)));
	} else if (k == CONTACT_DEVICE) {
		sub = str_of(arena_printf(r->a, "%.*s/%.*s/%.*s", STR_ARG(service),
			STR_ARG(platform), STR_ARG(device)));
		if (device.n && !add_alias(r, ALIAS_DEVICE, device, &why))
			json_obj_fault(&o, "device", "%s", why);
	}
	if (!add_contact(r, k, value, sub,
		    (verified ? CONTACT_VERIFIED : 0u) | (valid ? 0u : CONTACT_INVALID) |
			    (landline ? CONTACT_LANDLINE : 0u),
		    &why))
		json_obj_fault(&o, "value", "%s", why);
}

/* {"Advertisement": {"sms": true}, "*": {"email": false}, "System": true}, or a list of
 * {"row", "channel", "granted"}. */
static void read_consent(struct reading *r, json_t *v)
{
	const char *row_name, *channel_name, *why;
	json_t *cells, *cell;
	int row, channel;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach(v, i, cell)
		{
			struct str rs = json_str(json_object_get(cell, "row"));
			struct str cs = json_str(json_object_get(cell, "channel"));
			json_t *g = json_object_get(cell, "granted");

			why = "must be {\"row\", \"channel\", \"granted\"}";
			if (!json_is_boolean(g) || !row_word_of(rs.n ? rs : STR("*"), &row) ||
				!channel_word_of(cs.n ? cs : STR("*"), &channel) ||
				!add_cell(r, row, channel, json_is_true(g), &why))
				fault(r, "/consent", arena_printf(r->a, "%zu", i), why);
		}
		return;
	}
	if (!json_is_object(v)) {
		json_fault(r->f, "/consent", "must be an object of rows, or an array");
		return;
	}
	json_object_foreach(v, row_name, cells)
	{
		const char *at = arena_printf(r->a, "/consent/%s", row_name);

		if (!row_word_of(str_of(row_name), &row)) {
			fault(r, "/consent", row_name, "is no row of the subscriptions");
			continue;
		}
		why = "must be true or false, or an object of channels";
		if (json_is_boolean(cells) ? !add_cell(r, row, -1, json_is_true(cells), &why)
					   : !json_is_object(cells))
			fault(r, "/consent", row_name, why);
		json_object_foreach(cells, channel_name, cell)
		{
			why = "must be true or false";
			if (!channel_word_of(str_of(channel_name), &channel))
				fault(r, at, channel_name, "is no channel");
			else if (!json_is_boolean(cell) ||
				 !add_cell(r, row, channel, json_is_true(cell), &why))
				fault(r, at, channel_name, why);
		}
	}
}

static bool is_null(json_t *o, const char *name)
{
	return json_is_null(json_object_get(o, name));
}

/* Texts, and numbers where platforms keep ids as such. */
static struct str id_of(struct reading *r, json_t *v)
{
	if (json_is_integer(v))
		return str_of(arena_printf(r->a, "%lld", (long long)json_integer_value(v)));
	return str_trim(json_str(v));
}

static void read_ids(struct reading *r, struct json_obj *o, const char *one, const char *many,
	enum alias_kind kind)
{
	json_t *v = json_obj_any(o, one, 0), *list = json_obj_array(o, many, 0, INPUT_ALIASES);
	const char *why;
	size_t i;

	if (v && !json_is_null(v) && !add_alias(r, kind, id_of(r, v), &why))
		json_obj_fault(o, one, "%s", why);
	json_array_foreach(list, i, v)
	{
		if (!add_alias(r, kind, id_of(r, v), &why))
			json_obj_fault(o, many, "%s", why);
	}
}

/* null: all of that kind go. A till's event has null for what it does not know. */
static void read_address(
	struct reading *r, struct json_obj *o, const char *name, enum contact_kind kind)
{
	struct str s;
	const char *why;

	if (json_obj_str(o, name, 0, ADDRESS_EMAIL_MAX, &s)
			? !add_contact(r, kind, str_trim(s), STR_NONE,
				  r->how->verified ? CONTACT_VERIFIED : 0, &why)
			: is_null(o->o, name) && !r->how->lenient &&
				  !put_contact(r, &(struct contact){ .kind = kind }, true, &why))
		json_obj_fault(o, name, "%s", why);
}

typedef bool set_fn(struct reading *r, struct str v, const char **why);
static void read_set(
	struct reading *r, struct json_obj *o, const char *name, unsigned bit, set_fn *set)
{
	const char *why = "";
	struct str s;

	if (is_null(o->o, name))
		r->in->given |= bit;
	if (json_obj_str(o, name, 0, ID_MOST, &s) && !set(r, s, &why))
		json_obj_fault(o, name, "%s", why);
}

static void read_text(
	struct reading *r, struct json_obj *o, const char *name, unsigned bit, struct str *to)
{
	const char *why;
	struct str s;

	if (is_null(o->o, name))
		r->in->given |= bit;
	if (json_obj_str(o, name, JSON_EMPTY_OK, TEXT_MOST, &s) &&
		!set_name(r, str_trim(s), bit, to, &why))
		json_obj_fault(o, name, "%s", why);
}

static void read_statuses(struct reading *r, struct json_obj *o)
{
	json_t *v = json_obj_object(o, "statuses", 0), *it;
	const struct rules_conf *c = r->how->rules ? r->how->rules->conf : NULL;
	const char *name, *why;
	struct str s;

	if (json_obj_str(o, "status", 0, ID_MOST, &s) &&
		!add_status(r,
			str_of(c && c->members.statuses_n ? c->members.statuses[0] : "status"), s,
			&why))
		json_obj_fault(o, "status", "%s", why);
	json_object_foreach(v, name, it)
	{
		why = "must be a string";
		if ((!json_is_string(it) && !json_is_null(it)) ||
			!add_status(r, str_of(name), json_str(it), &why))
			fault(r, "/statuses", name, why);
	}
}

bool member_input_read(json_t *v, const struct member_reader *how, struct arena *a,
	struct member_input *in, struct json_faults *f)
{
	struct reading r = { how, a, in, f };
	struct json_obj o;
	json_t *it, *list;
	const char *name;
	size_t i;

	*in = (struct member_input){ .ext = STR_NONE };
	in->first_name = in->last_name = in->lang = in->proof = STR_NONE;
	json_obj_open(&o, v, "", r.f);
	it = json_obj_any(&o, "id", 0);
	if (it && !json_is_null(it)) {
		in->ext = keep(&r, id_of(&r, it));
		if (!in->ext.n || in->ext.n > ID_MOST)
			json_obj_fault(&o, "id", "must be 1 to 128 bytes long");
	}
	read_ids(&r, &o, "card", "cards", ALIAS_CARD);
	read_ids(&r, &o, "device", "devices", ALIAS_DEVICE);
	read_text(&r, &o, "first_name", GIVEN_FIRST_NAME, &in->first_name);
	read_text(&r, &o, "last_name", GIVEN_LAST_NAME, &in->last_name);
	read_text(&r, &o, "language", GIVEN_LANG, &in->lang);
	read_set(&r, &o, "zone", GIVEN_ZONE, set_zone);
	read_set(&r, &o, "birthday", GIVEN_BIRTHDAY, set_birthday);
	read_set(&r, &o, "state", GIVEN_STATE, set_state);
	read_set(&r, &o, "registered", GIVEN_REGISTERED, set_registered);
	read_address(&r, &o, "phone", CONTACT_PHONE);
	read_address(&r, &o, "email", CONTACT_EMAIL);
	read_address(&r, &o, "viber", CONTACT_VIBER);
	list = json_obj_array(&o, "contacts", 0, INPUT_CONTACTS);
	json_array_foreach(list, i, it)
	{
		read_contact(&r, it, i);
	}
	read_statuses(&r, &o);
	list = json_obj_object(&o, "attributes", 0);
	json_object_foreach(list, name, it)
	{
		read_attr(&r, "/attributes", name, it);
	}
	it = json_obj_any(&o, "consent", 0);
	if (it && !json_is_null(it))
		read_consent(&r, it);
	if (json_obj_str(&o, "proof", 0, TEXT_MOST, &in->proof))
		in->proof = keep(&r, in->proof);
	return (json_obj_close(&o) && f->n == 0) || how->lenient;
}

/* ---- rows of CSV ---- */

enum column {
	COL_ID,
	COL_CARD,
	COL_DEVICE,
	COL_FIRST_NAME,
	COL_LAST_NAME,
	COL_LANGUAGE,
	COL_ZONE,
	COL_BIRTHDAY,
	COL_STATE,
	COL_REGISTERED,
	COL_PHONE,
	COL_EMAIL,
	COL_VIBER,
	COL_PHONE_VERIFIED,
	COL_EMAIL_VERIFIED,
	COL_STATUS,
	COL_PROOF,
	COL_WORDS,
	COL_STATUS_OF = COL_WORDS, /* status.SYSTEM */
	COL_CONSENT,               /* consent.ROW.CHANNEL */
	COL_ATTR,
};
static const char *const column_words[COL_WORDS] = { "id", "card", "device", "first_name",
	"last_name", "language", "zone", "birthday", "state", "registered", "phone", "email",
	"viber", "phone_verified", "email_verified", "status", "proof" };

static bool column_of_path(
	struct str name, const struct member_reader *how, struct arena *a, struct member_column *c)
{
	struct str rest = name, head;
	size_t n;

	if (str_starts(name, STR("status."))) {
		c->what = COL_STATUS_OF;
		c->system = arena_str(a, str_skip(name, 7));
		return c->system.n > 0;
	}
	if (str_starts(name, STR("consent."))) {
		c->what = COL_CONSENT;
		rest = str_skip(name, 8);
		return str_cut(&rest, '.', &head) && row_word_of(head, &c->arg) &&
		       channel_word_of(rest.n ? rest : STR("*"), &c->arg2);
	}
	if (str_starts(name, STR("attributes.")))
		name = str_skip(name, 11);
	if (!attr_find(how->rules, name, &n))
		return false;
	c->what = COL_ATTR;
	c->arg = (int)n;
	return true;
}

bool member_column_find(struct str name, const struct member_reader *how, struct arena *a,
	struct member_column *c_r, struct json_faults *f)
{
	struct str near;
	unsigned best = 3;

	*c_r = (struct member_column){ 0 };
	name = str_trim(name);
	for (unsigned i = 0; i < COL_WORDS; i++)
		if (str_ieq(name, str_of(column_words[i]))) {
			c_r->what = (int)i;
			return true;
		}
	if (column_of_path(name, how, a, c_r))
		return true;
	near = near_attr(how->rules, name);
	if (near.n)
		best = str_distance(name, near, 3);
	for (unsigned i = 0; i < COL_WORDS; i++) {
		unsigned d = str_distance(name, str_of(column_words[i]), best);

		if (d < best) {
			best = d;
			near = str_of(column_words[i]);
		}
	}
	json_fault(f, "", "line 1: there is no column \"%.*s\"%s%.*s%s",
		(int)(name.n < 60 ? name.n : 60), name.p, near.n ? "; is \"" : "", STR_ARG(near),
		near.n ? "\" meant?" : "");
	return false;
}

struct row_flags {
	bool phone, email; /* verified */
};

static bool row_field(struct reading *r, const struct member_column *c, struct str v,
	const struct row_flags *flags, const char **why)
{
	const struct rules_conf *conf = r->how->rules ? r->how->rules->conf : NULL;
	struct value value;
	bool b;

	switch (c->what) {
	case COL_ID:
		*why = "must be at most 128 bytes long";
		r->in->ext = keep(r, v);
		return v.n <= ID_MOST;
	case COL_CARD:
		return add_alias(r, ALIAS_CARD, v, why);
	case COL_DEVICE:
		return add_alias(r, ALIAS_DEVICE, v, why);
	case COL_FIRST_NAME:
		return set_name(r, v, GIVEN_FIRST_NAME, &r->in->first_name, why);
	case COL_LAST_NAME:
		return set_name(r, v, GIVEN_LAST_NAME, &r->in->last_name, why);
	case COL_LANGUAGE:
		return set_name(r, v, GIVEN_LANG, &r->in->lang, why);
	case COL_ZONE:
		return set_zone(r, v, why);
	case COL_BIRTHDAY:
		return set_birthday(r, v, why);
	case COL_STATE:
		return set_state(r, v, why);
	case COL_REGISTERED:
		return set_registered(r, v, why);
	case COL_PHONE:
		return add_contact(
			r, CONTACT_PHONE, v, STR_NONE, flags->phone ? CONTACT_VERIFIED : 0, why);
	case COL_EMAIL:
		return add_contact(
			r, CONTACT_EMAIL, v, STR_NONE, flags->email ? CONTACT_VERIFIED : 0, why);
	case COL_VIBER:
		return add_contact(r, CONTACT_VIBER, v, STR_NONE,
			r->how->verified ? CONTACT_VERIFIED : 0, why);
	case COL_STATUS:
		return add_status(r,
			str_of(conf && conf->members.statuses_n ? conf->members.statuses[0]
								: "status"),
			v, why);
	case COL_STATUS_OF:
		return add_status(r, c->system, v, why);
	case COL_PROOF:
		r->in->proof = keep(r, v);
		return true;
	case COL_CONSENT:
		*why = "must be true or false";
		return bool_of(v, &b) && add_cell(r, c->arg, c->arg2, b, why);
	case COL_ATTR:
		*why = arena_printf(r->a, "is not a good %s",
			value_type_word(r->how->rules->attributes[c->arg].type));
		if (!attr_parse(&r->how->rules->attributes[c->arg], v, r->a, &value))
			return false;
		add_attr(r, (size_t)c->arg, value);
		return true;
	default: /* flags were read before */
		return true;
	}
}

bool member_input_row(const struct member_column *columns, const struct str *names,
	const struct str *fields, size_t n, const struct member_reader *how, struct arena *a,
	struct member_input *in, struct json_faults *f)
{
	struct reading r = { how, a, in, f };
	struct row_flags flags = { how->verified, how->verified };
	const char *why;
	size_t i;

	*in = (struct member_input){ .ext = STR_NONE };
	in->first_name = in->last_name = in->lang = in->proof = STR_NONE;
	for (i = 0; i < n; i++) {
		struct str v = str_trim(fields[i]);
		bool phone = columns[i].what == COL_PHONE_VERIFIED;

		if (!v.n || (!phone && columns[i].what != COL_EMAIL_VERIFIED))
			continue;
		if (!bool_of(v, phone ? &flags.phone : &flags.email))
			fault(&r, "", arena_cstr(a, names[i]), "must be true or false");
	}
	for (i = 0; i < n; i++) {
		struct str v = str_trim(fields[i]);

		if (v.n && !row_field(&r, &columns[i], v, &flags, &why))
			fault(&r, "", arena_cstr(a, names[i]), why);
	}
	if (!in->ext.n && !in->aliases_n && !in->contacts_n && !f->n)
		json_fault(f, "", "names nobody: an id, card, device, phone or email");
	return f->n == 0;
}
