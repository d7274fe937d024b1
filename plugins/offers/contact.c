/* Addresses of members: what form they have, whose they are, and which of them a medium may use.
 * See member.h. Addresses are looked up when something leaves, never copied into a timer. */
#include "plugins/offers/member.h"
#include "gateway/model/address.h"

static const char *const kind_words[CONTACT_KINDS] = { "phone", "email", "viber", "social",
	"device" };

const char *contact_word(enum contact_kind k)
{
	return kind_words[k];
}

bool contact_parse(struct str word, enum contact_kind *k_r)
{
	for (unsigned i = 0; i < CONTACT_KINDS; i++)
		if (str_is(word, kind_words[i])) {
			*k_r = (enum contact_kind)i;
			return true;
		}
	return false;
}

enum contact_kind contact_of_media(enum media media)
{
	switch (media) {
	case MEDIA_EMAIL:
		return CONTACT_EMAIL;
	case MEDIA_PUSH:
		return CONTACT_DEVICE;
	case MEDIA_VIBER:
		return CONTACT_VIBER;
	case MEDIA_SOCIAL:
		return CONTACT_SOCIAL;
	default:
		return CONTACT_PHONE;
	}
}

static struct str lower_domain(struct arena *a, struct str in)
{
	ptrdiff_t at = -1;
	char *p = arena_cstr(a, in);

	for (size_t i = 0; i < in.n; i++)
		if (p[i] == '@')
			at = (ptrdiff_t)i;
	for (size_t i = (size_t)(at + 1); i < in.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + ('a' - 'A'));
	return str_n(p, in.n);
}

bool contact_normal(struct arena *a, enum contact_kind kind, struct str in,
	const struct address_country *country, struct str *out_r, const char **why_r)
{
	struct address phone;
	struct err e = { 0 };

	*why_r = "";
	switch (kind) {
	case CONTACT_PHONE:
	case CONTACT_VIBER:
		if (address_destination(&phone, in, TON_UNKNOWN, NPI_UNKNOWN, country, &e) < 0 ||
			phone.kind != ADDRESS_PHONE) {
			*why_r = "is not a phone number";
			return false;
		}
		*out_r = arena_str(a, address_str(&phone));
		return true;
	case CONTACT_EMAIL:
		if (address_email(in, &e) < 0) {
			*why_r = "is not an email address";
			return false;
		}
		*out_r = lower_domain(a, in);
		return true;
	default:
		if (!in.n || in.n > ADDRESS_PUSH_MAX) {
			*why_r = in.n ? "is too long" : "is empty";
			return false;
		}
		*out_r = arena_str(a, in);
		return true;
	}
}

void contact_device(const struct contact *c, struct str *service_r, struct str *platform_r,
	struct str *device_r)
{
	struct str rest = c->sub;

	*service_r = *platform_r = *device_r = STR_NONE;
	if (!str_cut(&rest, '/', service_r) || !str_cut(&rest, '/', platform_r))
		return;
	*device_r = rest;
}

/* ---- loading ---- */

static int later_first(const void *a, const void *b)
{
	const struct contact *x = a, *y = b;
	bool xv = x->flags & CONTACT_VERIFIED, yv = y->flags & CONTACT_VERIFIED;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (xv != yv)
		return xv ? -1 : 1;
	if (x->since != y->since)
		return x->since > y->since ? -1 : 1;
	return str_cmp(x->value, y->value);
}

int member_contacts(struct work *w, struct member *m)
{
	struct contact some[16], *v = some;
	unsigned n = 0, cap = sizeof some / sizeof *some;
	struct sql_stmt *st;
	int got;

	if (m->contacts_loaded)
		return 0;
	st = db_st(w->db, ST_CONTACTS_OF);
	if (!st)
		return work_failed(w, "reading a member's addresses");
	sql_int(st, 1, (int64_t)m->id);
	while ((got = sql_step(st)) == 1) {
		if (n == cap) {
			struct contact *more = arena_alloc(w->arena, 4 * cap * sizeof *more);

			memcpy(more, v, n * sizeof *v);
			v = more;
			cap *= 4;
		}
		v[n++] = (struct contact){
			.kind = (enum contact_kind)sql_col(st, 0),
			.value = arena_str(w->arena, sql_col_str(st, 1)),
			.sub = arena_str(w->arena, sql_col_str(st, 2)),
			.flags = (unsigned)sql_col(st, 3),
			.since = sql_col(st, 4),
		};
	}
	if (got < 0)
		return work_failed(w, "reading a member's addresses");
	qsort(v, n, sizeof *v, later_first);
	if (v == some && n) {
		v = arena_alloc(w->arena, n * sizeof *v);
		memcpy(v, some, n * sizeof *v);
	}
	m->contacts = n ? v : NULL;
	m->contacts_n = n;
	m->contacts_loaded = true;
	return 0;
}

