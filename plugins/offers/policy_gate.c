/* What a queued message carries of its policy, and what becomes of it when its turn comes late; and
 * the policy's word on messages of other senders. See policy.h.
 *
 * A gate's words, separated by spaces: class, row, medium, member, digits of the country with quiet
 * hours of its own or "-", zone, and allowed hours separated by ';' (they hold spaces, so they are
 * last): "0 4 0 17 371 Europe/Riga 10:00-20:00".
 */
#include "plugins/offers/policy.h"
#include "plugins/plugin.h"

#include <stdio.h>

enum { HOURS_MOST = 8 };

struct gate {
	enum class class;
	enum row row;
	enum media media;
	uint64_t member;
	struct str country;
	const struct zone *zone;
	struct window hours[HOURS_MOST];
	size_t hours_n;
};

void policy_gate_put(struct buf *b, const struct rules *r, const struct policy_case *c, size_t most)
{
	const struct zone *z = c->member ? c->member->zone : r->zone;
	struct str digits = c->address, country = STR("-");
	size_t start = b->n;
	struct buf hours = BUF_INIT;

	if (digits.n && digits.p[0] == '+')
		digits = str_skip(digits, 1);
	for (size_t i = 0; i < r->countries_n; i++)
		if (r->countries[i].prefix.n && str_starts(digits, r->countries[i].prefix)) {
			country = r->countries[i].prefix;
			break;
		}
	buf_printf(b, "%d %d %d %lu %.*s %s", (int)c->class, (int)c->row, (int)c->media,
		c->member ? c->member->id : 0, STR_ARG(country), zone_name(z));
	for (size_t i = 0; i < c->windows_n && i < HOURS_MOST; i++) {
		buf_char(&hours, i ? ';' : ' ');
		window_put(&hours, c->windows[i]);
	}
	if (b->n - start + hours.n <= most)
		buf_str(b, buf_view(&hours));
	buf_free(&hours);
}

static bool take_number(struct str *rest, uint64_t below, uint64_t *v_r)
{
	struct str word;

	return str_cut(rest, ' ', &word) && str_u64(word, v_r) && *v_r < below;
}

static bool gate_read(const struct rules *r, struct str more, struct gate *g)
{
	uint64_t class, row, media;
	struct str zone, hours;

	*g = (struct gate){ 0 };
	if (!take_number(&more, CLASS_COUNT, &class) || !take_number(&more, ROW_COUNT, &row) ||
		!take_number(&more, MEDIA_COUNT, &media) ||
		!take_number(&more, UINT64_MAX, &g->member) || !str_cut(&more, ' ', &g->country) ||
		!str_cut(&more, ' ', &zone))
		return false;
	g->class = (enum class) class;
	g->row = (enum row)row;
	g->media = (enum media)media;
	g->zone = zone_find(zone, NULL);
	while (g->hours_n < HOURS_MOST && str_cut(&more, ';', &hours))
		if (!window_parse(hours, &g->hours[g->hours_n]))
			g->hours[g->hours_n++].holidays = &r->holidays;
	return g->zone != NULL;
}

wall_t policy_gate(const struct rules *r, struct str more, wall_t now)
{
	wall_t t = now, was;
	struct gate g;

	if (!gate_read(r, more, &g))
		return 0; /* of another version: better late than never */
	for (unsigned i = 0; i < 32; i++) {
		was = t;
		if (g.hours_n)
			t = window_next(g.hours, g.hours_n, g.zone, t);
		if (t)
			t = policy_reopen(r, g.class, g.media,
				str_is(g.country, "-") ? STR_NONE : g.country, g.zone, t, NULL);
		if (!t)
			return 0; /* the hours were changed and leave none: they hold no more */
		if (t == was)
			return t == now ? 0 : t;
	}
	return 0;
}

/* ---- what a network has to approve of ---- */
enum { PARKED_MIN = 5 }; /* looked at again */

void policy_gate_moderated(struct buf *b, wall_t hours_until)
{
	buf_printf(b, "@%lld ", (long long)hours_until);
}

/* "@UNTIL " at its head: taken off. */
static bool take_moderated(struct str *more, wall_t *until_r)
{
	struct str word;
	uint64_t until;

	*until_r = 0;
	if (!str_starts(*more, STR("@")))
		return false;
	str_cut(more, ' ', &word);
	if (str_u64(str_skip(word, 1), &until))
		*until_r = (wall_t)until;
	return true;
}

wall_t policy_gate_parked(const struct rules *r, const struct message *m, wall_t now,
	struct str *more, struct outcome *why)
{
	wall_t hours;
	const char *state;

