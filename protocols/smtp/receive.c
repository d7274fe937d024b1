/* The content of a mail as it comes, by DATA or BDAT: into memory while it is small, else to the
 * spool, block by block on workers, the stream being paused meanwhile. So a connection holds two
 * blocks at most, whatever the size of its mail. See smtpd.h.
 */
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

#include <openssl/evp.h>
#include <stdio.h>

#define REPLY(name, code, status, text) static const struct smtp_reply name = { code, status, text }
REPLY(no_mail, 503, "5.5.1", "say MAIL first");
REPLY(no_rcpt, 554, "5.5.1", "no recipient was taken");
REPLY(mixed, 503, "5.5.1", "DATA and BDAT do not mix");
REPLY(bare, 521, "5.5.2", "a lone CR or LF stands in the mail; lines end with CR LF");
REPLY(too_big, 552, "5.3.4", "that is more than is taken");
#undef REPLY

enum { OVER_MOST = 1024 * 1024 };

void smtpd_mail_refuse(
	struct smtpd_mail *m, unsigned code, const char *status, const char *fmt, ...)
{
	va_list ap;

	if (m->refused)
		return;
	va_start(ap, fmt);
	vsnprintf(m->refused_text, sizeof m->refused_text, fmt, ap);
	va_end(ap);
	m->refused_own = (struct smtp_reply){ code, status, m->refused_text };
	m->refused = &m->refused_own;
}

/* ---- the spool ---- */

struct rubbish {
	struct chore chore; /* first */
	struct smtpd *srv;
	struct spool *spool;
	struct spool_writer *writer;
	char name[SPOOL_NAME];
};

static void rubbish_call(struct chore *c)
{
	struct rubbish *r = (struct rubbish *)c;

	if (r->writer)
		spool_abort(&r->writer);
	if (r->name[0])
		spool_remove(r->spool, str_of(r->name));
}

static void rubbish_done(struct chore *c)
{
	struct rubbish *r = (struct rubbish *)c;
	struct smtpd *srv = r->srv;

	mem_free(&r);
	srv->tasks--;
	smtpd_check_closed(srv);
}

void smtpd_spool_drop(struct smtpd *srv, struct spool_writer **wp, const char *name)
{
	struct rubbish *r;

	if (!*wp && !name[0])
		return;
	r = mem_new(struct rubbish);
	r->srv = srv;
	r->spool = srv->l->spool;
	r->writer = *wp;
	*wp = NULL;
	str_copy(r->name, sizeof r->name, str_of(name));
	r->chore.reply = srv->l->loop;
	r->chore.call = rubbish_call;
	r->chore.done = rubbish_done;
	srv->tasks++;
	workers_do(&r->chore);
}

/* ---- a digest of what the client chose ---- */

void smtpd_digest_free(struct smtpd_mail *m)
{
	EVP_MD_CTX_free(m->digest_ctx);
	m->digest_ctx = NULL;
}

void smtpd_digest_add(struct smtpd_mail *m, struct str octets)
{
	if (!m->digest_ctx) {
		m->digest_ctx = EVP_MD_CTX_new();
		CHECK(m->digest_ctx && EVP_DigestInit_ex(m->digest_ctx, EVP_sha256(), NULL));
	}
	CHECK(EVP_DigestUpdate(m->digest_ctx, octets.p, octets.n));
}

void smtpd_digest_end(struct smtpd_mail *m)
{
	unsigned n = 0;

	if (m->digested)
		return;
	if (!m->digest_ctx)
		smtpd_digest_add(m, str_n(m->body.p + m->prefix, m->body.n - m->prefix));
	CHECK(EVP_DigestFinal_ex(m->digest_ctx, m->digest, &n));
	smtpd_digest_free(m);
	m->digested = true;
}

/* ---- blocks ---- */

static void block_call(struct chore *c)
{
	struct smtpd_mail *m = CONTAINER(c, struct smtpd_mail, chore);
	struct spool *spool = m->s->srv->l->spool;
	size_t ours = m->writer ? 0 : m->prefix;

	m->failed = true;
	if (!m->writer)
		m->writer = spool_begin(spool, &m->fault);
	if (!m->writer || spool_write(m->writer, m->block.p, m->block.n, &m->fault) != 0)
		return;
	smtpd_digest_add(m, str_n(m->block.p + ours, m->block.n - ours));
	if (m->finish && spool_finish(&m->writer, m->spooled, &m->fault) != 0)
		return;
	m->failed = false;
}