static bool usable(const struct contact *c, bool unverified)
{
	return !(c->flags & CONTACT_INVALID) && (unverified || (c->flags & CONTACT_VERIFIED));
}

static bool known_dead(const struct member *m, enum contact_kind kind, struct str value)
{
	for (unsigned i = 0; i < m->contacts_n; i++)
		if (m->contacts[i].kind == kind && str_eq(m->contacts[i].value, value))
			return (m->contacts[i].flags & CONTACT_INVALID) != 0;
	return false;
}

static const struct contact *linked(const struct member *m)
{
	for (unsigned i = 0; i < m->contacts_n; i++)
		if (m->contacts[i].kind == CONTACT_SOCIAL &&
			!(m->contacts[i].flags & CONTACT_INVALID))
			return &m->contacts[i];
	return NULL;
}

int member_reach(struct work *w, struct member *m, enum media media, bool unverified,
	struct reach *v, unsigned most)
{
	enum contact_kind want = contact_of_media(media);
	const struct contact *permits = NULL;
	unsigned n = 0;

	if (media >= MEDIA_RECEIPT)
		return 0;
	if (member_contacts(w, m) < 0)
		return -1;
	if (media == MEDIA_SOCIAL) {
		permits = linked(m);
		if (!permits)
			return 0;
		want = CONTACT_PHONE;
	}
	for (unsigned i = 0; i < m->contacts_n && n < most; i++) {
		const struct contact *c = &m->contacts[i];

		/* a token is proved by the app that has it */
		if (c->kind != want || !usable(c, unverified || want == CONTACT_DEVICE) ||
			(media == MEDIA_SMS && (c->flags & CONTACT_LANDLINE)))
			continue;
		v[n++] = (struct reach){ c->value, permits ? permits : c };
	}
	/* Viber goes to phone numbers; a link of its own is there only where one was told. */
	for (unsigned i = 0; media == MEDIA_VIBER && i < m->contacts_n && n < most; i++) {
		const struct contact *c = &m->contacts[i];
		bool again = false;

		if (c->kind != CONTACT_PHONE || !usable(c, unverified) ||
			(c->flags & CONTACT_LANDLINE) || known_dead(m, CONTACT_VIBER, c->value))
			continue;
		for (unsigned k = 0; k < n; k++)
			again |= str_eq(v[k].address, c->value);
		if (!again)
			v[n++] = (struct reach){ c->value, c };
	}
	return (int)n;
}

int member_has(struct work *w, struct member *m, enum contact_kind kind)
{
	if (member_contacts(w, m) < 0)
		return -1;
	for (unsigned i = 0; i < m->contacts_n; i++)
		if (m->contacts[i].kind == kind && !(m->contacts[i].flags & CONTACT_INVALID))
			return 1;
	return 0;
}

int contact_owners(
	struct work *w, enum contact_kind kind, struct str value, uint64_t *id, unsigned most)
{
	struct sql_stmt *st = db_st(w->db, ST_CONTACT_OWNERS);
	unsigned n = 0;
	int got;

	if (!st)
		return work_failed(w, "looking up an address");
	sql_text(st, 1, value);
	sql_int(st, 2, kind);
	while ((got = sql_step(st)) == 1)
		if (n < most)
			id[n++] = (uint64_t)sql_col(st, 0);
	return got < 0 ? work_failed(w, "looking up an address") : (int)n;
}

/* ---- writing ---- */

static int run(struct work *w, struct sql_stmt *st)
{
	return sql_run(st) < 0 ? work_failed(w, "writing an address") : 0;
}

