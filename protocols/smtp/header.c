/* The header of a mail that comes in: what is put on top of it, what is added and what is read, and
 * reasons to refuse it. RFC 5321 §4.4, 6.3; RFC 6409 §6.1, 8. See smtpd.h. */
#include "gateway/base/mem.h"
#include "protocols/smtp/smtpd.h"

enum { KEY_MOST = 160, MESSAGE_ID_MOST = 250, SUBJECT_MOST = 250 };

/* ---- on top ---- */

static void put_date(struct buf *b)
{
	static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	wall_t now = clock_wall();
	struct civil c = clock_civil(now);

	buf_printf(b, "%s, %d %s %d %02d:%02d:%02d +0000", days[now / DUR_DAY % 7], c.day,
		months[c.month - 1], c.year, c.hour, c.minute, c.second);
}

static void put_peer(struct buf *b, const struct smtpd_session *s)
{
	struct str host;
	uint16_t port;

	if (!addr_split(str_of(s->peer), &host, &port))
		return;
	buf_printf(
		b, " ([%s%.*s])", s->addr.sa.sa_family == AF_INET6 ? "IPv6:" : "", STR_ARG(host));
}

/* RFC 3848, 6531 §4.3 */
static void put_with(struct buf *b, const struct smtpd_mail *m)
{
	const struct smtpd_session *s = m->s;

	if (!s->esmtp) {
		buf_c(b, "SMTP");
		return;
	}
	buf_printf(b, "%s%s%s", m->smtputf8 ? "UTF8SMTP" : "ESMTP", s->tls ? "S" : "",
		s->authed ? "A" : "");
}

void smtpd_received(struct smtpd_mail *m)
{
	struct smtpd_session *s = m->s;
	struct smtpd *srv = s->srv;
	struct buf *b = &m->body;

	m->trace = (uint64_t)(clock_wall() / DUR_US) << 8 | (++srv->count & 255);
	buf_printf(b, "Received: from %s", s->helo && s->helo[0] ? s->helo : "unknown");
	put_peer(b, s);
	buf_printf(b, "\r\n\tby %s with ", smtpd_hostname(srv));
	put_with(b, m);
	buf_printf(b, " id %lx", m->trace);
	/* One recipient alone may be named without telling one of the other. */
	if (m->n == 1)
		buf_printf(b, "\r\n\tfor <%s>", m->rcpts[0].to);
	buf_c(b, "; ");
	put_date(b);
	buf_c(b, "\r\n");
	m->prefix = b->n;
}

/* ---- reading ---- */

struct found {
	struct str key, message_id; /* raw values */
	size_t key_at, key_n;       /* the whole field, in what was looked at */
	unsigned from, keys;
	bool is_header; /* it begins with a field */
};

static bool field_is(struct str field, struct str name, struct str *value_r)
{
	if (field.n <= name.n || !str_ieq(str_n(field.p, name.n), name))
		return false;
	field = str_skip(field, name.n);
	while (field.n && (field.p[0] == ' ' || field.p[0] == '\t'))
		field = str_skip(field, 1);
	if (!field.n || field.p[0] != ':')
		return false;
	*value_r = str_trim(str_skip(field, 1));
	return true;
}

static bool begins_with_field(struct str s)
{
	size_t i = 0;

	while (i < s.n && s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != ':')
		i++;
	while (i > 0 && i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return i > 0 && i < s.n && s.p[i] == ':';
}

static void find(struct str header, struct found *f)
{
	size_t at = 0, end;
	struct str v;

	*f = (struct found){ .key = STR_NONE, .message_id = STR_NONE };
	f->is_header = begins_with_field(header);
	while (at < header.n) {
		struct str field;

		end = at;
		do {
			const char *lf = memchr(header.p + end, '\n', header.n - end);

			end = lf ? (size_t)(lf - header.p) + 1 : header.n;
		} while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
		field = str_n(header.p + at, end - at);
		if ((field.p[0] | 0x20) == 'f' && field_is(field, STR("From"), &v)) {
			f->from++;
		} else if ((field.p[0] | 0x20) == 'm' && field_is(field, STR("Message-ID"), &v)) {
			if (!f->message_id.n)
				f->message_id = v;
		} else if ((field.p[0] | 0x20) == 'p' &&
			   field_is(field, STR("Postern-Idempotency-Key"), &v)) {
			f->key = v;
			f->key_at = at;
			f->key_n = end - at;
			f->keys++;
		}
		at = end;
	}
}

static void keep_message_id(struct smtpd_mail *m, struct str v)
{
	if (v.n > 2 && v.p[0] == '<' && v.p[v.n - 1] == '>')
		v = str_n(v.p + 1, v.n - 2);
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] == 0x7f)
			return;
	if (v.n && v.n <= MESSAGE_ID_MOST && str_utf8_valid(v))
		m->message_id = mem_dup(v);
}

