/* Reports of ours about a mail: what became of it, for people and for programs. See report.h.
 *
 * RFC 3464 in RFC 6522, or RFC 6533 where addresses are beyond ASCII. The same facts give the same
 * octets. All but the original is 7-bit; an original that no line protocol could carry again comes
 * back as its header.
 */
#include "gateway/mail/mime_in.h"
#include "gateway/mail/mime_out.h"
#include "gateway/mail/report.h"

#include <stdio.h>

enum { LINE_MOST = 998 };

static const struct {
	const char *action, *status, *subject, *sentence;
} actions[] = {
	[DSN_FAILED] = { "failed", "5.0.0", "Your mail could not be delivered",
		"Your mail could not be delivered to" },
	[DSN_DELAYED] = { "delayed", "4.0.0", "Your mail is delayed",
		"Your mail has not been delivered yet to" },
	[DSN_DELIVERED] = { "delivered", "2.0.0", "Your mail was delivered",
		"Your mail was delivered to" },
	[DSN_RELAYED] = { "relayed", "2.0.0", "Your mail was handed on",
		"Your mail was handed on to a server that gives no further word, for" },
	[DSN_EXPANDED] = { "expanded", "2.0.0", "Your mail was sent to a list",
		"Your mail was sent to all members of" },
};

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* One line of plain characters, for fields that take no encoded words. */
static void put_clean(struct buf *b, struct str s, bool utf8)
{
	while (s.n) {
		int32_t c = str_utf8_next(&s);

		if (c < 0 || (c >= 0x80 && !utf8))
			buf_char(b, '?');
		else if (c < ' ' || c == 0x7f)
			buf_char(b, ' ');
		else
			buf_utf8(b, (uint32_t)c);
	}
}

/* "Name: type; value" CRLF, folded. */
static void put_field(
	struct buf *b, const char *name, const char *type, struct str value, bool utf8)
{
	struct buf clean = BUF_INIT;
	struct str rest, word;
	size_t column = strlen(name) + 2;

	put_clean(&clean, value, utf8);
	buf_printf(b, "%s: %s%s", name, type, *type ? ";" : "");
	column += strlen(type) + 1;
	rest = str_trim(buf_view(&clean));
	for (bool first = !*type; rest.n && str_cut(&rest, ' ', &word); first = false) {
		if (!word.n)
			continue;
		if (word.n > LINE_MOST - 2)
			word.n = LINE_MOST - 2;
		if (!first && column + 1 + word.n > MIME_FOLD) {
			buf_str(b, STR("\r\n"));
			column = 0;
		}
		if (!first) {
			buf_char(b, ' ');
			column++;
		}
		buf_str(b, word);
		column += word.n;
	}
	buf_str(b, STR("\r\n"));
	buf_free(&clean);
}

static void put_date(struct buf *b, const char *name, wall_t t)
{
	if (!t)
		return;
	buf_printf(b, "%s: ", name);
	mime_date(b, t);
	buf_str(b, STR("\r\n"));
}

/* A recipient: "rfc822; a@b", or RFC 6533 §3, whose form for ASCII escapes the rest. */
static void put_recipient(struct buf *b, const char *name, struct str address, bool utf8)
{
	struct buf escaped = BUF_INIT;

	if (is_ascii(address) || utf8) {
		put_field(b, name, is_ascii(address) ? "rfc822" : "utf-8", address, utf8);
		return;
	}
	while (address.n) {
		int32_t c = str_utf8_next(&address);

		if (c > ' ' && c < 0x7f && c != '\\' && c != '+' && c != '=')
			buf_char(&escaped, (char)c);
		else
			buf_printf(&escaped, "\\x{%02X}", c < 0 ? 0xfffdu : (unsigned)c);
	}
	put_field(b, name, "utf-8", buf_view(&escaped), false);
	buf_free(&escaped);
}

/* "mx.example.com[192.0.2.1]:25" is more than Remote-MTA takes. */
static struct str host_of(struct str remote)
{
	size_t n = 0;

