/* Mails that are read, not passed on alone: gateways by address make messages of another medium of
 * their text, bounce addresses make evidence of reports. See smtpd.h.
 *
 * Parsing MIME takes its time and is done on a worker, once for all recipients of a mail. A mail to
 * a bounce address was written by anybody who has seen the address; so what it says is taken for
 * what it is about the message of the token, and about nothing else.
 */
#include "gateway/base/mem.h"
#include "gateway/model/text.h"
#include "protocols/smtp/smtpd.h"

#include <unistd.h>

enum { CUT, WHOLE, TEXTS }; /* texts without and with signature */

struct smtpd_reading {
	struct chore chore; /* first */
	struct smtpd_mail *m;
	bool wanted[TEXTS], bad[TEXTS], too_big;
	struct buf text[TEXTS], subject;
	char why[OUTCOME_WORDS];
};

void smtpd_reading_free(struct smtpd_reading **rp)
{
	struct smtpd_reading *r = *rp;

	if (!r)
		return;
	for (int i = 0; i < TEXTS; i++)
		buf_free(&r->text[i]);
	buf_free(&r->subject);
	mem_free(rp);
}

/* ---- on the worker ---- */

/* Its beginning, as much as is read at all. */
static bool content_of(struct smtpd_mail *m, struct buf *file, struct str *mail_r)
{
	uint64_t size;
	ssize_t n;
	int fd;

	if (!m->spooled[0]) {
		*mail_r = buf_view(&m->body);
		return true;
	}
	fd = spool_read(m->s->srv->l->spool, str_of(m->spooled), &size, NULL);
	if (fd < 0)
		return false;
	buf_reserve(file, SMTPD_READ);
	while (file->n < SMTPD_READ && (n = read(fd, file->p + file->n, SMTPD_READ - file->n)) > 0)
		file->n += (size_t)n;
	close(fd);
	*mail_r = buf_view(file);
	return true;
}

static void read_text(struct smtpd_reading *r, struct str mail, int which)
{
	struct err e = { 0 };

	if (!r->wanted[which] || r->too_big)
		return;
	buf_reset(&r->subject);
	if (mail_text(mail, which == CUT, &r->text[which], &r->subject, &e) == 0)
		return;
	r->bad[which] = true;
	str_copy(r->why, sizeof r->why, str_of(e.text));
}

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Local parts before "@" and the recipient's own domain that may be return paths of ours. */
static void find_named(struct smtpd_rcpt *r, struct str mail)
{
	struct str domain = str_of(r->to);
	ptrdiff_t at = str_index(domain, '@');
	size_t end = 0;

	if (at < 0)
		return;
	domain = str_skip(domain, (size_t)at);
	r->named = mem_alloc(SMTPD_NAMED * sizeof *r->named);
	while (r->named_n < SMTPD_NAMED && (at = str_index(str_skip(mail, end), '@')) >= 0) {
		size_t from = end + (size_t)at, n = 0;

		end = from + 1;
		if (mail.n - from < domain.n || !str_ieq(str_n(mail.p + from, domain.n), domain))
			continue;
		while (n < from && is_token(mail.p[from - n - 1]))
			n++;
		if (n == 0 || n >= MAIL_TOKEN)
			continue;
		str_copy(r->named[r->named_n++], MAIL_TOKEN, str_n(mail.p + from - n, n));
	}
}

static void reading_call(struct chore *c)
{
	struct smtpd_reading *r = (struct smtpd_reading *)c;
	struct smtpd_mail *m = r->m;
	struct buf file = BUF_INIT;
	struct str mail = STR_NONE;

	if (!content_of(m, &file, &mail)) {
		r->bad[CUT] = r->bad[WHOLE] = true;
		str_copy(r->why, sizeof r->why, STR("the mail cannot be read again"));
		return;
	}
	read_text(r, mail, CUT);
	read_text(r, mail, WHOLE);
	for (unsigned i = 0; i < m->n; i++)
		if (m->rcpts[i].kind == SMTPD_BOUNCE) {
			mail_report_read(mail, STR_NONE, m->rcpts[i].report);
			if (!m->rcpts[i].msg)
				find_named(&m->rcpts[i], mail);
		}
	buf_free(&file);
}

