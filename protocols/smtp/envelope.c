/* MAIL and RCPT: who writes, as whom, to whom. Each recipient is answered for itself, by the same
 * checks that its message will meet when it arrives. See smtpd.h.
 */
#include "gateway/base/mem.h"
#include "gateway/model/address.h"
#include "protocols/smtp/smtpd.h"

#define REPLY(name, code, status, text) static const struct smtp_reply name = { code, status, text }
REPLY(no_hello, 503, "5.5.1", "say EHLO first");
REPLY(nested, 503, "5.5.1", "there is a mail under way");
REPLY(no_mail, 503, "5.5.1", "say MAIL first");
REPLY(need_tls, 530, "5.7.0", "begin TLS first");
REPLY(need_auth, 530, "5.7.0", "log in first");
REPLY(no_relay, 550, "5.7.1", "without an account nothing is taken for that address");
REPLY(not_yours, 553, "5.7.1", "this account may not write as that sender");
REPLY(no_mailbox, 550, "5.1.1", "there is no such mailbox here");
REPLY(expired, 550, "5.1.1", "this address has expired");
REPLY(too_many, 452, "4.5.3", "too many recipients; send them another time");
REPLY(too_fast, 451, "4.7.1", "over the agreed rate");
REPLY(no_number, 550, "5.1.3", "that is not a number of this gateway's");
#undef REPLY

/* ---- the transaction ---- */

void smtpd_mail_free(struct smtpd_mail **mp)
{
	struct smtpd_mail *m = *mp;
	struct smtpd *srv;

	if (!m)
		return;
	srv = m->s->srv;
	for (unsigned i = 0; i < m->n; i++) {
		mem_free(&m->rcpts[i].to);
		mem_free(&m->rcpts[i].orcpt);
		mem_free(&m->rcpts[i].phone);
		mem_free(&m->rcpts[i].from);
		mem_free(&m->rcpts[i].report);
		mem_free(&m->rcpts[i].named);
	}
	smtpd_spool_drop(srv, &m->writer, m->kept_file ? "" : m->spooled);
	smtpd_digest_free(m);
	mem_free(&m->rcpts);
	mem_free(&m->envid);
	mem_free(&m->key);
	mem_free(&m->message_id);
	mem_free(&m->subject);
	buf_free(&m->body);
	buf_free(&m->block);
	smtpd_reading_free(&m->reading);
	mem_free(mp);
}

void smtpd_mail_reset(struct smtpd_session *s)
{
	if (s->state == SMTPD_DATA || s->state == SMTPD_CHUNK)
		s->state = SMTPD_COMMAND;
	smtpd_mail_free(&s->mail);
}

/* Patterns are those of str_glob(); of the address only the domain is without case. */
bool smtpd_may_write_as(const struct account *a, struct str address)
{
	const struct account_conf *c = a->conf;
	char lower[ADDRESS_EMAIL_MAX + 1];
	size_t at = address.n;

	if (c->from_n == 0)
		return true;
	if (address.n > ADDRESS_EMAIL_MAX)
		return false;
	str_copy(lower, sizeof lower, address);
	for (size_t i = 0; i < address.n; i++)
		if (lower[i] == '@')
			at = i;
	for (size_t i = at; i < address.n; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] | 0x20);
	for (size_t i = 0; i < c->from_n; i++)
		if (str_glob(str_of(c->from[i]), str_of(lower)) ||
			str_glob(str_of(c->from[i]), address))
			return true;
	return false;
}

static bool takes_bounces(const struct smtpd *srv)
{
	const struct mail_conf *m = srv->l->mail;

	return m && m->bounce_domain && m->bounce_domain[0] && m->secret;
}

static const struct smtp_reply *may_begin(struct smtpd_session *s)
{
	struct account *a = s->account;

	if (!s->greeted)
		return &no_hello;
	if (s->mail)
		return &nested;
	if (s->srv->tls_mode == SMTPD_TLS_MUST && !s->tls)
		return &need_tls;
	return a || takes_bounces(s->srv) ? NULL : &need_auth;
}

static void refuse(struct smtpd_session *s, const struct smtp_reply *r, bool error)
{
	smtpd_say(s, r);
	if (error)
		smtpd_error(s);
}

void smtpd_mail_from(struct smtpd_session *s, const struct smtp_command *c)
{
	const struct smtp_reply *why = may_begin(s);
	struct smtpd_mail *m;

	if (why) {
		refuse(s, why, true);
		return;
	}
	if (s->over || s->leaving) {
		smtpd_session_bye(s, s->over ? "4.7.0" : "4.3.2",
			s->over ? "the account has as many sessions as it may" : "closing");
		return;
	}
	/* For who has no account only bounces are taken, from anybody. */
	if (s->account && !smtpd_may_write_as(s->account, smtp_path_text(&c->path))) {
		refuse(s, &not_yours, true);
		return;
	}
	if (c->has_size && c->size > s->srv->conf->size_most) {
		smtpd_reply(s, 552, "5.3.4", "%lu octets are more than the %lu that are taken",
			c->size, s->srv->conf->size_most);
		return;
	}
	m = s->mail = mem_new(struct smtpd_mail);
	m->s = s;
	m->account = s->account;
	m->from = c->path;
	m->eightbit = c->body == SMTP_BODY_8BIT;
	m->smtputf8 = c->smtputf8;
	m->ret = c->ret;
	m->size = c->size;
	m->scan.line_most = s->srv->conf->line_most;
	if (c->envid[0])
		m->envid = mem_dup(str_of(c->envid));
	smtpd_reply(s, 250, "2.1.0", "from %s", c->path.n ? "this sender" : "nobody");
}

