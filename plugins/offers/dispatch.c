/* From an intent to a message in a queue: the ways of `via`, one after the other. See dispatch.h.
 */
#include "plugins/offers/dispatch.h"
#include "gateway/mail/mail.h"
#include "plugins/offers/sent.h"
#include "plugins/plugin.h"

#include <stdio.h>

enum { PLACE_SHIFT = 8, HASH_BITS = 43 }; /* of dispatch_id() */
enum { DEVICES_MOST = 8, STEPS_MOST = 15 };

/* How far a way got; of several the one that got furthest tells why nothing was sent. */
enum stage { STAGE_CONTACT, STAGE_ROUTE, STAGE_CONSENT, STAGE_TIME, STAGE_CONTENT, STAGE_DOOR };

/* One entry of `via`, looked at. */
struct way {
	enum media media;
	enum hold_reason hold;
	enum stage stage;
	struct reach to[DEVICES_MOST]; /* push: all devices; else one */
	unsigned n;
	struct str address; /* of the first */
	struct policy_case c;
	struct policy_ruling ruling;
	char words[200];
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2);
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

uint64_t dispatch_id(const struct sending *s)
{
	uint64_t h = mix(s->object, s->member->id);

	h = mix(h, s->step);
	if (s->receipt) {
		h = mix(mix(h, 1), s->receipt);
	} else {
		h = mix(mix(h, 2), s->run);
		h = mix(h, s->key);
	}
	/* Its upper bits are those of the run (of a task's: the member), so that rows that are
	 * written one after the other lie side by side, and a commit writes few pages. */
	if (!s->receipt)
		h = (s->run >> PLACE_SHIFT) << HASH_BITS | (h & ((1ull << HASH_BITS) - 1));
	h &= INT64_MAX;
	return h ? h : 1;
}

/* ---- one way ---- */

static wall_t expiry_of(const struct work *w, const struct sending *s)
{
	if (s->expires)
		return s->expires;
	if (s->offer && !span_is_zero(s->offer->expires))
		return zone_add(s->member->zone, s->due, s->offer->expires);
	if (!span_is_zero(w->rules->expires))
		return zone_add(s->member->zone, s->due, w->rules->expires);
	return 0;
}

static void way_stops(struct way *y, enum stage stage, enum hold_reason hold, const char *words)
{
	y->stage = stage;
	y->hold = hold;
	str_copy(y->words, sizeof y->words, str_of(words));
}

/* A device whose token is blocked does not hold the others. */
static int drop_blocked_devices(struct work *w, const struct sending *s, struct way *y)
{
	unsigned n = 0;

	if (y->n < 2 || y->media != MEDIA_PUSH)
		return 0;
	for (unsigned i = 0; i < y->n; i++) {
		int is = address_blocked(w, y->to[i].address, y->media, s->row, s->class);

		if (is < 0)
			return -1;
		if (!is)
			y->to[n++] = y->to[i];
	}
	if (n) {
		y->n = n;
		y->address = y->to[0].address;
	}
	return 0;
}

static int way_judge(
	struct work *w, const struct sending *s, enum media media, wall_t expires, struct way *y)
{
	int n;

	memset(y, 0, offsetof(struct way, words));
	y->media = media;
	y->words[0] = '\0';
	y->address = STR_NONE;
	n = member_reach(w, s->member, media, w->rules->conf->policy.unverified, y->to,
		media == MEDIA_PUSH ? DEVICES_MOST : 1);
	if (n < 0)
		return -1;
	y->n = (unsigned)n;
	if (n)
		y->address = y->to[0].address;
	if (!n) {
		way_stops(y, STAGE_CONTACT, HOLD_NO_CONTACT, "");
		return 0;
	}
	if (!(w->rules->media & MEDIA_BIT(media))) {
		way_stops(y, STAGE_ROUTE, HOLD_NO_ROUTE, "");
		return 0;
	}
	if (drop_blocked_devices(w, s, y) < 0)
		return -1;
	y->c = (struct policy_case){ .member = s->member,
		.subject = policy_subject(s->member, y->address),
		.class = s->class,
		.row = s->row,
		.media = media,
		.address = y->address,
		.due = s->due,
		.expires = expires,
		.windows = s->windows,
		.windows_n = s->windows_n,
		.deliver_now = s->deliver_now };
	if (policy_judge(w, &y->c, &y->ruling) < 0)
		return -1;
	if (y->ruling.hold)
		way_stops(y,
			y->ruling.hold == HOLD_CONSENT || y->ruling.hold == HOLD_BLOCKED
				? STAGE_CONSENT
				: STAGE_TIME,
			y->ruling.hold, y->ruling.words);
	return 0;
}

