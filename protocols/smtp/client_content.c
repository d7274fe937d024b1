/* What a mail becomes on the wire: checked addresses, content built or as it was submitted, made
 * 7-bit where a server needs it, signed, and read from the spool in blocks.
 *
 * On the loop only what is quick: a mail in memory that nobody signs. All else is a chore's, which
 * works on the message (it never changes), the job's own buffers and copies of settings.
 */
#include "gateway/base/mem.h"
#include "gateway/base/spool.h"
#include "protocols/smtp/client.h"

#include <unistd.h>

enum { BLOCK = 256 * 1024 };

/* ---- the wire form of text ---- */

/* Where a CR stands that no LF follows, or that is the last octet; NULL: nowhere before end. */
static const char *bare_cr(const char *p, const char *end)
{
	return memchr(p, '\r', (size_t)(end - p));
}

void wire_text_put(struct wire_text *t, struct str s, struct buf *out)
{
	const char *run = s.p, *p = s.p, *end = s.p + s.n, *lf, *cr;

	if (t->binary) {
		buf_str(out, s);
		t->going = s.n ? s.p[s.n - 1] != '\n' : t->going;
		return;
	}
	while (p < end) {
		if (t->cr) { /* held back from the last piece */
			t->cr = false;
			if (*p == '\n') {
				buf_add(out, "\r\n", 2);
				t->going = false;
				run = ++p;
				continue;
			}
			buf_char(out, ' ');
			t->mended++;
			t->going = true;
		}
		if (!t->going && *p == '.' && !t->plain) {
			buf_add(out, run, (size_t)(p - run));
			run = p;
			buf_char(out, '.');
		}
		t->going = true;
		lf = memchr(p, '\n', (size_t)(end - p));
		cr = bare_cr(p, lf ? lf : end);
		if (cr && cr + 1 != (lf ? lf : end)) { /* in the middle of a line */
			buf_add(out, run, (size_t)(cr - run));
			buf_char(out, ' ');
			t->mended++;
			run = p = cr + 1;
		} else if (lf) {
			if (!cr) {
				buf_add(out, run, (size_t)(lf - run));
				buf_add(out, "\r\n", 2);
				t->mended++;
				run = lf + 1;
			}
			t->going = false;
			p = lf + 1;
		} else if (cr) { /* the last octet: nobody knows yet */
			buf_add(out, run, (size_t)(cr - run));
			t->cr = true;
			run = p = end;
		} else {
			p = end;
		}
	}
	buf_add(out, run, (size_t)(end - run));
}

void wire_text_end(struct wire_text *t, struct buf *out)
{
	if (t->binary)
		return;
	if (t->cr) {
		buf_char(out, ' ');
		t->mended++;
		t->going = true;
		t->cr = false;
	}
	if (t->going)
		buf_add(out, "\r\n", 2);
	t->going = false;
}

/* Would nothing of it be changed but for dots? */
static bool wire_clean(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *cr;

		if (!lf)
			return false;
		cr = bare_cr(p, lf);
		if (!cr || cr + 1 != lf)
			return false;
		p = lf + 1;
	}
	return true;
}

static bool has_8bit(struct str s)
{
	size_t i = 0;
	uint64_t w;

	for (; i + sizeof w <= s.n; i += sizeof w) {
		memcpy(&w, s.p + i, sizeof w);
		if (w & 0x8080808080808080u)
			return true;
	}
	for (; i < s.n; i++)
		if (s.p[i] & 0x80)
			return true;
	return false;
}

/* ---- addresses ---- */

/* As it may stand between < and >: nothing that could end it or the line, its domain in ASCII,
 * which every server and DNS knows; a local part beyond ASCII needs SMTPUTF8. */
static bool address_wire(struct relay_job *j, struct str s, char wire_r[MAIL_ADDRESS])
{
	bool utf8 = false;

	if (s.n == 0 || s.n > ADDRESS_EMAIL_MAX || !str_utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == 0x7f || c == '<' || c == '>' || (c == ' ' && s.p[0] != '"'))
			return false;
	}
	if (str_index(s, '@') <= 0 || mail_address_wire(s, wire_r, &utf8, NULL) != 0)
		return false;
	j->smtputf8 |= utf8;
	return true;
}