/* ---- recipients ---- */

static struct smtpd_rcpt *add(
	struct smtpd_mail *m, enum smtpd_kind kind, const struct smtp_command *c)
{
	struct smtpd_rcpt *r;

	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 4 : 1;
		m->rcpts = mem_grow(m->rcpts, m->cap * sizeof *m->rcpts);
	}
	r = &m->rcpts[m->n++];
	*r = (struct smtpd_rcpt){ .token = SMTPD_RCPT, .kind = kind, .notify = c->notify };
	r->to = mem_dup(smtp_path_text(&c->path));
	if (c->orcpt[0])
		r->orcpt = mem_dup(str_of(c->orcpt));
	return r;
}

/* Named twice, it is sent to once (RFC 5321 §5.1 leaves it to us). Where anybody may write, in any
 * case of letters: no stranger makes many mails to one reader out of one. */
static bool is_there(const struct smtpd_mail *m, struct str to)
{
	for (unsigned i = 0; i < m->n; i++)
		if (str_is(to, m->rcpts[i].to) ||
			(m->rcpts[i].kind == SMTPD_BOUNCE && str_ieq(to, str_of(m->rcpts[i].to))))
			return true;
	return false;
}

static void say_answer(struct smtpd_session *s, const struct answer *a)
{
	struct smtp_reply r = smtpd_reply_of(a->reason);

	smtpd_reply(s, r.code, r.status, "%s", a->words[0] ? a->words : r.text);
}

/* What will be said of its message, before there is one. */
static bool is_welcome(struct smtpd_session *s, enum media media, struct str to, struct str from,
	struct answer *a_r)
{
	struct draft *d = &s->srv->draft;
	struct dry_run trial;

	d->head = (struct message){ .media = (uint8_t)media, .priority = PRIORITY_NORMAL };
	d->fields.n = 0;
	if (media == MEDIA_EMAIL)
		d->head.flags = MSG_OCTETS;
	else
		d->head.flags = MSG_OUR_SENDER;
	draft_put(d, FIELD_FROM, from);
	draft_put(d, FIELD_TO, to);
	if (media == MEDIA_EMAIL) {
		struct mail_envelope e = { .eightbit = s->mail->eightbit,
			.smtputf8 = s->mail->smtputf8,
			.envid = STR_NONE,
			.orcpt = STR_NONE };

		mail_envelope_put(d, &e);
	} else {
		draft_put(d, FIELD_TEXT, STR("?"));
	}
	message_dry_run(s->account, draft_seal(d), &trial, a_r);
	return a_r->reason == REASON_NONE;
}

static void take_mailbox(struct smtpd_session *s, const struct smtp_command *c)
{
	struct smtpd_mail *m = s->mail;
	struct answer a;

	if (c->path.at == c->path.n) {
		refuse(s, &no_mailbox, false);
		return;
	}
	if (!is_welcome(s, MEDIA_EMAIL, smtp_path_text(&c->path), smtp_path_text(&m->from), &a)) {
		say_answer(s, &a);
		return;
	}
	add(m, SMTPD_MAILBOX, c);
	m->mailboxes++;
	smtpd_reply(s, 250, "2.1.5", "to this recipient");
}

static bool phone_of(const struct smtpd *srv, const struct smtpd_gateway_conf *g, enum media media,
	struct str local, struct address *to)
{
	struct address_country country = { 0 };

	str_copy(country.code, sizeof country.code,
		str_of(g->country[0] ? g->country : srv->l->country));
	if (country.code[0])
		str_copy(country.trunk, sizeof country.trunk,
			str_of(g->country[0] ? g->trunk : srv->l->trunk));
	return address_destination(to, local, 0, 0, &country, NULL) == 0;
}

static void take_gateway(
	struct smtpd_session *s, const struct smtp_command *c, const struct smtpd_gateway_conf *g)
{
	struct str local = smtp_path_local(&c->path), to = local;
	enum media media = MEDIA_SMS;
	struct address phone;
	struct smtpd_rcpt *r;
	struct answer a;