/* ---- the message ---- */

static enum hold_reason hold_of_fault(enum render_fault f)
{
	switch (f) {
	case RENDER_TOO_LONG:
	case RENDER_TOO_LONG_SKIP:
	case RENDER_ALPHABET:
		return HOLD_TOO_LONG;
	case RENDER_UNMODERATED:
		return HOLD_MODERATION;
	default:
		return HOLD_MISSING;
	}
}

static struct str sender_of(const struct rules *r, enum media media)
{
	const struct policy_conf *p = &r->conf->policy;

	for (size_t i = 0; i < p->from_n; i++)
		if (strcmp(p->from[i].key, media_word(media)) == 0)
			return str_of(p->from[i].value);
	return STR_NONE;
}

/* Of mail the name before the address is a field of its own. */
static void put_sender(struct draft *d, struct str sender, enum media media)
{
	struct buf name = BUF_INIT;
	struct str address;

	if (media == MEDIA_EMAIL && mail_mailbox(sender, &name, &address)) {
		draft_put(d, FIELD_FROM_NAME, buf_view(&name));
		sender = address;
	}
	draft_put(d, FIELD_FROM, sender);
	buf_free(&name);
}

/* Of a device its platform, of a link its network; else none. */
static struct str platform_of(const struct contact *c)
{
	struct str service, platform, device;

	if (c->kind == CONTACT_SOCIAL)
		return c->sub;
	if (c->kind != CONTACT_DEVICE)
		return STR_NONE;
	contact_device(c, &service, &platform, &device);
	if (platform.n)
		return platform;
	return str_is(service, "apns")  ? STR("ios")
	       : str_is(service, "hms") ? STR("huawei")
	       : str_is(service, "fcm") ? STR("android")
					: STR_NONE;
}

static const enum priority priority_of[CLASS_COUNT] = { [CLASS_MARKETING] = PRIORITY_BULK,
	[CLASS_SERVICE] = PRIORITY_NORMAL,
	[CLASS_LEGAL] = PRIORITY_HIGH };

#define NEVER_SHUT (INT64_MAX / 4) /* of a gate: its words are for who judges an attempt */

/* One message to one address of the way; cascade: it is, or has, an attempt, which is judged again
 * when it is begun, by what its gate says; steps: what follows when it fails. */