static void decide(struct relay_job *j, struct outcome o)
{
	if (j->decided)
		return;
	j->decided = true;
	j->outcome = o;
}

/* The reverse path: a token of ours where bounces come to us, else the sender. */
static void reverse_path(struct relay_job *j)
{
	const struct mail_conf *mail = j->d->channel->mail;
	const struct message *m = j->d->msg;
	struct str from = message_get(m, FIELD_FROM);
	char token[MAIL_TOKEN];
	struct buf b = BUF_INIT;

	j->from[0] = '\0';
	if (m->flags & MSG_REPORT)
		return;
	/* Submitted by SMTP from <>, it stays so. */
	if (!(m->flags & MSG_OCTETS))
		from = mail_sender(mail, m);
	if (mail && mail->bounce_domain && mail->bounce_domain[0] &&
		mail_bounce_token(mail, m->id, clock_wall(), token)) {
		buf_printf(&b, "%s@%s", token, mail->bounce_domain);
		str_copy(j->from, sizeof j->from, buf_view(&b));
		buf_free(&b);
		j->verp = true;
		return;
	}
	if (from.n && !address_wire(j, from, j->from))
		decide(j, relay_failed(REASON_BAD_SENDER, "5.1.7",
				  "the sender cannot be written into MAIL FROM"));
}

void job_address(struct relay_job *j)
{
	const struct message *m = j->d->msg;

	mail_envelope_get(m, &j->envelope);
	if (!address_wire(j, message_get(m, FIELD_TO), j->to))
		decide(j, relay_failed(REASON_BAD_DESTINATION, "5.1.3",
				  "the recipient cannot be written into RCPT TO"));
	reverse_path(j);
}

unsigned relay_parts(const struct channel *c, const struct message *m, struct outcome *why_r)
{
	/* Submitted by SMTP, it is sent as it is; one of ours about a mail is from <>. */
	if (m->flags & (MSG_OCTETS | MSG_REPORT) || mail_sender(c->mail, m).n)
		return 1;
	*why_r = relay_failed(REASON_BAD_SENDER, "5.1.7",
		"the mail names no sender (from), and mail.sender is not set");
	return 0;
}

/* ---- settings that a worker may read ---- */

