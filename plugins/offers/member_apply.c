/* What was said of a member, written; and a member, shown. On the store writer; see
 * member_input.h. */
#include "plugins/offers/attrs.h"
#include "plugins/offers/chain.h"
#include "plugins/offers/lot.h"
#include "plugins/offers/member_input.h"
#include "plugins/offers/said.h"

/* ---- whom it is about ---- */

static int find(struct work *w, const struct member_input *in, struct member **m_r)
{
	struct str names[ALIAS_KINDS] = { [ALIAS_MEMBER] = in->ext };

	for (unsigned i = 0; i < in->aliases_n; i++)
		if (!names[in->aliases[i].kind].n)
			names[in->aliases[i].kind] = in->aliases[i].value;
	for (unsigned i = 0; i < in->contacts_n; i++) {
		const struct contact *c = &in->contacts[i].contact;

		if (c->kind == CONTACT_PHONE && !names[ALIAS_PHONE].n)
			names[ALIAS_PHONE] = c->value;
		else if (c->kind == CONTACT_EMAIL && !names[ALIAS_EMAIL].n)
			names[ALIAS_EMAIL] = c->value;
	}
	return member_of_names(w, names, m_r);
}

/* ---- its columns ---- */

static bool set_text(struct work *w, struct str *to, struct str v)
{
	if (str_eq(*to, v))
		return false;
	*to = v.n ? arena_str(w->arena, v) : STR_NONE;
	return true;
}

static void columns_whole(struct member *m)
{
	m->first_name = m->last_name = m->lang = m->statuses = STR_NONE;
	m->birthday = 0;
	m->born_known = m->zone_known = false;
	m->born = 0;
	m->status = NULL;
	m->status_n = 0;
	m->status_loaded = true;
}

/* True: something is another now. */
static bool columns_take(struct work *w, struct member *m, const struct member_input *in)
{
	bool changed = false;

	if (in->ext.n && !m->ext.n)
		changed |= set_text(w, &m->ext, in->ext);
	if (in->given & GIVEN_FIRST_NAME)
		changed |= set_text(w, &m->first_name, in->first_name);
	if (in->given & GIVEN_LAST_NAME)
		changed |= set_text(w, &m->last_name, in->last_name);
	if (in->given & GIVEN_LANG)
		changed |= set_text(w, &m->lang, in->lang);
	if ((in->given & GIVEN_ZONE) &&
		(m->zone_known != (in->zone != NULL) || (in->zone && m->zone != in->zone))) {
		m->zone_known = in->zone != NULL;
		m->zone = in->zone                     ? in->zone
			  : w->rules && w->rules->zone ? w->rules->zone
						       : zone_utc();
		changed = true;
	}
	if ((in->given & GIVEN_BIRTHDAY) &&
		(m->birthday != in->birthday || m->born_known != in->born_known ||
			m->born != in->born)) {
		m->birthday = in->birthday;
		m->born_known = in->born_known;
		m->born = in->born;
		changed = true;
	}
	if ((in->given & GIVEN_STATE) && m->state != in->state) {
		m->state = in->state;
		changed = true;
	}
	if ((in->given & GIVEN_REGISTERED) && m->registered != in->registered) {
		m->registered = in->registered;
		changed = true;
	}
	return changed;
}

/* ---- the rest ---- */

static bool said(const struct member_input *in, const struct contact *c)
{
	for (unsigned i = 0; i < in->contacts_n; i++)
		if (in->contacts[i].contact.kind == c->kind &&
			str_eq(in->contacts[i].contact.value, c->value))
			return true;
	return false;
}

/* All of a kind; what waits for them is withdrawn. */
static int contacts_drop(struct work *w, struct member *m, enum contact_kind kind)
{
	const struct contact *v;
	unsigned n;

	if (member_contacts(w, m) < 0)
		return -1;
	v = m->contacts;
	n = m->contacts_n;
	for (unsigned i = 0; i < n; i++)
		if (v[i].kind == kind && contact_drop(w, m, kind, v[i].value) < 0)
			return -1;
	return 0;
}

static int contacts_take(
	struct work *w, struct member *m, const struct member_input *in, enum member_apply how)
{
	if (how == APPLY_WHOLE && !m->fresh) {
		const struct contact *v;
		unsigned n;

		if (member_contacts(w, m) < 0)
			return -1;
		v = m->contacts;
		n = m->contacts_n;
		for (unsigned i = 0; i < n; i++)
			if (!said(in, &v[i]) && contact_drop(w, m, v[i].kind, v[i].value) < 0)
				return -1;
	}
	for (unsigned i = 0; i < in->contacts_n; i++) {
		const struct contact *c = &in->contacts[i].contact;

		if (in->contacts[i].gone ? contacts_drop(w, m, c->kind) < 0
					 : contact_put(w, m, c->kind, c->value, c->sub, c->flags,
						   w->now) < 0)
			return -1;
	}
	return 0;
}