	if (remote.n && remote.p[0] == '[') /* an address alone */
		return str_n(remote.p, (size_t)(str_index(remote, ']') + 1));
	while (n < remote.n && remote.p[n] != '[' && remote.p[n] != ' ' && remote.p[n] != ':' &&
		remote.p[n] != '(')
		n++;
	return n ? str_n(remote.p, n) : remote;
}

static bool is_reply(struct str s)
{
	return s.n >= 3 && s.p[0] >= '2' && s.p[0] <= '5' && s.p[1] >= '0' && s.p[1] <= '9' &&
	       s.p[2] >= '0' && s.p[2] <= '9' && (s.n == 3 || s.p[3] == ' ' || s.p[3] == '-');
}

static void put_status(struct buf *b, const struct dsn *d)
{
	if (d->envid.n)
		put_field(b, "Original-Envelope-Id", "", d->envid, d->smtputf8);
	put_field(b, "Reporting-MTA", "dns", d->reporter, false);
	put_date(b, "Arrival-Date", d->arrived);
	buf_str(b, STR("\r\n"));
	if (d->orcpt.n)
		put_field(b, "Original-Recipient", "", d->orcpt, d->smtputf8);
	put_recipient(b, "Final-Recipient", d->recipient, d->smtputf8);
	buf_printf(b, "Action: %s\r\n", actions[d->action].action);
	put_field(b, "Status", "", d->status.n ? d->status : str_of(actions[d->action].status),
		false);
	if (d->remote.n)
		put_field(b, "Remote-MTA", "dns", host_of(d->remote), false);
	if (d->diagnostic.n)
		put_field(b, "Diagnostic-Code", is_reply(d->diagnostic) ? "smtp" : "x-postern",
			d->diagnostic, d->smtputf8);
	put_date(b, "Last-Attempt-Date", d->now);
	if (d->action == DSN_DELAYED)
		put_date(b, "Will-Retry-Until", d->until);
}

/* ---- for people -------------------------------------------------------------------------- */

static void put_words(struct buf *t, const struct dsn *d)
{
	buf_printf(t, "%s\n\n    %.*s\n", actions[d->action].sentence, STR_ARG(d->recipient));
	if (d->words.n)
		buf_printf(t, "\nThe reason: %.*s.\n",
			(int)(d->words.p[d->words.n - 1] == '.' ? d->words.n - 1 : d->words.n),
			d->words.p);
	if (d->diagnostic.n && d->remote.n)
		buf_printf(t, "\nThe answer of %.*s was:\n\n    %.*s\n", STR_ARG(d->remote),
			STR_ARG(d->diagnostic));
	else if (d->diagnostic.n)
		buf_printf(t, "\n%s:\n\n    %.*s\n",
			is_reply(d->diagnostic) ? "The answer was" : "In detail",
			STR_ARG(d->diagnostic));
	if (d->action == DSN_FAILED)
		buf_c(t, "\nIt will not be tried again.\n");
	if (d->action == DSN_DELAYED && d->until) {
		buf_c(t, "\nThere is nothing you need to do. It will be tried again until\n"
			 "    ");
		mime_date(t, d->until);
		buf_c(t, "\n");
	} else if (d->action == DSN_DELAYED) {
		buf_c(t, "\nThere is nothing you need to do. It will be tried again.\n");
	}
	buf_printf(t, "\nThis is an automatic message of the mail system at %.*s.\n%s",
		STR_ARG(d->reporter),
		!d->original.n   ? ""
		: d->header_only ? "The header of your mail follows.\n"
				 : "Your mail follows.\n");
}

static void put_human(struct buf *b, const struct dsn *d)
{
	struct buf t = BUF_INIT, valid = BUF_INIT;
	enum mime_encoding e;
	struct str rest;

	put_words(&t, d);
	for (rest = buf_view(&t); rest.n;) {
		int32_t c = str_utf8_next(&rest);

		buf_utf8(&valid, c < 0 ? 0xfffd : (uint32_t)c);
	}
	e = mime_text_encoding(buf_view(&valid));
	buf_printf(b,
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: %s\r\n\r\n",
		mime_encoding_word(e));
	mime_text_body(b, buf_view(&valid), e);
	buf_free(&t);
	buf_free(&valid);
}