	if (!take_moderated(more, &hours))
		return 0;
	state = template_moderation(r->templates, message_get(m, FIELD_TEMPLATE));
	if (state) {
		*why = outcome_words(REASON_MODERATION, "the template %.*s is %s",
			STR_ARG(message_get(m, FIELD_TEMPLATE)), state);
		return now + PARKED_MIN * DUR_MIN;
	}
	if (!hours || now < hours)
		*more = STR_NONE;
	return 0;
}

/* ---- other senders ---- */

static int find_owner(struct work *w, const struct message *m, struct member **m_r)
{
	struct str to = message_get(m, FIELD_TO);

	*m_r = NULL;
	if (m->media == MEDIA_EMAIL)
		return member_find(w, ALIAS_EMAIL, to, m_r);
	if (m->media == MEDIA_SMS || m->media == MEDIA_VIBER || m->media == MEDIA_SOCIAL)
		return member_find(w, ALIAS_PHONE, to, m_r);
	if (m->media == MEDIA_PUSH)
		return member_find(w, ALIAS_DEVICE, to, m_r);
	return 0;
}

/* Attempts of one cascade, "4711:2", count as one message: the whole's. */
static uint64_t whole_of(const struct message *m)
{
	struct str id = message_get(m, FIELD_CLIENT_ID), head;
	uint64_t whole;

	if (message_has(m, FIELD_ON_BEHALF) && str_cut(&id, ':', &head) && str_u64(head, &whole))
		return whole;
	return 0;
}

static enum reason reason_of(const struct policy_ruling *r)
{
	switch (r->hold) {
	case HOLD_NONE: /* it waits: for the hours, or for what a cap leaves free */
		return strncmp(r->words, "cap", 3) == 0 ? REASON_CAP : REASON_QUIET_HOURS;
	case HOLD_QUIET:
		return REASON_QUIET_HOURS;
	case HOLD_CONSENT:
		return REASON_CONSENT;
	case HOLD_BLOCKED:
		return REASON_SUPPRESSION;
	case HOLD_CAP:
		return REASON_CAP;
	case HOLD_LEFT:
		return REASON_LEFT;
	case HOLD_EXPIRED:
		return REASON_EXPIRED;
	default:
		return REASON_POLICY;
	}
}

int policy_case_of(struct work *w, const struct message *m, struct str more, struct policy_case *c)
{
	struct gate *g;
	wall_t until;

	take_moderated(&more, &until);
	*c = (struct policy_case){ .class = CLASS_MARKETING,
		.row = ROW_ADVERT,
		.media = (enum media)m->media,
		.address = message_get(m, FIELD_TO),
		.due = m->send_at,
		.expires = m->expires,
		.msg = whole_of(m) };
	if (more.n && gate_read(w->rules, more, g = arena_alloc(w->arena, sizeof *g))) {
		/* of our own cascade: counted when it was begun */
		c->class = g->class;
		c->row = g->row;
		c->windows = g->hours;
		c->windows_n = g->hours_n;
		c->no_caps = true;
		if (g->member && member_load(w, g->member, &c->member) < 0)
			return -1;
	} else if (find_owner(w, m, &c->member) < 0) {
		return -1;
	}
	c->subject = policy_subject(c->member, c->address);
	return 0;
}

int policy_submitted(
	struct work *w, const struct message *m, struct str more, struct plugin_policy *p)
{
	struct policy_case c;
	struct policy_ruling r;
	struct buf b = BUF_INIT;

	if (policy_case_of(w, m, more, &c) < 0 || policy_judge(w, &c, &r) < 0)
		return -1;
	p->verdict = r.hold == HOLD_EXPIRED ? POLICY_HOLD /* for longer than it may take */
		     : r.hold               ? POLICY_SUPPRESS
		     : r.due > w->now       ? POLICY_HOLD
					    : POLICY_GO;
	p->until = r.due;
	p->reason = p->verdict == POLICY_GO ? REASON_NONE : reason_of(&r);
	snprintf(p->words, sizeof p->words, "%s%s%.*s", r.hold ? hold_word(r.hold) : "",
		r.hold && r.words[0] ? ": " : "", (int)sizeof p->words - 16, r.words);
	if (r.hold)
		return 0;
	p->open_until = r.open_until;
	policy_gate_put(&b, w->rules, &c, sizeof p->more);
	if (b.n <= sizeof p->more) {
		memcpy(p->more, b.p, b.n);
		p->more_n = b.n;
	} else {
		p->open_until = 0;
	}
	buf_free(&b);
	if (c.no_caps)
		return 0;
	/* Attempts of a cascade are one message, counted where the last of them went. */
	if (c.msg && policy_untouch(w, c.subject, c.msg) < 0)
		return -1;
	if (!c.msg)
		c.msg = p->id;
	return policy_touch(w, &c, r.due, c.msg);
}