static int aliases_take(
	struct work *w, struct member *m, const struct member_input *in, enum member_apply how)
{
	struct input_alias gone[INPUT_ALIASES];
	unsigned n = 0;
	struct sql_stmt *st;
	int got;

	if (how == APPLY_WHOLE && !m->fresh) {
		st = db_st(w->db, ST_ALIASES_OF);
		if (!st)
			return work_failed(w, "reading a member's cards");
		sql_int(st, 1, (int64_t)m->id);
		while ((got = sql_step(st)) == 1) {
			struct input_alias a = { (enum alias_kind)sql_col(st, 0),
				arena_str(w->arena, sql_col_str(st, 1)) };
			bool stays = a.kind == ALIAS_GUEST;

			for (unsigned i = 0; i < in->aliases_n; i++)
				stays |= in->aliases[i].kind == a.kind &&
					 str_eq(in->aliases[i].value, a.value);
			if (!stays && n < INPUT_ALIASES)
				gone[n++] = a;
		}
		if (got < 0)
			return work_failed(w, "reading a member's cards");
	}
	for (unsigned i = 0; i < n; i++) {
		st = db_st(w->db, ST_ALIAS_DROP);
		if (!st)
			return work_failed(w, "removing a member's card");
		sql_int(st, 1, gone[i].kind);
		sql_text(st, 2, gone[i].value);
		sql_int(st, 3, (int64_t)m->id);
		if (sql_run(st) < 0)
			return work_failed(w, "removing a member's card");
	}
	for (unsigned i = 0; i < in->aliases_n; i++)
		if (member_alias(w, m, in->aliases[i].kind, in->aliases[i].value) < 0)
			return -1;
	return 0;
}

static int attrs_take(
	struct work *w, struct member *m, const struct member_input *in, enum member_apply how)
{
	size_t n = w->rules ? w->rules->attributes_n : 0;

	if (!n || !w->db->attrs || (!in->attrs_n && (how != APPLY_WHOLE || m->fresh)))
		return 0;
	if (how == APPLY_WHOLE || m->fresh) {
		if (!m->attrs_loaded || !m->fresh)
			m->attrs = arena_alloc(w->arena, n * sizeof *m->attrs);
		m->attrs_loaded = true;
	} else if (member_attrs(w, m) < 0) {
		return -1;
	}
	for (unsigned i = 0; i < in->attrs_n; i++)
		if (in->attrs[i].n < n) /* the rules may be others by now */
			m->attrs[in->attrs[i].n] = in->attrs[i].value;
	return member_set_attrs(w, m);
}

static int consent_take(
	struct work *w, struct member *m, const struct member_input *in, struct str by)
{
	for (unsigned i = 0; i < in->consent_n; i++) {
		const struct input_cell *c = &in->consent[i];
		int r = member_set_consent(
			w, m, c->row, c->channel, c->granted, by, in->proof, false);

		if (r)
			return r;
	}
	return 0;
}

int member_apply(struct work *w, const struct member_input *in, enum member_apply how,
	struct str by, struct member *m, struct member **m_r, bool *created_r)
{
	const struct zone *zone;
	bool changed, fresh = false;
	int got = m ? 1 : find(w, in, &m);

	if (got < 0)
		return -1;
	if (!got) {
		m = member_blank(w, in->ext, in->ext.n ? MEMBER_REGISTERED : MEMBER_CUSTOMER);
		m->status_loaded = true;
		fresh = true;
	}
	zone = m->zone;
	if (how == APPLY_WHOLE)
		columns_whole(m);
	changed = columns_take(w, m, in) || how == APPLY_WHOLE;
	for (unsigned i = 0; i < in->statuses_n; i++)
		changed |= member_status_put(w, m, in->statuses[i].system, in->statuses[i].value);
	if (fresh ? member_insert(w, m) < 0 : changed && member_save(w, m) < 0)
		return -1;
	if (contacts_take(w, m, in, how) < 0 || aliases_take(w, m, in, how) < 0 ||
		attrs_take(w, m, in, how) < 0)
		return -1;
	if (!fresh && zone != m->zone && chain_refold(w, m) < 0)
		return -1;
	*m_r = m;
	if (created_r)
		*created_r = fresh;
	return consent_take(w, m, in, by);
}

/* "/attributes/cty": of a member said by an event. Answers that are no attributes are usual. */
static void tell_odd(struct work *w, const struct json_faults *f, bool answers)
{
	for (unsigned i = 0; w->odd && i < f->n; i++) {
		const char *at = f->v[i].at;

		if (answers && (!strstr(f->v[i].text, "meant") ||
				       !str_starts(str_of(at), STR("/attributes/"))))
			continue;
		w->odd(w, arena_printf(w->arena, "%s%s %s", answers ? "data.answers" : "member",
				  answers ? at + strlen("/attributes") : at, f->v[i].text));
	}
}