static struct message *make_message(struct work *w, const struct way *y, unsigned device,
	wall_t expires, const struct rendering *content, bool cascade,
	const struct plugin_step *steps, size_t n)
{
	struct draft d;
	struct buf more = BUF_INIT;
	struct message *m;

	draft_init(&d);
	rendering_put(content, &d);
	d.head.media = (uint8_t)y->media;
	d.head.priority = (uint8_t)priority_of[y->c.class];
	d.head.wants = WANT_DELIVERED | WANT_FAILED;
	d.head.send_at = y->ruling.due > w->now ? y->ruling.due : 0;
	d.head.expires = expires;
	draft_put(&d, FIELD_TO, y->to[device].address);
	put_sender(&d, sender_of(w->rules, y->media), y->media);
	/* a link that turns its row off, in what is marketing; not in receipts and codes */
	if (y->media == MEDIA_EMAIL && y->c.class == CLASS_MARKETING)
		draft_put(&d, FIELD_UNSUBSCRIBE, str_of(row_word(y->c.row)));
	draft_put(&d, FIELD_PLATFORM, platform_of(y->to[device].contact));
	if (n)
		plugin_put_fallback(&d, steps, n);
	if (y->media == MEDIA_SOCIAL)
		policy_gate_moderated(&more, y->ruling.open_until);
	if (y->ruling.open_until || cascade)
		policy_gate_put(&more, w->rules, &y->c, SIZE_MAX);
	if (more.n)
		plugin_put_gate(&d,
			y->media == MEDIA_SOCIAL ? 1
			: y->ruling.open_until   ? y->ruling.open_until
						 : NEVER_SHUT,
			buf_view(&more));
	buf_free(&more);
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static int render_way(
	const struct work *w, const struct sending *s, struct way *y, struct rendering *content)
{
	struct reader reader = { .values = s->source,
		.language = s->member->lang.n ? s->member->lang
					      : str_of(w->rules->conf->policy.language),
		.zone = s->member->zone };

	if (template_render(s->template, y->media, &reader, content) == 0)
		return 0;
	way_stops(y, STAGE_CONTENT, hold_of_fault(content->fault), content->why);
	return -1;
}

/* 0: refused at the door, and the way says so; -1: the store failed. */
static int hand_over(struct work *w, struct way *y, struct message *m, uint64_t *id_r)
{
	struct outcome why = outcome_of(REASON_NONE);

	*id_r = w->send(w, m, &why);
	if (*id_r)
		return 1;
	if (why.reason == REASON_STORE)
		return work_failed(w, "keeping a message");
	way_stops(y, STAGE_DOOR, why.reason == REASON_TOO_LONG ? HOLD_TOO_LONG : HOLD_NO_ROUTE,
		why.words[0] ? why.words : reason_text(why.reason));
	return 0;
}

/* A message to each address of the way. 1: at least one was taken, 0: none, -1. */
static int send_way(struct work *w, const struct sending *s, struct way *y, wall_t expires,
	uint64_t sent, uint64_t *msg_r)
{
	struct rendering content;
	int rc = 0;

	rendering_init(&content);
	*msg_r = 0;
	if (render_way(w, s, y, &content) == 0)
		for (unsigned i = 0; i < y->n && rc >= 0; i++) {
			uint64_t id;

			rc = hand_over(w, y,
				make_message(w, y, i, expires, &content, false, NULL, 0), &id);
			if (rc < 1)
				continue;
			if (!*msg_r)
				*msg_r = id;
			work_queued(w, id);
			if (y->n > 1)
				rc = sent_part(w, id, sent, y->to[i].address);
		}
	rendering_free(&content);
	if (rc < 0)
		return -1;
	if (*msg_r)
		y->hold = HOLD_NONE;
	return *msg_r != 0;
}

/* ---- a cascade: ways that follow one another when nothing is delivered ---- */

/* The remaining ways as steps; each device of a push is one, and they begin together. */
static int make_steps(struct work *w, const struct sending *s, wall_t expires, unsigned from,
	struct plugin_step *steps, size_t *n_r)
{
	const struct via *via = s->via;
	size_t n = 0;

	for (unsigned i = from; i < via->n && n < STEPS_MOST; i++) {
		struct rendering content;
		struct way y;

		*n_r = n; /* they are the caller's, whatever comes */
		if (way_judge(w, s, (enum media)via->media[i], expires, &y) < 0)
			return -1;
		/* Hours and caps are asked again when its turn comes. */
		if (y.hold && y.hold != HOLD_QUIET)
			continue;
		y.ruling.due = w->now;
		rendering_init(&content);
		if (render_way(w, s, &y, &content) == 0)
			for (unsigned k = 0; k < y.n && n < STEPS_MOST; k++)
				steps[n++] = (struct plugin_step){ .msg = make_message(w, &y, k,
									   expires, &content, true,
									   NULL, 0),
					.after = k ? PLUGIN_STEP_AT_ONCE : via->fall_back_after };
		rendering_free(&content);
	}
	*n_r = n;
	return 0;
}

static int send_cascade(struct work *w, const struct sending *s, struct way *y, unsigned index,
	wall_t expires, uint64_t *msg_r)
{
	struct plugin_step steps[STEPS_MOST + DEVICES_MOST];
	struct rendering content;
	size_t devices = 0, n = 0;
	int rc = 0;

	rendering_init(&content);
	*msg_r = 0;
	if (render_way(w, s, y, &content) == 0) {
		for (unsigned k = 1; k < y->n; k++)
			steps[devices++] = (struct plugin_step){
				.msg = make_message(w, y, k, expires, &content, true, NULL, 0),
				.after = PLUGIN_STEP_AT_ONCE
			};
		rc = make_steps(w, s, expires, index + 1, steps + devices, &n);
		n += devices;
		if (rc == 0)
			rc = hand_over(w, y,
				make_message(w, y, 0, expires, &content, true, steps,
					n < STEPS_MOST ? n : STEPS_MOST),
				msg_r);
		for (size_t i = 0; i < n; i++) {
			struct message *m = (struct message *)(uintptr_t)steps[i].msg;

			message_unref(&m);
		}
		if (rc == 1)
			work_queued(w, *msg_r);
	}
	rendering_free(&content);
	return rc;
}

/* ---- all of them ---- */

static bool furthest(const struct way *y, const struct way *best, bool any)
{
	return !any || y->stage > best->stage;
}

enum { WAITS = 2 };

/* 1: sent, 0: not, WAITS: it could not leave yet, and is not to be made before. */
static int try_way(struct work *w, const struct sending *s, unsigned index, wall_t expires,
	uint64_t sent, struct way *y, uint64_t *msg_r)
{
	if (s->come_again && y->ruling.due > w->now)
		return WAITS;
	if (s->via->fall_back_after > 0 && index + 1 < s->via->n)
		return send_cascade(w, s, y, index, expires, msg_r);
	return send_way(w, s, y, expires, sent, msg_r);
}

/* The first way that passes; *best is then that, else the one that got furthest. 0, WAITS, -1. */
static int try_ways(struct work *w, const struct sending *s, wall_t expires, uint64_t sent,
	struct way *best, uint64_t *msg_r)
{
	const struct class_conf *conf = w->rules->classes[s->class].conf;
	bool any = false;
	int later = -1, rc;
	struct way y;

	best->hold = HOLD_NO_CONTACT;
	best->words[0] = '\0';
	best->media = s->via->n ? (enum media)s->via->media[0] : MEDIA_COUNT;
	*msg_r = 0;
	for (unsigned i = 0; i < s->via->n; i++) {
		if (way_judge(w, s, (enum media)s->via->media[i], expires, &y) < 0)
			return -1;
		rc = y.hold ? 0 : try_way(w, s, i, expires, sent, &y, msg_r);
		if (rc < 0)
			return -1;
		if (rc || furthest(&y, best, any))
			*best = y;
		any = true;
		if (rc || y.hold == HOLD_LEFT)
			return rc == WAITS ? WAITS : 0;
		if (y.hold == HOLD_QUIET && later < 0 && conf && conf->on_quiet == 2 &&
			y.ruling.due)
			later = (int)i;
		if (y.hold == HOLD_NO_CONTACT && w->rules->conf->policy.when_no_contact == 1)
			break;
	}
	if (later < 0)
		return 0;
	/* "next-channel", and no other is open: it waits for the first that was quiet. */
	if (way_judge(w, s, (enum media)s->via->media[later], expires, &y) < 0)
		return -1;
	if (y.hold != HOLD_QUIET || (expires && y.ruling.due >= expires))
		return 0;
	y.hold = HOLD_NONE;
	rc = try_way(w, s, (unsigned)later, expires, sent, &y, msg_r);
	*best = y;
	return rc == WAITS || rc < 0 ? rc : 0;
}

static int note_it(struct work *w, const struct sending *s, const struct way *y, struct sent *r)
{
	char reason[240] = "";
	struct sent_row row = { .id = r->id,
		.member = s->member->id,
		.object = s->object,
		.run = s->run,
		.step = s->step,
		.template = s->template ? rules_template_number(w->rules, s->template) : 0,
		.media = (int)y->media,
		.row = s->row,
		.class = s->class,
		.msg = r->msg,
		.state = r->msg                    ? STATE_QUEUED
			 : y->hold == HOLD_EXPIRED ? STATE_EXPIRED
						   : STATE_SUPPRESSED,
		.due = r->due,
		.receipt = s->receipt,
		.address = y->address };

	r->media = y->media;
	r->hold = r->msg ? HOLD_NONE : y->hold;
	if (r->hold)
		snprintf(reason, sizeof reason, "%s%s%s", hold_word(r->hold),
			y->words[0] ? ": " : "", y->words);
	row.reason = str_of(reason);
	return sent_put(w, &row);
}

int dispatch(struct work *w, const struct sending *s, struct sent *r)
{
	wall_t expires;
	struct way best;
	int found, rc;

	*r = (struct sent){ .id = dispatch_id(s), .due = s->due > w->now ? s->due : w->now };
	found = sent_find(w, r);
	if (found)
		return found < 0 ? -1 : 0;
	memset(&best, 0, offsetof(struct way, words));
	best.media = s->via->n ? (enum media)s->via->media[0] : MEDIA_COUNT;
	best.address = STR_NONE;
	best.words[0] = '\0';
	if (s->member->state == MEMBER_LEFT) {
		best.hold = HOLD_LEFT;
		return note_it(w, s, &best, r);
	}
	rc = dispatch_limits(w, s, best.words, sizeof best.words);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		best.hold = HOLD_LIMIT;
		return note_it(w, s, &best, r);
	}
	expires = expiry_of(w, s);
	rc = try_ways(w, s, expires, r->id, &best, &r->msg);
	if (rc < 0)
		return -1;
	if (rc == WAITS) {
		r->due = best.ruling.due;
		return 0;
	}
	if (r->msg) {
		r->due = best.ruling.due;
		if (policy_touch(w, &best.c, r->due, r->msg) < 0 || limits_add(w, s, w->now, 1) < 0)
			return -1;
	}
	return note_it(w, s, &best, r);
}

