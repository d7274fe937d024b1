/* What members agreed to: the matrix of rows and channels, its history, addresses that must not be
 * written to, and taking back what waits when agreement ends. See member.h.
 *
 * A cell is looked for from the widest refusal to the default: the whole channel off wins over all;
 * then the cell itself; then its row; then policy's default. Turning a channel off and on again
 * leaves the cells as they were. Row and channel -1 stand for all of them.
 */
#include "plugins/offers/member.h"

#include <stdio.h>

enum { WAIT_MOST_DAYS = 8 }; /* nothing waits longer in a queue: validity_most, and a day */

uint64_t address_subject(struct str address)
{
	/* members' numbers are small: bit 62 keeps addresses apart from them */
	return (str_hash(address) & ~(3ull << 62)) | 1ull << 62;
}

void address_digest(struct str address, char out[ADDRESS_DIGEST])
{
	snprintf(out, ADDRESS_DIGEST, "%016lx", address.n ? str_hash(address) : 0);
}

/* ---- reading ---- */

static int cells(struct work *w, struct member *m)
{
	struct consent_cell some[ROW_COUNT * MEDIA_COUNT + ROW_COUNT + MEDIA_COUNT + 1];
	unsigned n = 0;
	struct sql_stmt *st;
	int got;

	if (m->consent_loaded)
		return 0;
	st = db_st(w->db, ST_CONSENT_OF);
	if (!st)
		return work_failed(w, "reading subscriptions");
	sql_int(st, 1, (int64_t)m->id);
	while ((got = sql_step(st)) == 1)
		if (n < sizeof some / sizeof *some)
			some[n++] = (struct consent_cell){ (int)sql_col(st, 0), (int)sql_col(st, 1),
				(unsigned)sql_col(st, 2) };
	if (got < 0)
		return work_failed(w, "reading subscriptions");
	m->consent = NULL;
	if (n) {
		m->consent = arena_alloc(w->arena, n * sizeof *some);
		memcpy(m->consent, some, n * sizeof *some);
	}
	m->consent_n = n;
	m->consent_loaded = true;
	return 0;
}

static const struct consent_cell *cell(const struct member *m, int row, int channel)
{
	for (unsigned i = 0; i < m->consent_n; i++)
		if (m->consent[i].row == row && m->consent[i].channel == channel)
			return &m->consent[i];
	return NULL;
}

static bool refused(const struct member *m, int row, int channel)
{
	const struct consent_cell *c = cell(m, row, channel);

	return c && !(c->flags & CONSENT_GRANTED);
}

static bool row_read_only(const struct rules *r, int row)
{
	if (!r || !r->conf || row < 0)
		return false;
	for (size_t i = 0; i < r->conf->policy.read_only_n; i++)
		if (str_is(str_of(r->conf->policy.read_only[i]), row_word((enum row)row)))
			return true;
	return false;
}

enum consent_default { CONSENT_ALL, CONSENT_NONE, CONSENT_SERVICE_ONLY };

static bool by_default(const struct work *w, enum class class)
{
	int d = w->rules && w->rules->conf ? w->rules->conf->policy.consent_default
					   : CONSENT_SERVICE_ONLY;

	return d == CONSENT_ALL || (d == CONSENT_SERVICE_ONLY && class != CLASS_MARKETING);
}

static bool channel_off(const struct member *m, int channel)
{
	return refused(m, -1, channel) || refused(m, -1, -1);
}

int member_agrees(
	struct work *w, struct member *m, enum row row, enum class class, enum media media)
{
	const struct consent_cell *c;

	if (m->state == MEMBER_LEFT || m->state == MEMBER_BLOCKED)
		return 0;
	if (cells(w, m) < 0)
		return -1;
	if (channel_off(m, (int)media))
		return 0;
	if (class == CLASS_LEGAL)
		return 1;
	/* What they said of advertising does not stop what a service has to say. */
	if (class == CLASS_SERVICE && (row == ROW_OFFER || row == ROW_ADVERT))
		return by_default(w, class) ||
		       (c = cell(m, (int)row, (int)media), c && c->flags & CONSENT_GRANTED);
	c = cell(m, (int)row, (int)media);
	/* Who wants neither offers nor advertising wants no marketing, whatever row it falls under.
	 */
	if (class == CLASS_MARKETING && refused(m, ROW_OFFER, (int)media) &&
		refused(m, ROW_ADVERT, (int)media))
		return 0;
	if (!c)
		c = cell(m, (int)row, -1);
	return c ? (c->flags & CONSENT_GRANTED) != 0 : by_default(w, class);
}