	media_parse(str_of(g->media), &media);
	if (media != MEDIA_PUSH) {
		if (!phone_of(s->srv, g, media, local, &phone)) {
			refuse(s, &no_number, false);
			return;
		}
		to = address_str(&phone);
	}
	if (!is_welcome(s, media, to, str_of(g->from), &a)) {
		say_answer(s, &a);
		return;
	}
	r = add(s->mail, SMTPD_GATEWAY, c);
	r->media = (uint8_t)media;
	r->subject = (uint8_t)g->subject;
	r->signature = g->signature;
	r->parts_most = g->parts_most;
	r->phone = mem_dup(to);
	r->from = mem_dup(str_of(g->from));
	s->mail->gateways++;
	smtpd_reply(s, 250, "2.1.5", "to this number");
}

/* Providers send complaints to one address that they were told once; which mail it is about is
 * known by the return path that they quote. To abuse@ people write, too: where somebody reads it.
 */
static bool is_feedback_loop(const struct smtpd *srv, struct str local)
{
	return str_ieq(local, STR("fbl")) ||
	       (srv->conf->bounce_other[0] && str_ieq(local, STR("abuse")));
}

/* RFC 5321 §4.5.1: postmaster is taken from anybody, with a domain of ours or with none; where
 * somebody reads it. */
static bool is_postmaster(const struct smtpd *srv, const struct smtp_path *p)
{
	struct str domain = smtp_path_domain(p);

	return srv->conf->bounce_other[0] && str_ieq(smtp_path_local(p), STR("postmaster")) &&
	       (!domain.n || str_ieq(domain, str_of(srv->l->mail->bounce_domain)) ||
		       str_ieq(domain, str_of(smtpd_hostname(srv))));
}

/* By one name or by another, it is one mailbox. */
static void take_postmaster(struct smtpd_session *s, const struct smtp_command *c)
{
	for (unsigned i = 0; i < s->mail->n; i++) {
		struct str to = str_of(s->mail->rcpts[i].to), local;

		str_cut(&to, '@', &local);
		if (s->mail->rcpts[i].kind == SMTPD_BOUNCE && str_ieq(local, STR("postmaster"))) {
			smtpd_reply(s, 250, "2.1.5", "to the postmaster, named before");
			return;
		}
	}
	add(s->mail, SMTPD_BOUNCE, c);
	s->mail->bounces++;
	smtpd_reply(s, 250, "2.1.5", "to the postmaster");
}

static void take_bounce(struct smtpd_session *s, const struct smtp_command *c)
{
	struct smtpd_rcpt *r;
	uint64_t msg = 0;
	enum mail_token_fault f =
		mail_bounce_check(s->srv->l->mail, smtp_path_local(&c->path), clock_wall(), &msg);

	if (f != MAIL_TOKEN_GOOD && is_feedback_loop(s->srv, smtp_path_local(&c->path))) {
		add(s->mail, SMTPD_BOUNCE, c);
		s->mail->bounces++;
		smtpd_reply(s, 250, "2.1.5", "complaints about mails of ours");
		return;
	}
	if (f != MAIL_TOKEN_GOOD) {
		refuse(s, f == MAIL_TOKEN_EXPIRED ? &expired : &no_mailbox,
			f != MAIL_TOKEN_EXPIRED);
		return;
	}
	r = add(s->mail, SMTPD_BOUNCE, c);
	r->msg = msg;
	s->mail->bounces++;
	smtpd_reply(s, 250, "2.1.5", "reports about message %lu", msg);
}

static const struct smtpd_gateway_conf *gateway_of(const struct smtpd *srv, struct str domain)
{
	for (size_t i = 0; i < srv->conf->gateways_n; i++)
		if (str_ieq(domain, str_of(srv->conf->gateways[i].domain)))
			return &srv->conf->gateways[i];
	return NULL;
}

void smtpd_rcpt_to(struct smtpd_session *s, const struct smtp_command *c)
{
	struct smtpd *srv = s->srv;
	struct smtpd_mail *m = s->mail;
	struct str domain = smtp_path_domain(&c->path);
	const struct smtpd_gateway_conf *g;

	if (!m || m->chunked) {
		refuse(s, &no_mail, true);
		return;
	}
	if (is_there(m, smtp_path_text(&c->path))) {
		smtpd_reply(s, 250, "2.1.5", "to this recipient, named before");
		return;
	}
	if (m->n >= (unsigned)srv->conf->recipients_most) {
		refuse(s, &too_many, false);
		return;
	}
	if (takes_bounces(srv) && is_postmaster(srv, &c->path)) {
		take_postmaster(s, c);
		return;
	}
	if (takes_bounces(srv) && str_ieq(domain, str_of(srv->l->mail->bounce_domain))) {
		take_bounce(s, c);
		return;
	}
	if (!m->account) {
		refuse(s, &no_relay, true);
		return;
	}
	if (!account_has_rate(m->account, m->mailboxes + m->gateways + 1)) {
		refuse(s, &too_fast, false);
		return;
	}
	g = gateway_of(srv, domain);
	if (g)
		take_gateway(s, c, g);
	else
		take_mailbox(s, c);
}