int dispatch_hold(struct work *w, const struct sending *s, enum hold_reason why, const char *words,
	struct sent *r)
{
	struct way y;
	int found;

	*r = (struct sent){ .id = dispatch_id(s), .due = s->due };
	found = sent_find(w, r);
	if (found)
		return found < 0 ? -1 : 0;
	memset(&y, 0, offsetof(struct way, words));
	y.media = s->via && s->via->n ? (enum media)s->via->media[0] : MEDIA_COUNT;
	y.address = STR_NONE;
	way_stops(&y, STAGE_TIME, why, words ? words : "");
	return note_it(w, s, &y, r);
}

int dispatch_look(
	struct work *w, const struct sending *s, struct prospect out[VIA_MOST], unsigned *n_r)
{
	wall_t expires = expiry_of(w, s);
	struct rendering content;

	*n_r = 0;
	rendering_init(&content);
	for (unsigned i = 0; i < s->via->n && i < VIA_MOST; i++) {
		struct prospect *p = &out[*n_r];
		struct way y;

		if (way_judge(w, s, (enum media)s->via->media[i], expires, &y) < 0) {
			rendering_free(&content);
			return -1;
		}
		if (!y.hold && s->source)
			render_way(w, s, &y, &content);
		*p = (struct prospect){ .media = y.media,
			.hold = y.hold,
			.address = y.address,
			.due = y.n ? y.ruling.due : 0 };
		str_copy(p->words, sizeof p->words, str_of(y.words[0] ? y.words : y.ruling.words));
		++*n_r;
	}
	rendering_free(&content);
	return 0;
}