static bool key_is_good(struct str k)
{
	for (size_t i = 0; i < k.n; i++)
		if (k.p[i] <= ' ' || k.p[i] > 0x7e)
			return false;
	return k.n > 0 && k.n <= KEY_MOST;
}

static void keep_subject(struct smtpd_mail *m, struct str raw)
{
	struct buf b = BUF_INIT;

	if (!raw.n)
		return;
	mail_words(str_n(raw.p, raw.n < 4 * SUBJECT_MOST ? raw.n : 4 * SUBJECT_MOST), &b);
	if (b.n > SUBJECT_MOST) {
		b.n = SUBJECT_MOST;
		while (b.n && (b.p[b.n] & 0xc0) == 0x80) /* not within a character */
			b.n--;
	}
	m->subject = mem_dup(buf_view(&b));
	buf_free(&b);
}

/* May its account write as the author that the header names? */
static void check_from(struct smtpd_mail *m, const struct mail_header_look *look, unsigned from)
{
	const struct account *a = m->account;

	if (!a || a->conf->from_n == 0 || !smtpd_account_conf(a)->header_from)
		return;
	if (from > 1)
		smtpd_mail_refuse(m, 554, "5.6.0", "the mail has %u From fields", from);
	else if (!look->from_address.n || look->from_address.n > 254)
		smtpd_mail_refuse(m, 550, "5.7.1", "the mail's From names no address");
	else if (look->from_addresses > 1)
		smtpd_mail_refuse(m, 550, "5.7.1", "the mail's From names more than one address");
	else if (!smtpd_may_write_as(a, look->from_address))
		smtpd_mail_refuse(m, 550, "5.7.1",
			"this account may not write as the sender in the mail's From");
}

/* ---- changing ---- */

static void cut(struct smtpd_mail *m, size_t at, size_t n)
{
	memmove(m->body.p + at, m->body.p + at + n, m->body.n - at - n);
	m->body.n -= n;
}

/* What was missing goes between our trace line and the rest. */
static void insert(struct smtpd_mail *m, struct str lines)
{
	size_t rest = m->body.n - m->prefix;

	buf_extend(&m->body, lines.n);
	memmove(m->body.p + m->prefix + lines.n, m->body.p + m->prefix, rest);
	memcpy(m->body.p + m->prefix, lines.p, lines.n);
	m->prefix += lines.n;
}

static void complete(
	struct smtpd_mail *m, const struct mail_header_look *look, bool is_header, bool is_empty)
{
	struct buf *b = &m->s->srv->work;

	if (look->date && look->message_id)
		return;
	buf_reset(b);
	if (!look->date) {
		buf_c(b, "Date: ");
		put_date(b);
		buf_c(b, "\r\n");
	}
	if (!look->message_id)
		buf_printf(b, "Message-ID: <%lx@%s>\r\n", m->trace, smtpd_hostname(m->s->srv));
	if (!is_header && !is_empty)
		buf_c(b, "\r\n"); /* what comes is no header */
	insert(m, buf_view(b));
}

void smtpd_header(struct smtpd_mail *m)
{
	const struct smtpd_conf *c = m->s->srv->conf;
	struct str all = str_n(m->body.p + m->prefix, m->body.n - m->prefix);
	struct mail_header_look look;
	struct found f;
	bool is_empty;

	m->looked = true;
	mail_header_look(all, &look);
	if (look.header_n == all.n && all.n >= SMTPD_BLOCK / 2) {
		smtpd_mail_refuse(m, 552, "5.3.4", "the mail's header is too long");
		return;
	}
	find(str_n(all.p, look.header_n), &f);
	if (look.received > (unsigned)c->hops_most) {
		smtpd_mail_refuse(
			m, 554, "5.4.6", "the mail goes round in circles: %u hops", look.received);
		return;
	}
	check_from(m, &look, f.from);
	if (m->refused)
		return;
	if (f.keys && (f.keys > 1 || !key_is_good(f.key))) {
		smtpd_mail_refuse(m, 554, "5.6.0",
			"Postern-Idempotency-Key must be there once, with 1 to %u visible "
			"characters",
			(unsigned)KEY_MOST);
		return;
	}
	if (f.keys)
		m->key = mem_dup(f.key);
	keep_message_id(m, f.message_id);
	keep_subject(m, look.subject);
	is_empty = all.n == 0 || (all.n >= 2 && all.p[0] == '\r');
	if (f.keys)
		cut(m, m->prefix + f.key_at, f.key_n); /* between it and us */
	complete(m, &look, f.is_header || f.keys, is_empty);
}