static void content_end(struct smtpd_mail *m);

static void block_done(struct chore *c)
{
	struct smtpd_mail *m = CONTAINER(c, struct smtpd_mail, chore);
	struct smtpd_session *s = m->s;
	unsigned held;

	m->octets += m->block.n;
	buf_reset(&m->block);
	if (m->finish)
		buf_free(&m->block);
	s->data_since += loop_now(s->srv->l->loop) - m->held_since;
	if (m->failed) {
		if (log_due(&s->srv->quiet_spool, &held))
			log_error("spool", F_STR("listener", s->srv->l->name), F_ERR(&m->fault),
				F_U64("more", held));
		if (m->fault.kind == ERR_AGAIN)
			smtpd_mail_refuse(m, 452, "4.3.1", "the disk is full");
		else
			smtpd_mail_refuse(m, 451, "4.3.0", "the mail cannot be kept now");
		smtpd_spool_drop(s->srv, &m->writer, "");
	}
	if (smtpd_is_alive(s)) {
		s->holds &= ~(unsigned)SMTPD_HOLD_SPOOL;
		if (m->finish && m->refused)
			smtpd_mail_end(m);
		else if (m->finish)
			smtpd_mail_whole(m);
		if (smtpd_is_alive(s))
			smtpd_let_go(s, SMTPD_HOLD_SPOOL);
	}
	smtpd_session_release(s);
}

static void flush(struct smtpd_mail *m, bool finish)
{
	struct smtpd_session *s = m->s;
	struct buf other = m->block;

	if (!s->srv->l->spool) {
		smtpd_mail_refuse(m, 452, "4.3.1", "there is no room for large mails");
		if (finish)
			smtpd_mail_end(m);
		return;
	}
	m->block = m->body;
	m->body = other;
	m->finish = finish;
	m->held_since = loop_now(s->srv->l->loop);
	m->chore.reply = s->srv->l->loop;
	m->chore.call = block_call;
	m->chore.done = block_done;
	smtpd_hold(s, SMTPD_HOLD_SPOOL);
	s->pending++;
	workers_do(&m->chore);
}

/* ---- octets ---- */

static void refuse_by_fault(struct smtpd_mail *m)
{
	switch (m->scan.fault) {
	case SMTP_DATA_NUL:
		smtpd_mail_refuse(m, 554, "5.6.0", "a NUL stands in the mail");
		break;
	case SMTP_DATA_LONG_LINE:
		smtpd_mail_refuse(m, 554, "5.6.0", "a line of the mail is longer than %zu octets",
			m->scan.line_most);
		break;
	case SMTP_DATA_BARE_CR:
	case SMTP_DATA_BARE_LF:
		smtpd_mail_refuse(m, 554, "5.5.2", "%s", bare.text);
		break;
	case SMTP_DATA_GOOD:
		break;
	}
}

/* What was taken is looked at. False: too much of what is refused anyway came, the session ends. */
static bool content_grew(struct smtpd_mail *m)
{
	struct smtpd_session *s = m->s;
	uint64_t most = s->srv->conf->size_most;

	/* Before a block is on its way to a worker: what is refused may be freed at once. */
	refuse_by_fault(m);
	if (m->scan.octets > most)
		smtpd_mail_refuse(m, 552, "5.3.4", "the mail is larger than %lu octets", most);
	if (!m->refused && m->body.n >= SMTPD_BLOCK) {
		if (!m->looked)
			smtpd_header(m);
		if (!m->refused)
			flush(m, false);
	}
	if (!m->refused || s->holds & SMTPD_HOLD_SPOOL)
		return true;
	m->dropped += m->body.n;
	buf_reset(&m->body);
	if (m->dropped <= most + OVER_MOST)
		return true;
	smtpd_lost(s, m->refused);
	return false;
}