static void reading_done(struct chore *c)
{
	struct smtpd_reading *r = (struct smtpd_reading *)c;
	struct smtpd_session *s = r->m->s;

	/* Also when the client has gone: it was whole. */
	smtpd_accept(r->m);
	smtpd_session_release(s);
}

void smtpd_read(struct smtpd_mail *m)
{
	struct smtpd_reading *r = m->reading = mem_new(struct smtpd_reading);

	r->m = m;
	r->too_big = m->octets > SMTPD_READ;
	for (unsigned i = 0; i < m->n; i++) {
		if (m->rcpts[i].kind == SMTPD_GATEWAY)
			r->wanted[m->rcpts[i].signature ? WHOLE : CUT] = true;
		if (m->rcpts[i].kind == SMTPD_BOUNCE)
			m->rcpts[i].report = mem_new(struct mail_report);
	}
	r->chore.reply = m->s->srv->l->loop;
	r->chore.call = reading_call;
	r->chore.done = reading_done;
	m->s->pending++;
	workers_do(&r->chore);
}

/* ---- answers that are known at once; never from inside smtpd_gateway() and smtpd_bounce() ---- */

static void rcpt_later(struct letter *l)
{
	smtpd_rcpt_done(CONTAINER(l, struct smtpd_rcpt, letter));
}

static void answer_later(struct smtpd_rcpt *r)
{
	r->letter.run = rcpt_later;
	loop_later(r->mail->s->srv->l->loop, &r->letter);
}

static void refuse(struct smtpd_rcpt *r, enum reason why, const char *words)
{
	r->answer = (struct answer){ .reason = why };
	str_copy(r->answer.words, sizeof r->answer.words, str_of(words));
	answer_later(r);
}

/* ---- gateways by address ---- */

static struct message *text_message(struct smtpd_rcpt *r, struct str text)
{
	struct smtpd_mail *m = r->mail;
	struct draft *d = &m->s->srv->draft;
	struct smtpd_rcpt named = *r;
	struct buf *b = &m->s->srv->work2;

	d->head = (struct message){
		.media = r->media,
		.priority = PRIORITY_NORMAL,
		.flags = MSG_OUR_SENDER,
		.wants = smtpd_wants(m, r),
	};
	d->fields.n = 0;
	draft_put(d, FIELD_FROM, str_of(r->from));
	draft_put(d, FIELD_TO, str_of(r->phone));
	draft_put(d, FIELD_TEXT, text);
	draft_put(d, FIELD_REVERSE, smtp_path_text(&m->from));
	/* A report must name what the sender wrote to, besides its own mark: report.c. */
	buf_reset(b);
	buf_printf(b, "%s\n%s", r->orcpt ? r->orcpt : "", r->to);
	named.orcpt = buf_cstr(b);
	smtpd_put_envelope(d, m, &named);
	smtpd_put_id(d, m, r);
	return draft_seal(d);
}

/* How many short messages it is. The channel knows best; one that leaves the cutting to the far
 * side says 1, and the recipient gets as many as anywhere. */
static unsigned parts_of(const struct smtpd_rcpt *r, struct str text, unsigned channel)
{
	struct text_options o = { 0 };
	struct text_plan *plan;
	unsigned n = channel;

	if (r->media != MEDIA_SMS || channel > 1)
		return channel;
	plan = mem_new(struct text_plan);
	if (text_plan(plan, text, &o, NULL) == 0)
		n = plan->segments;
	else if (plan->fault == TEXT_TOO_LONG)
		n = plan->segments > TEXT_PARTS_MAX ? plan->segments : TEXT_PARTS_MAX + 1;
	mem_free(&plan);
	return n;
}

