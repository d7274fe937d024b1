/* A whole mail: one message for each recipient, one answer for all. See smtpd.h.
 *
 * The 250 leaves when every recipient's message is on disk. SMTP has no other answer than one for
 * all; so when some were taken and others not: for good, then 250, and a report about the others
 * goes to the sender (before the 250, too); for now, then 4xx, and who was taken is remembered, so
 * that they do not get the mail again when the client comes again.
 */
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

#include <openssl/sha.h>
#include <stdio.h>

enum { WINDOW_OCTETS = 1024 * 1024, WINDOW_MOST = 256, IDS_SHOWN = 8 };
#define KEPT_FOR DUR_HOUR

/* ---- those who have it already ---- */

static void kept_digest(struct smtpd_mail *m, const struct smtpd_rcpt *r, uint8_t out[32])
{
	struct buf *b = &m->s->srv->work2;

	smtpd_digest_end(m);
	buf_reset(b);
	buf_c(b, m->account ? m->account->name : "");
	buf_char(b, '\0');
	buf_str(b, smtp_path_text(&m->from));
	buf_char(b, '\0');
	buf_c(b, r->to);
	buf_char(b, '\0');
	buf_add(b, m->digest, sizeof m->digest);
	SHA256((const uint8_t *)b->p, b->n, out);
}

static void keep(struct smtpd_mail *m, const struct smtpd_rcpt *r)
{
	struct smtpd *srv = m->s->srv;
	struct smtpd_kept *k = &srv->kept[srv->kept_next++ % SMTPD_KEPT];

	if (srv->kept_n < SMTPD_KEPT)
		srv->kept_n++;
	kept_digest(m, r, k->digest);
	k->id = r->answer.id;
	k->until = loop_now(srv->l->loop) + KEPT_FOR;
}

/* Its id, 0: it was not accepted for that one before. */
static uint64_t kept_id(struct smtpd_mail *m, const struct smtpd_rcpt *r)
{
	struct smtpd *srv = m->s->srv;
	mono_t now = loop_now(srv->l->loop);
	uint8_t digest[32];

	if (srv->kept_n == 0)
		return 0;
	kept_digest(m, r, digest);
	for (unsigned i = 0; i < srv->kept_n; i++)
		if (srv->kept[i].until > now && memcmp(srv->kept[i].digest, digest, 32) == 0)
			return srv->kept[i].id;
	return 0;
}

/* ---- messages ---- */

uint8_t smtpd_wants(const struct smtpd_mail *m, const struct smtpd_rcpt *r)
{
	uint8_t n = r->notify ? r->notify : NOTIFY_FAILURE;

	if (m->from.n == 0) /* nobody hears of it */
		return 0;
	/* "relayed" by a server further on is an intermediate word (report.c) */
	return (n & NOTIFY_SUCCESS ? WANT_DELIVERED : 0) | (n & NOTIFY_FAILURE ? WANT_FAILED : 0) |
	       (n & NOTIFY_DELAY ? WANT_INTERMEDIATE | WANT_DELAY : 0) |
	       (n & NOTIFY_SUCCESS && r->kind == SMTPD_MAILBOX ? WANT_INTERMEDIATE : 0);
}

void smtpd_put_id(struct draft *d, struct smtpd_mail *m, const struct smtpd_rcpt *r)
{
	struct buf *b = &m->s->srv->work2;

	if (!m->key) {
		d->head.flags |= MSG_ALIAS;
		draft_put(d, FIELD_CLIENT_ID, str_of(m->message_id));
		return;
	}
	smtpd_digest_end(m);
	buf_reset(b);
	buf_printf(b, "%s:%s", m->key, r->to);
	draft_put(d, FIELD_CLIENT_ID, buf_view(b));
	draft_put(d, FIELD_DIGEST, str_n(m->digest, sizeof m->digest));
}

void smtpd_put_envelope(struct draft *d, const struct smtpd_mail *m, const struct smtpd_rcpt *r)
{
	struct mail_envelope e = {
		.eightbit = m->eightbit,
		.smtputf8 = m->smtputf8,
		.binary = m->binary,
		.notify = r->notify,
		.ret = m->ret,
		.envid = str_of(m->envid),
		.orcpt = str_of(r->orcpt),
	};

	mail_envelope_put(d, &e);
}