static const char *copy(struct arena *a, const char *s)
{
	return arena_cstr(a, str_of(s ? s : ""));
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

void relay_mail_unref(struct relay_mail **mp)
{
	struct relay_mail *m = *mp;

	*mp = NULL;
	if (m && --m->refs == 0) {
		arena_free(&m->arena);
		mem_free(&m);
	}
}

static struct relay_mail *mail_settings(struct relay *r)
{
	static const struct mail_conf none;
	const struct mail_conf *now = r->c->mail ? r->c->mail : &none;
	struct relay_mail *m = r->mail;

	if (!m || !same(m->c.sender, now->sender) || !same(m->c.hostname, now->hostname) ||
		!same(m->c.secret, now->secret) || !same(m->c.bounce_domain, now->bounce_domain) ||
		!same(m->c.unsubscribe_url, now->unsubscribe_url) ||
		m->c.bounce_life != now->bounce_life ||
		m->c.unsubscribe_life != now->unsubscribe_life) {
		relay_mail_unref(&r->mail);
		m = r->mail = mem_new(struct relay_mail);
		m->refs = 1;
		m->arena = arena_new();
		m->c = *now;
		m->c.sender = copy(m->arena, now->sender);
		m->c.hostname = copy(m->arena, now->hostname);
		m->c.secret = now->secret ? copy(m->arena, now->secret) : NULL;
		m->c.bounce_domain = copy(m->arena, now->bounce_domain);
		m->c.unsubscribe_url = copy(m->arena, now->unsubscribe_url);
		m->c.old_secrets = NULL; /* for reading tokens only */
		m->c.old_secrets_n = 0;
	}
	m->refs++;
	return m;
}

/* ---- on a worker ---- */

static int fault(struct relay_job *j, enum reason reason, const char *status)
{
	j->fault_reason = reason;
	str_copy(j->fault_status, sizeof j->fault_status, str_of(status));
	return -1;
}

/* It comes again, for keys and settings can be mended; words and counter say why it stays. */
static int unsigned_fault(struct relay_job *j)
{
	j->not_signed = true;
	return fault(j, REASON_TEMPORARY, "4.7.0");
}

static int sign(struct relay_job *j, struct dkim_job **dp)
{
	if (dkim_end(dp, &j->head, &j->fault) == 0)
		return 0;
	dkim_abort(dp);
	return unsigned_fault(j);
}

/* 0 and *d_r NULL: no key is for its From, so it goes as it is. A mail that a key is for never
 * goes unsigned: DMARC might have it refused for good. */
static int sign_begin(struct relay_job *j, struct str header, struct dkim_job **d_r)
{
	struct mail_header_look look;

	mail_header_look(header, &look);
	*d_r = dkim_begin(j->signer, look.from_address, j->d->msg->accepted);
	if (!*d_r || dkim_put_header(*d_r, str_n(header.p, look.header_n), &j->fault) == 0)
		return 0;
	dkim_abort(d_r);
	return unsigned_fault(j);
}

static int build_fault(struct relay_job *j)
{
	return j->fault.kind == ERR_AGAIN || j->fault.kind == ERR_ENV
		       ? fault(j, REASON_STORE, "4.3.0")
		       : fault(j, REASON_BAD_CONTENT, "5.6.0");
}

/* seven: its attached mails, too, are to be such that 7 bits carry them. */
static int build(struct relay_job *j, bool seven)
{
	bool utf8 = false;

	buf_reset(&j->made);
	mail_pieces_free(&j->pieces);
	if (mail_make(&j->mail->c, j->spool, j->d->msg, seven, &j->made, &j->pieces, &utf8,
		    &j->fault) != 0)
		return build_fault(j);
	j->octets = buf_view(&j->made);
	j->smtputf8 |= utf8;
	if (j->pieces)
		j->file = mail_pieces_size(j->pieces);
	return 0;
}

static int memory_prepare(struct relay_job *j)
{
	struct buf out = BUF_INIT;
	bool ours = !(j->d->msg->flags & MSG_OCTETS);

	if (ours && build(j, false) != 0)
		return -1;
	if (!ours)
		j->octets = message_get(j->d->msg, FIELD_OCTETS);
	if (!j->seven)
		return 0;
	if (j->pieces)
		return build(j, true);
	if (mail_to_7bit(j->octets, j->spoil, &out, &j->fault) == 0) {
		buf_free(&j->made);
		j->made = out;
		j->octets = buf_view(&j->made);
		j->envelope.binary = false;
		return 0;
	}
	buf_free(&out);
	return ours ? build(j, true) : fault(j, REASON_BAD_CONTENT, "5.6.3");
}

static int memory_sign(struct relay_job *j)
{
	struct mail_header_look look;
	struct dkim_job *d;

	/* What is signed is what will be on the wire. */
	if (!wire_clean(j->octets)) {
		struct wire_text t = { .plain = true };
		struct buf out = BUF_INIT;

		wire_text_put(&t, j->octets, &out);
		wire_text_end(&t, &out);
		j->text.mended += t.mended;
		buf_free(&j->made);
		j->made = out;
		j->octets = buf_view(&j->made);
	}
	if (sign_begin(j, j->octets, &d) != 0)
		return -1;
	if (!d)
		return 0;
	mail_header_look(j->octets, &look);
	if (dkim_put_body(d, str_skip(j->octets, look.header_n), &j->fault) != 0) {
		dkim_abort(&d);
		return unsigned_fault(j);
	}
	return sign(j, &d);
}

/* At most so much at j->at: at the beginning, or behind the last one. */
static int read_block(struct relay_job *j, size_t most)
{
	uint64_t at = j->at;
	size_t want = j->file - at < most ? (size_t)(j->file - at) : most;

	buf_reset(&j->block);
	if (!job_is_big(j)) {
		buf_add(&j->block, j->octets.p + at, want);
		j->at += want;
		return 0;
	}
	if (j->pieces) {
		if (at == 0)
			mail_pieces_rewind(j->pieces);
		if (mail_pieces_read(j->pieces, want, &j->block, &j->fault) != 0)
			return -1;
		j->at += j->block.n;
		return j->block.n && j->at <= j->file
			       ? 0
			       : err_set(&j->fault, ERR_ENV, "the mail is not what it was");
	}
	if (spool_read_at(j->fd, at, buf_extend(&j->block, want), want, &j->fault) != 0)
		return -1;
	j->at += want;
	return 0;
}

static int next_block(struct relay_job *j)
{
	return read_block(j, j->block_most < BLOCK ? j->block_most : BLOCK);
}

/* With the header whole, which one that we wrote ourselves may have long. */
static int first_block(struct relay_job *j)
{
	size_t n = j->pieces ? mail_pieces_first(j->pieces) : 0;

	return read_block(j, n > BLOCK ? n : BLOCK);
}

static int file_sign(struct relay_job *j)
{
	struct wire_text t = { .plain = true };
	struct dkim_job *d = NULL;
	struct buf clean = BUF_INIT;
	int rc = 0;

	j->block_most = SIZE_MAX;
	for (j->at = 0; j->at < j->file && rc == 0;) {
		struct mail_header_look look = { 0 };
		bool first = j->at == 0;

		if ((first ? first_block(j) : next_block(j)) != 0) {
			rc = fault(j, REASON_STORE, "4.3.0");
			break;
		}
		buf_reset(&clean);
		wire_text_put(&t, buf_view(&j->block), &clean);
		if (j->at >= j->file)
			wire_text_end(&t, &clean);
		if (first) {
			mail_header_look(buf_view(&clean), &look);
			rc = sign_begin(j, buf_view(&clean), &d);
			if (!d)
				break;
		}
		if (dkim_put_body(d, str_skip(buf_view(&clean), look.header_n), &j->fault) != 0)
			rc = unsigned_fault(j);
	}
	if (rc == 0 && d)
		rc = sign(j, &d);
	if (d)
		dkim_abort(&d);
	buf_free(&clean);
	return rc;
}

/* Has its header 8 bits? Declared is not needed. */
static int file_header(struct relay_job *j)
{
	struct mail_header_look h;

	j->at = 0;
	j->block_most = SIZE_MAX;
	if (next_block(j) != 0)
		return fault(j, REASON_STORE, "4.3.0");
	mail_header_look(buf_view(&j->block), &h);
	j->envelope.smtputf8 = has_8bit(str_n(j->block.p, h.header_n));
	return 0;
}

static int file_prepare(struct relay_job *j, struct str name)
{
	j->fd = spool_read(j->spool, name, &j->file, &j->fault);
	if (j->fd < 0)
		return fault(j, REASON_STORE, "4.3.0");
	if (j->envelope.smtputf8 && file_header(j) != 0)
		return -1;
	if (j->seven) {
		j->pieces = mail_file_to_7bit(j->fd, j->file, j->spoil, &j->fault);
		if (!j->pieces)
			return j->fault.kind == ERR_ENV ? fault(j, REASON_STORE, "4.3.0")
							: fault(j, REASON_BAD_CONTENT, "5.6.3");
		j->fd = -1;
		j->file = mail_pieces_size(j->pieces);
		j->envelope.binary = false;
	}
	return j->signer ? file_sign(j) : 0;
}

static int prepare(struct relay_job *j)
{
	struct spool_ref ref;
	struct str name = message_get(j->d->msg, FIELD_SPOOL);

	buf_reset(&j->head);
	if (j->d->msg->flags & MSG_OCTETS && name.n) {
		if (j->fd >= 0)
			close(j->fd);
		j->fd = -1;
		mail_pieces_free(&j->pieces);
		if (!j->spool || !spool_ref_parse(name, &ref)) {
			err_set(&j->fault, ERR_INPUT, "its spool reference cannot be read");
			return fault(j, REASON_BAD_CONTENT, "5.3.0");
		}
		return file_prepare(j, ref.name);
	}
	if (memory_prepare(j) != 0)
		return -1;
	if (!j->signer)
		return 0;
	return j->pieces ? file_sign(j) : memory_sign(j);
}

static void prepare_call(struct chore *c)
{
	struct relay_job *j = CONTAINER(c, struct relay_job, chore);

	j->fault_reason = REASON_NONE;
	j->not_signed = false;
	if (prepare(j) != 0)
		CHECK(j->fault_reason != REASON_NONE);
	buf_free(&j->block);
}

/* ---- on the loop ---- */

/* What the server is told: how long, and what is in it. */
static void look(struct relay_job *j)
{
	struct mail_header_look h;

	j->binary = j->envelope.binary && !j->seven;
	if (job_is_big(j)) {
		j->size = j->head.n + j->file;
		j->eightbit = j->pieces ? mail_pieces_8bit(j->pieces) : j->envelope.eightbit;
		j->smtputf8 |= j->envelope.smtputf8;
		return;
	}
	j->size = j->head.n + j->octets.n;
	j->eightbit = has_8bit(j->octets);
	/* Declared is not needed: only a header beyond ASCII needs it (RFC 6531 §3.4). */
	if (j->eightbit && j->envelope.smtputf8 && !j->smtputf8) {
		mail_header_look(j->octets, &h);
		j->smtputf8 = has_8bit(str_n(j->octets.p, h.header_n));
	}
}

static void prepare_done(struct chore *c)
{
	struct relay_job *j = CONTAINER(c, struct relay_job, chore);

	relay_mail_unref(&j->mail);
	if (j->signer)
		dkim_signer_free(&j->signer);
	if (j->not_signed) {
		unsigned held;

		stat_inc(&j->relay->stats.not_signed);
		if (log_due(&j->relay->quiet, &held))
			log_warn("a mail could not be signed, and is not sent without",
				F_STR("channel", j->relay->c->name), F_ID("id", j->d->msg->id),
				F_STR("why", j->fault.text), F_U64("more", held));
	}
	if (j->fault_reason != REASON_NONE)
		decide(j, relay_failed(j->fault_reason, j->fault_status, "%s", j->fault.text));
	else
		look(j);
	job_prepared(j);
}

bool job_prepare(struct relay_job *j)
{
	struct relay *r = j->relay;
	const struct message *m = j->d->msg;

	if (m->flags & MSG_OCTETS && !message_has(m, FIELD_SPOOL) && !r->signer && !j->seven) {
		j->octets = message_get(m, FIELD_OCTETS);
		look(j);
		return true;
	}
	j->mail = mail_settings(r);
	j->spool = r->c->spool;
	j->spoil = relay_settings(r)->signed_8bit == SIGNED_CONVERT;
	if (r->signer)
		j->signer = dkim_signer_ref(r->signer);
	j->chore =
		(struct chore){ .reply = r->c->loop, .call = prepare_call, .done = prepare_done };
	workers_do(&j->chore);
	return false;
}

static void read_call(struct chore *c)
{
	struct relay_job *j = CONTAINER(c, struct relay_job, chore);

	j->fault_reason = next_block(j) == 0 ? REASON_NONE : REASON_STORE;
}

static void read_done(struct chore *c)
{
	struct relay_job *j = CONTAINER(c, struct relay_job, chore);

	j->reading = false;
	job_read(j, j->fault_reason == REASON_NONE);
}

void job_read_more(struct relay_job *j)
{
	CHECK(!j->reading);
	j->reading = true;
	j->chore =
		(struct chore){ .reply = j->relay->c->loop, .call = read_call, .done = read_done };
	workers_do(&j->chore);
}

void job_content_free(struct relay_job *j)
{
	if (j->fd >= 0)
		close(j->fd);
	mail_pieces_free(&j->pieces);
	buf_free(&j->head);
	buf_free(&j->made);
	buf_free(&j->block);
}