/* ---- the original ------------------------------------------------------------------------ */

/* A header whose lines are whole and of legal length, whatever it was. */
static void put_header_lines(struct buf *b, struct str header)
{
	struct str line;

	while (header.n && str_cut(&header, '\n', &line)) {
		line = str_n(line.p, line.n < LINE_MOST ? line.n : LINE_MOST);
		while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
			line.n--;
		if (!line.n)
			continue;
		for (size_t i = 0; i < line.n; i++)
			buf_char(b, line.p[i] == '\0' || line.p[i] == '\r' ? ' ' : line.p[i]);
		buf_str(b, STR("\r\n"));
	}
}

static void put_original(struct buf *b, const struct dsn *d, bool only_header, bool eightbit)
{
	const char *whole = d->smtputf8 ? "message/global" : "message/rfc822";
	const char *head = d->smtputf8 ? "message/global-headers" : "text/rfc822-headers";

	buf_printf(b, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
		only_header ? head : whole, eightbit ? "8bit" : "7bit");
	if (only_header) {
		put_header_lines(b, mime_split(d->original).header);
		return;
	}
	buf_str(b, d->original);
	if (!str_ends(d->original, STR("\r\n")))
		buf_str(b, STR("\r\n"));
}

/* One that occurs nowhere in the original. */
static void choose_boundary(const struct dsn *d, char out[40])
{
	uint64_t seed[3] = { d->id, (uint64_t)d->now, (uint64_t)d->action };

	do {
		snprintf(out, 40, "=_report_%016llx",
			(unsigned long long)str_hash(str_n(seed, sizeof seed)));
		seed[2] += 256;
	} while (str_find(d->original, str_of(out)) >= 0);
}

void dsn_build(const struct dsn *d, struct buf *b)
{
	char boundary[40];
	bool only_header = d->header_only || !mime_is_lines(d->original);
	bool eightbit = !is_ascii(only_header ? mime_split(d->original).header : d->original);
	struct buf scratch = BUF_INIT;
	struct str id;

	choose_boundary(d, boundary);
	buf_reserve(b, d->original.n + 4096);
	put_date(b, "Date", d->now);
	buf_printf(b, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\n", STR_ARG(d->reporter));
	buf_str(b, STR("To: "));
	put_clean(b, d->to, true);
	buf_printf(b, "\r\nSubject: %s\r\n", actions[d->action].subject);
	buf_printf(b, "Message-ID: <%llu.%s.%lld@%.*s>\r\n", (unsigned long long)d->id,
		actions[d->action].action, (long long)(d->now / DUR_S), STR_ARG(d->reporter));
	if (mime_field(mime_split(d->original).header, "Message-ID", &scratch, &id) && id.n > 2 &&
		id.n < 250 && id.p[0] == '<' && is_ascii(id)) {
		put_field(b, "In-Reply-To", "", id, false);
		put_field(b, "References", "", id, false);
	}
	buf_printf(b,
		"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n",
		d->smtputf8 ? "global-delivery-status" : "delivery-status", boundary);
	if (eightbit || d->smtputf8)
		buf_str(b, STR("Content-Transfer-Encoding: 8bit\r\n"));
	buf_printf(b, "\r\n--%s\r\n", boundary);
	put_human(b, d);
	buf_printf(b, "--%s\r\nContent-Type: message/%s\r\n%s\r\n", boundary,
		d->smtputf8 ? "global-delivery-status" : "delivery-status",
		d->smtputf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	put_status(b, d);
	if (d->original.n) {
		buf_printf(b, "--%s\r\n", boundary);
		put_original(b, d, only_header, eightbit);
	}
	buf_printf(b, "--%s--\r\n", boundary);
	buf_free(&scratch);
}