static void put_content(struct draft *d, struct smtpd_mail *m, struct smtpd_rcpt *r)
{
	struct buf *b = &m->s->srv->work2;

	draft_put(d, FIELD_SUBJECT, str_of(m->subject));
	r->names_file = m->spooled[0];
	if (r->names_file) {
		buf_reset(b);
		buf_printf(b, "octets:%s:%lu", m->spooled, m->octets);
		draft_put(d, FIELD_SPOOL, buf_view(b));
	} else {
		draft_put(d, FIELD_OCTETS, buf_view(&m->body));
	}
}

static struct message *mail_message(struct smtpd_mail *m, struct smtpd_rcpt *r)
{
	struct draft *d = &m->s->srv->draft;

	d->head = (struct message){
		.media = MEDIA_EMAIL,
		.priority = PRIORITY_NORMAL,
		.flags = MSG_OCTETS,
		.wants = smtpd_wants(m, r),
	};
	d->fields.n = 0;
	draft_put(d, FIELD_FROM, smtp_path_text(&m->from));
	draft_put(d, FIELD_TO, str_of(r->to));
	put_content(d, m, r);
	smtpd_put_envelope(d, m, r);
	smtpd_put_id(d, m, r);
	return draft_seal(d);
}

struct message *smtpd_stray_message(struct smtpd_mail *m, struct smtpd_rcpt *r, struct str to)
{
	struct draft *d = &m->s->srv->draft;

	d->head = (struct message){
		.media = MEDIA_EMAIL,
		.priority = PRIORITY_NORMAL,
		.flags = MSG_OCTETS | MSG_REPORT,
	};
	d->fields.n = 0;
	draft_put(d, FIELD_TO, to);
	put_content(d, m, r);
	smtpd_put_envelope(d, m, r);
	return draft_seal(d);
}

/* ---- the answer ---- */

static void say_accepted(struct smtpd_mail *m, unsigned taken, unsigned others)
{
	struct smtpd_session *s = m->s;
	struct buf *b = &s->srv->work;
	unsigned n = 0;

	buf_reset(b);
	for (unsigned i = 0; i < m->n; i++) {
		const struct smtpd_rcpt *r = &m->rcpts[i];

		if (r->answer.reason != REASON_NONE || !r->answer.id || n++ >= IDS_SHOWN)
			continue;
		buf_printf(b, " %lu", r->answer.id);
	}
	if (n > IDS_SHOWN)
		buf_printf(b, " and %u more", n - IDS_SHOWN);
	if (others)
		buf_printf(b, "; a report tells of %u of %u recipients refused", others, m->n);
	buf_char(b, '\0');
	smtpd_reply(s, 250, "2.0.0", "accepted as%s", n ? b->p : " read");
	stat_inc(&s->srv->mails);
	s->mails++;
	s->errors = s->idle_commands = 0;
}

/* The reply of a recipient that was not taken. */
static void say_refused(struct smtpd_mail *m, const struct smtpd_rcpt *r, unsigned taken)
{
	struct smtp_reply y = smtpd_reply_of(r->answer.reason);
	const char *words = r->answer.words[0] ? r->answer.words : y.text;

	if (taken)
		smtpd_reply(m->s, y.code, y.status, "%s (%u of %u recipients were taken)", words,
			taken, m->n);
	else
		smtpd_reply(m->s, y.code, y.status, "%s", words);
}

static bool is_temporary(const struct smtpd_rcpt *r)
{
	return r->answer.reason != REASON_NONE && smtpd_reply_of(r->answer.reason).code < 500;
}

static void finish(struct smtpd_mail *m)
{
	const struct smtpd_rcpt *now = NULL, *never = NULL;
	unsigned taken = 0, refused = 0;

	for (unsigned i = 0; i < m->n; i++) {
		struct smtpd_rcpt *r = &m->rcpts[i];

		taken += r->answer.reason == REASON_NONE;
		if (is_temporary(r)) {
			now = now ? now : r;
		} else if (r->answer.reason != REASON_NONE) {
			refused++;
			never = never ? never : r;
		}
	}
	/* For good, but not for all: reported before the answer, one after the other. */
	if (m->told.reason != REASON_NONE)
		now = &m->told_as;
	if (taken && !now && refused && smtpd_tell_refused(m))
		return;
	if (now) {
		for (unsigned i = 0; i < m->n; i++)
			if (m->rcpts[i].ours && m->rcpts[i].answer.reason == REASON_NONE &&
				m->rcpts[i].answer.id)
				keep(m, &m->rcpts[i]);
		say_refused(m, now, taken);
	} else if (taken) {
		say_accepted(m, taken, refused);
	} else {
		say_refused(m, never, 0);
	}
	smtpd_mail_end(m);
}