static int take_fields(
	struct work *w, struct member *m, json_t *fields, wall_t occurred, bool answers)
{
	struct member_reader how = { .rules = w->rules, .lenient = true };
	struct json_faults f = { 0 };
	struct member_input in;

	if (!json_is_object(fields))
		return 0;
	member_input_read(fields, &how, w->arena, &in, &f);
	tell_odd(w, &f, answers);
	in.ext = STR_NONE; /* who it is was found out before */
	in.consent_n = 0;  /* consent.changed says that, with its proof */
	if (said_since(w, m, occurred, &in) < 0)
		return -1;
	return member_apply(w, &in, APPLY_GIVEN, STR("event"), m, &m, NULL) < 0 ? -1 : 0;
}

int member_take_fields(struct work *w, struct member *m, json_t *fields, wall_t occurred)
{
	return take_fields(w, m, fields, occurred, false);
}

/* Answers become what the member has under that name: a declared attribute, or one of the few that
 * all have. Others stay with the event. */
int member_take_answers(struct work *w, struct member *m, json_t *answers, wall_t occurred)
{
	static const char *const own[] = { "first_name", "last_name", "birthday", "language",
		"zone" };
	json_t *fields, *attrs, *v;
	const char *name;
	int r;

	if (!json_is_object(answers) || !json_object_size(answers))
		return 0;
	fields = json_object();
	attrs = json_object();
	json_object_foreach(answers, name, v)
	{
		json_t *to = attrs;

		for (size_t i = 0; i < sizeof own / sizeof *own; i++)
			if (strcmp(name, own[i]) == 0)
				to = fields;
		json_object_set(to, name, v);
	}
	json_object_set_new(fields, "attributes", attrs);
	r = take_fields(w, m, fields, occurred, true);
	json_decref(fields);
	return r;
}

/* ---- showing ---- */

static void put_scalar(struct buf *b, struct value v)
{
	struct buf t = BUF_INIT;

	switch (v.type) {
	case VALUE_BOOL:
		buf_c(b, v.b ? "true" : "false");
		return;
	case VALUE_INT:
		buf_printf(b, "%lld", (long long)v.i);
		return;
	case VALUE_DECIMAL:
		decimal_put(b, v.i);
		return;
	case VALUE_TEXT:
		buf_json(b, v.s);
		return;
	case VALUE_DATETIME:
		clock_put_rfc3339(&t, v.i);
		break;
	case VALUE_DATE:
		date_put(&t, v.i);
		break;
	case VALUE_TIME:
		buf_printf(&t, "%02d:%02d:%02d", (int)(v.i / DUR_HOUR), (int)(v.i / DUR_MIN % 60),
			(int)(v.i / DUR_S % 60));
		break;
	case VALUE_SPAN:
		span_put(&t, v.span);
		break;
	default:
		buf_c(b, "null");
		return;
	}
	buf_json(b, buf_view(&t));
	buf_free(&t);
}

static void put_value(struct buf *b, struct value v)
{
	if (v.type != VALUE_LIST) {
		put_scalar(b, v);
		return;
	}
	buf_char(b, '[');
	for (size_t i = 0; i < v.list.n; i++) {
		if (i)
			buf_char(b, ',');
		put_scalar(b, v.list.v[i]);
	}
	buf_char(b, ']');
}

static void put_birthday(struct buf *b, const struct member *m)
{
	if (!m->birthday)
		return;
	buf_c(b, ",\"birthday\":\"");
	if (m->born_known)
		date_put(b, m->born);
	else
		buf_printf(b, "%02d-%02d", m->birthday / 100, m->birthday % 100);
	buf_char(b, '"');
}

static void put_contact(struct buf *b, const struct contact *c)
{
	struct str value = c->value, service, platform, device;

	if (c->kind == CONTACT_SOCIAL && str_starts(value, c->sub))
		value = str_skip(value, c->sub.n + 1);
	buf_printf(b, "{\"kind\":\"%s\",\"value\":", contact_word(c->kind));
	buf_json(b, value);
	buf_printf(b, ",\"verified\":%s,\"valid\":%s",
		c->flags & CONTACT_VERIFIED ? "true" : "false",
		c->flags & CONTACT_INVALID ? "false" : "true");
	if (c->flags & CONTACT_LANDLINE)
		buf_c(b, ",\"landline\":true");
	if (c->kind == CONTACT_SOCIAL)
		buf_json_member(b, "provider", c->sub);
	if (c->kind == CONTACT_DEVICE) {
		contact_device(c, &service, &platform, &device);
		buf_json_member(b, "service", service);
		buf_json_member(b, "platform", platform);
		buf_json_member(b, "device", device);
	}
	clock_json_member(b, "since", c->since);
	buf_char(b, '}');
}