/* A token is one app on one device: it leaves whoever had it before, and it replaces the token
 * that this device had. */
static int token_moves(struct work *w, struct member *m, struct str value, struct str sub)
{
	struct contact c = { .sub = sub };
	struct str service, platform, device;
	struct sql_stmt *st = db_st(w->db, ST_TOKEN_TAKE);

	if (!st)
		return work_failed(w, "writing an address");
	sql_text(st, 1, value);
	sql_int(st, 2, CONTACT_DEVICE);
	sql_int(st, 3, (int64_t)m->id);
	if (run(w, st) < 0)
		return -1;
	contact_device(&c, &service, &platform, &device);
	if (!device.n)
		return 0;
	st = db_st(w->db, ST_CONTACT_DROP_SUB);
	if (!st)
		return work_failed(w, "writing an address");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, CONTACT_DEVICE);
	sql_text(st, 3, sub);
	return run(w, st);
}

static int contact_write(struct work *w, enum st which, struct member *m, const struct contact *c)
{
	struct sql_stmt *st = db_st(w->db, which);

	if (!st)
		return work_failed(w, "writing an address");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, c->kind);
	sql_text(st, 3, c->value);
	sql_text_or_null(st, 4, c->sub);
	sql_int(st, 5, c->flags);
	sql_int(st, 6, c->since);
	m->contacts_loaded = false;
	return run(w, st);
}

int contact_put(struct work *w, struct member *m, enum contact_kind kind, struct str value,
	struct str sub, unsigned flags, wall_t since)
{
	struct contact c = {
		.kind = kind, .value = value, .sub = sub, .flags = flags, .since = since
	};
	struct sql_stmt *st;
	int got;

	if (kind == CONTACT_DEVICE && token_moves(w, m, value, sub) < 0)
		return -1;
	if (m->fresh) { /* most likely it is not there */
		if (contact_write(w, ST_CONTACT_ADD, m, &c) < 0)
			return -1;
		if (sql_changed(w->db->sql))
			return 0;
	}
	st = db_st(w->db, ST_CONTACT_GET);
	if (!st)
		return work_failed(w, "reading an address");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, kind);
	sql_text(st, 3, value);
	got = sql_step(st);
	if (got < 0)
		return work_failed(w, "reading an address");
	if (got) {
		unsigned was = (unsigned)sql_col(st, 0);
		wall_t then = sql_col(st, 1);
		bool same = !sub.n || str_eq(sub, sql_col_str(st, 2));

		sql_reset(st);
		if (!(flags & (CONTACT_VERIFIED | CONTACT_INVALID)))
			c.flags |= was & CONTACT_INVALID;
		c.flags |= was & (CONTACT_VERIFIED | CONTACT_LANDLINE);
		if (c.flags == was && same)
			return 0;
		if (since < then || !(c.flags & ~was & CONTACT_VERIFIED))
			c.since = then;
	}
	return contact_write(w, ST_CONTACT_SET, m, &c);
}

int contact_drop(struct work *w, struct member *m, enum contact_kind kind, struct str value)
{
	struct sql_stmt *st = db_st(w->db, value.n ? ST_CONTACT_DROP : ST_CONTACT_DROP_KIND);

	if (!st)
		return work_failed(w, "removing an address");
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, kind);
	if (value.n)
		sql_text(st, 3, value);
	m->contacts_loaded = false;
	if (run(w, st) < 0)
		return -1;
	/* a token that is gone is its service's affair: the other devices have the message, too */
	return value.n && kind != CONTACT_DEVICE ? member_withdraw_address(w, m, value) : 0;
}

int contact_mark_invalid(struct work *w, enum contact_kind kind, struct str value, struct str why)
{
	struct sql_stmt *st = db_st(w->db, ST_CONTACT_DEAD);

	(void)why; /* the event that said so tells it */
	if (!st)
		return work_failed(w, "marking an address as dead");
	sql_int(st, 1, CONTACT_INVALID);
	sql_text(st, 2, value);
	sql_int(st, 3, kind);
	for (struct member *m = w->members; m; m = m->next)
		m->contacts_loaded = false;
	return run(w, st);
}