int member_consent_locked(struct work *w, struct member *m, int row, int channel)
{
	if (cells(w, m) < 0)
		return -1;
	for (unsigned i = 0; i < m->consent_n; i++)
		if ((m->consent[i].flags & CONSENT_READ_ONLY) && m->consent[i].row == row &&
			(channel < 0 || m->consent[i].channel < 0 ||
				m->consent[i].channel == channel))
			return 1;
	return 0;
}

int member_consent(
	struct work *w, struct member *m, enum row row, enum media media, struct consent_view *v_r)
{
	const struct consent_cell *c;
	int locked = member_consent_locked(w, m, (int)row, (int)media);

	if (locked < 0)
		return -1;
	c = cell(m, (int)row, (int)media);
	if (!c)
		c = cell(m, (int)row, -1);
	v_r->said = c != NULL;
	v_r->off = channel_off(m, (int)media);
	v_r->granted = c ? (c->flags & CONSENT_GRANTED) != 0 : by_default(w, CLASS_MARKETING);
	v_r->read_only = row_read_only(w->rules, (int)row) || locked;
	return 0;
}

/* ---- taking back ---- */

static int withdraw(struct work *w, uint64_t msg)
{
	return work_deed(w, DEED_WITHDRAW, msg, STR_NONE, STR_NONE);
}

struct waiting {
	uint64_t msg;
	int row, class, media;
	struct str address;
};

/* What may still wait for that subject; lives in the arena. */
static int waiting(struct work *w, uint64_t member, uint64_t subject, struct waiting **v_r)
{
	struct sql_stmt *st = db_st(w->db, ST_WAITING);
	struct waiting *v = NULL;
	int n = 0, cap = 0, got;

	*v_r = NULL;
	if (!st)
		return work_failed(w, "looking up what waits");
	sql_int(st, 1, (int64_t)member);
	sql_int(st, 2, w->now - WAIT_MOST_DAYS * DUR_DAY);
	sql_int(st, 3, (int64_t)subject);
	sql_int(st, 4, zone_local(zone_utc(), w->now).day - WAIT_MOST_DAYS);
	while ((got = sql_step(st)) == 1) {
		if (n == cap) {
			struct waiting *more =
				arena_alloc(w->arena, (size_t)(2 * cap + 8) * sizeof *more);

			if (n)
				memcpy(more, v, (size_t)n * sizeof *v);
			v = more;
			cap = 2 * cap + 8;
		}
		v[n++] = (struct waiting){ (uint64_t)sql_col(st, 0), (int)sql_col(st, 1),
			(int)sql_col(st, 2), (int)sql_col(st, 3),
			arena_str(w->arena, sql_col_str(st, 4)) };
	}
	*v_r = v;
	return got < 0 ? work_failed(w, "looking up what waits") : n;
}

int member_withdraw_refused(struct work *w, struct member *m)
{
	struct waiting *v;
	int n = waiting(w, m->id, m->id, &v);

	for (int i = 0; i < n; i++) {
		int may = member_agrees(
			w, m, (enum row)v[i].row, (enum class)v[i].class, (enum media)v[i].media);

		if (may < 0 || (!may && withdraw(w, v[i].msg) < 0))
			return -1;
	}
	return n < 0 ? -1 : 0;
}