static int put_aliases(struct work *w, const struct member *m, enum alias_kind kind,
	const char *name, struct buf *b)
{
	struct sql_stmt *st = db_st(w->db, ST_ALIASES_OF);
	bool first = true;
	int got;

	if (!st)
		return work_failed(w, "reading a member's cards");
	sql_int(st, 1, (int64_t)m->id);
	while ((got = sql_step(st)) == 1) {
		if (sql_col(st, 0) != (int64_t)kind)
			continue;
		if (first)
			buf_printf(b, ",\"%s\":[", name);
		else
			buf_char(b, ',');
		first = false;
		buf_json(b, sql_col_str(st, 1));
	}
	if (!first)
		buf_char(b, ']');
	return got < 0 ? work_failed(w, "reading a member's cards") : 0;
}

static int put_attrs(struct work *w, struct member *m, struct buf *b)
{
	bool first = true;

	if (member_attrs(w, m) < 0)
		return -1;
	for (size_t i = 0; m->attrs_loaded && i < w->rules->attributes_n; i++) {
		if (m->attrs[i].type == VALUE_MISSING)
			continue;
		buf_c(b, first ? ",\"attributes\":{" : ",");
		first = false;
		buf_json(b, str_skip(str_of(w->rules->attributes[i].path), strlen("member.")));
		buf_char(b, ':');
		put_value(b, m->attrs[i]);
	}
	if (!first)
		buf_char(b, '}');
	return 0;
}

int member_show(struct work *w, struct member *m, struct buf *out)
{
	buf_c(out, "{\"id\":");
	if (m->ext.n)
		buf_json(out, m->ext);
	else
		buf_c(out, "null");
	buf_printf(out, ",\"number\":\"%llu\",\"state\":\"%s\"", (unsigned long long)m->id,
		member_state_word(m->state));
	buf_json_member(out, "first_name", m->first_name);
	buf_json_member(out, "last_name", m->last_name);
	put_birthday(out, m);
	buf_json_member(out, "language", m->lang);
	if (m->zone_known)
		buf_json_member(out, "zone", str_of(zone_name(m->zone)));
	if (m->statuses.n) {
		buf_c(out, ",\"statuses\":");
		buf_str(out, m->statuses);
	}
	if (put_attrs(w, m, out) < 0 || put_aliases(w, m, ALIAS_CARD, "cards", out) < 0 ||
		put_aliases(w, m, ALIAS_DEVICE, "devices", out) < 0 || member_contacts(w, m) < 0)
		return -1;
	buf_c(out, ",\"contacts\":[");
	for (unsigned i = 0; i < m->contacts_n; i++) {
		if (i)
			buf_char(out, ',');
		put_contact(out, &m->contacts[i]);
	}
	buf_char(out, ']');
	if (ledger_show(w, m->id, out) < 0)
		return -1;
	clock_json_member(out, "registered", m->registered);
	clock_json_member(out, "created", m->created);
	clock_json_member(out, "updated", m->updated);
	buf_char(out, '}');
	return 0;
}

int member_show_consent(struct work *w, struct member *m, struct buf *out)
{
	struct consent_view v;
	int marketing, service;

	buf_char(out, '{');
	for (unsigned row = 0; row < ROW_COUNT; row++) {
		buf_printf(out, "%s\"%s\":{", row ? "," : "", row_word((enum row)row));
		for (unsigned c = 0; c < MEDIA_RECEIPT; c++) {
			marketing =
				member_agrees(w, m, (enum row)row, CLASS_MARKETING, (enum media)c);
			service = member_agrees(w, m, (enum row)row, CLASS_SERVICE, (enum media)c);
			if (marketing < 0 || service < 0 ||
				member_consent(w, m, (enum row)row, (enum media)c, &v) < 0)
				return -1;
			buf_printf(out,
				"%s\"%s\":{\"granted\":%s,\"read_only\":%s,\"default\":%s,"
				"\"marketing\":%s,\"service\":%s}",
				c ? "," : "", media_word((enum media)c),
				v.granted ? "true" : "false", v.read_only ? "true" : "false",
				v.said ? "false" : "true", marketing ? "true" : "false",
				service ? "true" : "false");
		}
		buf_char(out, '}');
	}
	buf_c(out, ",\"off\":[");
	for (unsigned c = 0, n = 0; c < MEDIA_RECEIPT; c++) {
		if (member_consent(w, m, ROW_SYSTEM, (enum media)c, &v) < 0)
			return -1;
		if (v.off)
			buf_printf(out, "%s\"%s\"", n++ ? "," : "", media_word((enum media)c));
	}
	buf_c(out, "]}");
	return 0;
}