void smtpd_gateway(struct smtpd_rcpt *r)
{
	struct smtpd_mail *m = r->mail;
	struct smtpd_reading *g = m->reading;
	struct buf *b = &m->s->srv->work;
	int which = r->signature ? WHOLE : CUT;
	struct message *msg;
	struct dry_run trial;
	struct answer a;
	unsigned parts;

	if (g->too_big || g->bad[which]) {
		refuse(r, g->too_big ? REASON_TOO_LONG : REASON_BAD_CONTENT,
			g->too_big ? "of larger mails no text is taken: 1 MiB" : g->why);
		return;
	}
	buf_reset(b);
	if (r->subject == SMTPD_SUBJECT_PREFIX && g->subject.n) {
		buf_str(b, buf_view(&g->subject));
		buf_char(b, '\n');
	}
	buf_str(b, buf_view(&g->text[which]));
	msg = text_message(r, buf_view(b));
	message_dry_run(m->account, message_ref(msg), &trial, &a);
	parts = parts_of(r, buf_view(b), trial.parts);
	if (a.reason != REASON_NONE || parts > (unsigned)r->parts_most) {
		if (a.reason == REASON_NONE) {
			snprintf(a.words, sizeof a.words,
				"the text makes %u parts, and %d are allowed", parts,
				r->parts_most);
			a.reason = REASON_TOO_LONG;
		}
		message_unref(&msg);
		r->answer = a;
		answer_later(r);
		return;
	}
	message_arrived(m->s->srv->l, m->account, msg, r);
}

/* ---- bounce addresses ---- */

/* What is no report goes to somebody who reads it, if there is one. */
static void stray(struct smtpd_rcpt *r)
{
	struct smtpd *srv = r->mail->s->srv;
	const char *other = srv->conf->bounce_other;
	struct account *a = account_find(srv->l, str_of(srv->conf->bounce_account));

	stat_inc(&srv->strays);
	log_info("no report", F_STR("listener", srv->l->name), F_ID("msg", r->msg),
		F_STR("peer", r->mail->s->peer), F_STR("to", a && other[0] ? other : ""));
	if (!a || !other[0]) {
		answer_later(r);
		return;
	}
	r->stray = true;
	message_arrived(srv->l, a, smtpd_stray_message(r->mail, r, str_of(other)), r);
}

static bool evidence_of(const struct smtpd_rcpt *r, struct evidence *v)
{
	const struct mail_report *p = r->report;

	*v = (struct evidence){ .msg = r->msg, .reason = p->reason, .dead = p->dead };
	v->by = p->form ? p->form : "report";
	str_copy(v->err, sizeof v->err, str_of(p->status));
	str_copy(v->words, sizeof v->words, str_of(p->words));
	switch (p->kind) {
	case MAIL_REPORT_NONE:
		return false;
	case MAIL_REPORT_FAILED:
		v->state = STATE_UNDELIVERABLE;
		break;
	case MAIL_REPORT_DELAYED:
		v->state = STATE_SENT;
		v->reason = v->reason == REASON_NONE ? REASON_TEMPORARY : v->reason;
		break;
	case MAIL_REPORT_RELAYED:
		v->state = STATE_SENT;
		v->reason = REASON_NONE;
		break;
	case MAIL_REPORT_DELIVERED:
		v->state = STATE_DELIVERED;
		break;
	case MAIL_REPORT_READ:
		v->state = STATE_READ;
		break;
	case MAIL_REPORT_COMPLAINT:
		v->kind = EVIDENCE_COMPLAINT;
		break;
	case MAIL_REPORT_UNSUBSCRIBE:
		v->kind = EVIDENCE_UNSUBSCRIBE;
		break;
	}
	return true;
}

void smtpd_bounce(struct smtpd_rcpt *r)
{
	struct smtpd *srv = r->mail->s->srv;
	struct evidence v;

	for (unsigned i = 0; i < r->named_n && !r->msg; i++) {
		uint64_t msg;

		if (mail_bounce_check(srv->l->mail, str_of(r->named[i]), clock_wall(), &msg) ==
			MAIL_TOKEN_GOOD)
			r->msg = msg;
	}
	if (!r->msg || !evidence_of(r, &v)) {
		stray(r);
		return;
	}
	stat_inc(&srv->bounces);
	log_info("report", F_STR("listener", srv->l->name), F_ID("msg", r->msg),
		F_STR("form", v.by), F_STR("status", v.err), F_BOOL("dead", v.dead),
		F_STR("peer", r->mail->s->peer));
	evidence_arrived(srv->l, &v, r);
}

void smtpd_evidence_answer(struct listener *l, void *token, bool stored)
{
	struct smtpd_rcpt *r = token;

	if (!stored)
		r->answer = (struct answer){ .reason = REASON_STORE };
	smtpd_rcpt_done(r);
}