int member_withdraw_address(struct work *w, struct member *m, struct str address)
{
	char digest[ADDRESS_DIGEST];
	struct waiting *v;
	int n = waiting(w, m->id, m->id, &v);

	address_digest(address, digest);
	for (int i = 0; i < n; i++) {
		struct reach ways[16];
		bool still = false;
		int k;

		if (!str_is(v[i].address, digest))
			continue;
		k = member_reach(w, m, (enum media)v[i].media, true, ways, 16);
		while (k-- > 0)
			still |= str_eq(ways[k].address, address);
		if (!still && withdraw(w, v[i].msg) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

int member_withdraw_all(struct work *w, struct member *m, unsigned *n_r)
{
	struct waiting *v;
	int n = waiting(w, m->id, m->id, &v);

	for (int i = 0; i < n; i++)
		if (work_deed(w, DEED_CANCEL, v[i].msg, STR_NONE, STR_NONE) < 0)
			return -1;
	if (n_r)
		*n_r = n > 0 ? (unsigned)n : 0;
	return n < 0 ? -1 : 0;
}

/* ---- changing ---- */

static int cell_write(
	struct work *w, struct member *m, int row, int channel, bool granted, wall_t at)
{
	struct sql_stmt *st;

	if (row < 0 && granted) { /* on again: the cells below are as they were */
		st = db_st(w->db, ST_CONSENT_DROP);
		if (!st)
			return -1;
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, row);
		sql_int(st, 3, channel);
		return sql_run(st);
	}
	if (row >= 0 && channel < 0) { /* what was said of single cells is not true any more */
		st = db_st(w->db, ST_CONSENT_DROP_ROW);
		if (!st)
			return -1;
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, row);
		if (sql_run(st) < 0)
			return -1;
	}
	/* an insert that may have to update costs SQLite a journal */
	for (int i = m->fresh ? 0 : 1; i < 2; i++) {
		st = db_st(w->db, i ? ST_CONSENT_SET : ST_CONSENT_ADD);
		if (!st)
			return -1;
		sql_int(st, 1, (int64_t)m->id);
		sql_int(st, 2, row);
		sql_int(st, 3, channel);
		sql_int(st, 4, granted ? CONSENT_GRANTED : 0);
		sql_int(st, 5, at);
		if (sql_run(st) < 0)
			return -1;
		if (sql_changed(w->db->sql))
			break;
	}
	return 0;
}

static int consent_note(struct work *w, const struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, wall_t at)
{
	struct sql_stmt *st = db_st(w->db, ST_CONSENT_LOG);

	if (!st)
		return -1;
	sql_int(st, 1, (int64_t)m->id);
	sql_int(st, 2, row);
	sql_int(st, 3, channel);
	sql_int(st, 4, granted ? CONSENT_GRANTED : 0);
	sql_int(st, 5, at);
	sql_text_or_null(st, 6, by);
	sql_text_or_null(st, 7, proof);
	return sql_run(st);
}

int member_set_consent(struct work *w, struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, bool force)
{
	return member_said_consent(w, m, row, channel, granted, by, proof, force, w->now);
}

int member_said_consent(struct work *w, struct member *m, int row, int channel, bool granted,
	struct str by, struct str proof, bool force, wall_t at)
{
	const struct consent_cell *c;
	int locked = member_consent_locked(w, m, row, channel);

	if (locked < 0)
		return -1;
	if (!force && (locked || row_read_only(w->rules, row)))
		return 1;
	c = cell(m, row, channel);
	/* no change, nothing to be kept: a nightly import would make the history grow for ever */
	if (c && (c->flags & CONSENT_GRANTED) == (granted ? CONSENT_GRANTED : 0u) &&
		(row < 0 || (channel >= 0 && !proof.n)))
		return 0;
	if (cell_write(w, m, row, channel, granted, at) < 0 ||
		consent_note(w, m, row, channel, granted, by, proof, at) < 0)
		return work_failed(w, "writing a subscription");
	m->consent_loaded = false;
	return granted ? 0 : member_withdraw_refused(w, m);
}

int member_lock_consent(struct work *w, struct member *m, int row, int channel, bool locked)
{
	struct sql_stmt *st = db_st(w->db, ST_CONSENT_LOCK);

	if (!st)
		return work_failed(w, "writing a subscription");
	sql_int(st, 1, locked ? CONSENT_READ_ONLY : 0);
	sql_int(st, 2, (int64_t)m->id);
	sql_int(st, 3, row);
	sql_int(st, 4, channel);
	m->consent_loaded = false;
	return sql_run(st) < 0 ? work_failed(w, "writing a subscription") : 0;
}

/* ---- addresses ---- */

/* As member_agrees() takes the same words of a member: of what is marketing, both rows of
 * advertising together are all of it; what a service or the law has to say they do not concern. */
static bool rows_cover(unsigned blocked, enum row row, enum class class)
{
	const unsigned advertising = 1u << ROW_OFFER | 1u << ROW_ADVERT;

	if (class == CLASS_LEGAL)
		return false;
	if (class == CLASS_MARKETING)
		return blocked & 1u << row || (blocked & advertising) == advertising;
	return blocked & 1u << row & ~advertising;
}

/* 1: blocked, 0, -1. */
int address_blocked(
	struct work *w, struct str address, enum media media, enum row row, enum class class)
{
	struct sql_stmt *st = db_st(w->db, ST_BLOCKED);
	unsigned rows = 0;
	bool whole = false;
	int got;

	if (!st)
		return work_failed(w, "looking up a suppression");
	sql_text(st, 1, address);
	sql_int(st, 2, media);
	sql_int(st, 3, w->now);
	while ((got = sql_step(st)) == 1) {
		int64_t of = sql_col(st, 0);

		whole |= of < 0;
		if (of >= 0 && of < ROW_COUNT)
			rows |= 1u << of;
	}
	sql_reset(st);
	return got < 0 ? work_failed(w, "looking up a suppression")
		       : whole || rows_cover(rows, row, class);
}

/* What waits for the address: to its known owners, and to it as such. */
static int withdraw_address(struct work *w, struct str address, enum media media)
{
	uint64_t owner[17];
	char digest[ADDRESS_DIGEST];
	/* a social network is written to by phone number */
	enum contact_kind kind = media == MEDIA_SOCIAL || media == MEDIA_VIBER
					 ? CONTACT_PHONE
					 : contact_of_media(media);
	int owners = contact_owners(w, kind, address, owner, 16);

	if (owners < 0)
		return -1;
	address_digest(address, digest);
	owner[owners++] = 0; /* none: the address itself */
	for (int o = 0; o < owners; o++) {
		struct waiting *v;
		int n = waiting(w, owner[o], owner[o] ? owner[o] : address_subject(address), &v);

		for (int i = 0; i < n; i++) {
			int is;

			if (v[i].media != (int)media ||
				(v[i].address.n && !str_is(v[i].address, digest)))
				continue;
			is = address_blocked(
				w, address, media, (enum row)v[i].row, (enum class)v[i].class);
			if (is < 0 || (is && withdraw(w, v[i].msg) < 0))
				return -1;
		}
		if (n < 0)
			return -1;
	}
	return 0;
}

int address_listed(struct work *w, struct str address, enum media media, int row)
{
	struct sql_stmt *st = db_st(w->db, ST_BLOCK_THERE);
	int rc;

	if (!st)
		return work_failed(w, "looking up a suppression");
	sql_text(st, 1, address);
	sql_int(st, 2, media);
	sql_int(st, 3, row);
	rc = sql_step(st);
	sql_reset(st);
	return rc < 0 ? work_failed(w, "looking up a suppression") : rc;
}

int address_block(struct work *w, struct str address, enum media media, int row, struct str reason,
	struct str by, struct str proof)
{
	struct sql_stmt *st = db_st(w->db, ST_BLOCK_SET);

	if (!st)
		return work_failed(w, "writing a suppression");
	sql_text(st, 1, address);
	sql_int(st, 2, media);
	sql_int(st, 3, row);
	sql_text(st, 4, reason);
	sql_int(st, 5, w->now);
	sql_text_or_null(st, 6, by);
	sql_text_or_null(st, 7, proof);
	if (sql_run(st) < 0)
		return work_failed(w, "writing a suppression");
	return withdraw_address(w, address, media);
}

/* reason: only what was blocked for that; empty: for whatever. */
static int unblock(struct work *w, struct str address, enum media media, int row, struct str reason)
{
	struct sql_stmt *st = db_st(w->db, reason.n ? ST_BLOCK_DROP_FOR : ST_BLOCK_DROP);

	if (!st)
		return work_failed(w, "removing a suppression");
	sql_text(st, 1, address);
	sql_int(st, 2, media);
	sql_int(st, 3, row);
	if (reason.n)
		sql_text(st, 4, reason);
	if (sql_run(st) < 0)
		return work_failed(w, "removing a suppression");
	return sql_changed(w->db->sql) > 0;
}

int address_unblock(struct work *w, struct str address, enum media media, int row)
{
	return unblock(w, address, media, row, STR_NONE);
}

int address_unblock_for(
	struct work *w, struct str address, enum media media, int row, struct str reason)
{
	return unblock(w, address, media, row, reason);
}