void smtpd_mail_end(struct smtpd_mail *m)
{
	struct smtpd_session *s = m->s;

	if (m->refused) {
		smtpd_say(s, m->refused);
		if (smtpd_is_alive(s) && m->refused->code >= 500 && smtpd_error(s))
			return;
	}
	if (!smtpd_is_alive(s))
		return; /* it goes with its session */
	smtpd_mail_free(&s->mail);
	if (s->leaving)
		smtpd_session_bye(s, "4.3.2", "closing");
	else
		smtpd_let_go(s, SMTPD_HOLD_COMMIT);
}

/* ---- recipients ---- */

static unsigned window_of(const struct smtpd_mail *m)
{
	size_t each = m->body.n + 1024;
	size_t n = WINDOW_OCTETS / each;

	return n < 1 ? 1 : n > WINDOW_MOST ? WINDOW_MOST : (unsigned)n;
}

static void submit(struct smtpd_mail *m, struct smtpd_rcpt *r)
{
	struct smtpd *srv = m->s->srv;
	uint64_t id;

	r->mail = m;
	m->waits++;
	m->s->pending++;
	if (r->kind == SMTPD_BOUNCE) {
		smtpd_bounce(r);
		return;
	}
	id = kept_id(m, r);
	if (id) {
		r->answer = (struct answer){ .id = id };
		r->done = true;
		m->waits--;
		m->s->pending--;
		return;
	}
	r->ours = true;
	if (r->kind == SMTPD_GATEWAY)
		smtpd_gateway(r);
	else
		message_arrived(srv->l, m->account, mail_message(m, r), r);
}

static void step(struct smtpd_mail *m)
{
	unsigned window = window_of(m);

	while (m->next < m->n && m->waits < window)
		submit(m, &m->rcpts[m->next++]);
	if (m->waits == 0 && m->next == m->n)
		finish(m);
}

void smtpd_rcpt_done(struct smtpd_rcpt *r)
{
	struct smtpd_mail *m = r->mail;
	struct smtpd_session *s = m->s;

	r->done = true;
	m->kept_file |= r->names_file && r->answer.reason == REASON_NONE && !r->answer.duplicate;
	m->waits--;
	s->pending++; /* the mail may go with its session */
	step(m);
	smtpd_session_release(s);
	smtpd_session_release(s);
}

void smtpd_told(struct smtpd_mail *m, const struct answer *a)
{
	struct smtpd_session *s = m->s;

	m->told = *a;
	m->told_as.answer = *a;
	if (a->reason != REASON_NONE && smtpd_reply_of(a->reason).code >= 500) {
		/* Nobody can be told: then there is nothing more to wait for. */
		log_warn("not reported", F_STR("listener", s->srv->l->name),
			F_STR("account", m->account->name), F_STR("why", a->words));
		m->told.reason = REASON_NONE;
	}
	s->pending++;
	finish(m);
	smtpd_session_release(s);
	smtpd_session_release(s);
}

void smtpd_answer(struct listener *l, void *token, const struct answer *a)
{
	struct smtpd_rcpt *r = token;

	if (*(enum smtpd_token *)token == SMTPD_DSN) {
		smtpd_dsn_answer(token, a);
		return;
	}
	r->answer = *a;
	/* Nobody waits for what is no report; that it can go nowhere is the operator's affair. */
	if (r->stray && a->reason != REASON_NONE && smtpd_reply_of(a->reason).code >= 500) {
		log_warn("bounce_other", F_STR("listener", l->name),
			F_STR("why", reason_text(a->reason)), F_STR("words", a->words));
		r->answer = (struct answer){ 0 };
		r->names_file = false; /* nor does any message */
	}
	smtpd_rcpt_done(r);
}

/* ---- beginning ---- */

void smtpd_accept(struct smtpd_mail *m)
{
	step(m);
}

void smtpd_mail_whole(struct smtpd_mail *m)
{
	struct smtpd_session *s = m->s;

	if (!m->spooled[0])
		m->octets = m->body.n;
	smtpd_hold(s, SMTPD_HOLD_COMMIT);
	timer_cancel(s->srv->l->loop, &s->timer);
	if (s->leaving)
		timer_in(s->srv->l->loop, &s->timer, s->srv->conf->command_wait);
	if (m->gateways || m->bounces)
		smtpd_read(m);
	else
		smtpd_accept(m);
}