/* The last octet is here. */
static void content_end(struct smtpd_mail *m)
{
	struct smtpd_session *s = m->s;

	s->state = SMTPD_COMMAND;
	stat_add(&s->srv->octets, m->scan.octets);
	refuse_by_fault(m);
	if (m->scan.octets > s->srv->conf->size_most)
		smtpd_mail_refuse(m, 552, "5.3.4", "the mail is larger than %lu octets",
			s->srv->conf->size_most);
	if (!m->refused && !m->looked)
		smtpd_header(m);
	if (m->refused)
		smtpd_mail_end(m);
	else if (m->writer || m->body.n > SMTPD_INLINE)
		flush(m, true);
	else
		smtpd_mail_whole(m);
}

static void content_begin(struct smtpd_session *s)
{
	s->data_since = s->heard = loop_now(s->srv->l->loop);
	s->data_octets = 0;
	if (s->mail->body.n == 0 && !s->mail->looked)
		smtpd_received(s->mail);
}

/* ---- DATA ---- */

void smtpd_data_begin(struct smtpd_session *s)
{
	struct smtpd_mail *m = s->mail;
	const struct smtp_reply *why = !m           ? &no_mail
				       : m->chunked ? &mixed
				       : m->n == 0  ? &no_rcpt
						    : NULL;

	if (why) {
		smtpd_say(s, why);
		smtpd_error(s);
		return;
	}
	content_begin(s);
	s->state = SMTPD_DATA;
	smtpd_say_text(s, STR("354 end with a line of a dot alone\r\n"));
}

size_t smtpd_data(struct smtpd_session *s, struct str bytes)
{
	struct smtpd_mail *m = s->mail;
	size_t n = smtp_data_take(&m->scan, bytes, &m->body);

	s->data_octets += n;
	if (m->scan.fault == SMTP_DATA_BARE_LF || m->scan.fault == SMTP_DATA_BARE_CR) {
		smtpd_lost(s, &bare);
		return n;
	}
	if (m->scan.ended)
		content_end(m);
	else if (n)
		content_grew(m);
	return n;
}

/* ---- BDAT ---- */

static void chunk_end(struct smtpd_session *s)
{
	struct smtpd_mail *m = s->mail;

	s->state = SMTPD_COMMAND;
	if (s->chunk_refused) {
		smtpd_say(s, s->chunk_refused);
		smtpd_error(s);
		return;
	}
	if (m->last) {
		if (!smtp_data_is_whole(&m->scan)) {
			smtp_data_chunk(&m->scan, m->scan.cr ? STR("\n") : STR("\r\n"), &m->body);
		}
		content_end(m);
		return;
	}
	refuse_by_fault(m);
	if (m->refused) {
		smtpd_mail_end(m); /* what follows it is refused, too (RFC 3030 §2) */
		return;
	}
	smtpd_reply(s, 250, "2.0.0", "%lu octets so far", m->scan.octets);
}

void smtpd_chunk_begin(struct smtpd_session *s, const struct smtp_command *c)
{
	struct smtpd_mail *m = s->mail;

	s->chunk = c->chunk;
	s->chunk_refused = !m ? &no_mail : m->n == 0 ? &no_rcpt : NULL;
	if (c->chunk > s->srv->conf->size_most + OVER_MOST) {
		smtpd_lost(s, &too_big); /* it is not waited for */
		return;
	}
	s->state = SMTPD_CHUNK;
	s->data_since = s->heard = loop_now(s->srv->l->loop);
	s->data_octets = 0;
	if (!s->chunk_refused) {
		if (!m->chunked)
			content_begin(s);
		m->chunked = true;
		m->last = c->last;
	}
	if (s->chunk == 0)
		chunk_end(s);
}

size_t smtpd_chunk(struct smtpd_session *s, struct str bytes)
{
	struct smtpd_mail *m = s->mail;
	size_t n = bytes.n < s->chunk ? bytes.n : (size_t)s->chunk;

	s->chunk -= n;
	s->data_octets += n;
	if (!s->chunk_refused)
		smtp_data_chunk(&m->scan, str_n(bytes.p, n), &m->body);
	if (s->chunk == 0 && (s->chunk_refused || m->last))
		chunk_end(s);
	else if (!s->chunk_refused && !content_grew(m))
		return n;
	else if (s->chunk == 0)
		chunk_end(s);
	return n;
}
