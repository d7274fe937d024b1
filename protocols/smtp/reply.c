/* Replies of an SMTP server. See reply.h. */
#include "protocols/smtp/reply.h"

#include <stdio.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- lines ---- */

/* Takes a line with its LF off *in; false when there is none. The line is without CR and LF. */
static bool take_line(struct str *in, struct str *line_r)
{
	const char *lf = in->n ? memchr(in->p, '\n', in->n) : NULL;

	if (!lf)
		return false;
	*line_r = str_n(in->p, (size_t)(lf - in->p));
	*in = str_skip(*in, line_r->n + 1);
	if (line_r->n && line_r->p[line_r->n - 1] == '\r')
		line_r->n--;
	return true;
}

/* "250-text", "250 text", "250". 1: more lines follow, 0: the last one, -1: no reply. */
static int line_code(struct str line, unsigned *code_r)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) ||
		!is_digit(line.p[2]))
		return -1;
	*code_r = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 +
		  (unsigned)(line.p[2] - '0');
	if (line.n == 3 || line.p[3] == ' ')
		return 0;
	return line.p[3] == '-' ? 1 : -1;
}

bool reply_line(struct str *raw, struct str *text_r)
{
	struct str line;

	if (!take_line(raw, &line))
		return false;
	*text_r = str_trim(str_skip(line, 4));
	return true;
}

/* ---- text ---- */

/* Length of "5.1.1" at the beginning when its class is the code's, followed by a space or nothing;
 * 0 when there is none. */
static size_t status_length(struct str s, unsigned code)
{
	size_t i = 2, digits = 0, dots = 1;

	if (s.n < 5 || s.p[1] != '.' || (unsigned)(s.p[0] - '0') != code / 100)
		return 0;
	for (; i < s.n && i < REPLY_STATUS - 1; i++) {
		if (is_digit(s.p[i]) && digits < 3) {
			digits++;
		} else if (s.p[i] == '.' && digits && dots == 1) {
			digits = 0;
			dots = 2;
		} else {
			break;
		}
	}
	if (dots != 2 || !digits || (i < s.n && s.p[i] != ' ' && s.p[i] != '\t'))
		return 0;
	return i;
}

/* Copies what is printable, UTF-8 whole, white space as one space; true: all of it. */
static bool text_add(char *out, size_t cap, size_t *n, struct str s)
{
	while (s.n) {
		struct str was = s;
		int32_t c = str_utf8_next(&s);
		size_t len = was.n - s.n;

		if (c == -2 || c == 0x7f || (c >= 0x80 && c < 0xa0)) {
			c = '?';
			len = 1;
			was.p = "?";
		} else if (c <= ' ') {
			if (!*n || out[*n - 1] == ' ')
				continue;
			len = 1;
			was.p = " ";
		}
		if (*n + len >= cap)
			return false;
		memcpy(out + *n, was.p, len);
		*n += len;
	}
	return true;
}

static void reply_read(struct reply *r)
{
	struct str rest = r->raw, line;
	size_t n = 0, skip;

	r->status[0] = '\0';
	while (reply_line(&rest, &line)) {
		skip = status_length(line, r->code);
		if (skip && !r->status[0])
			str_copy(r->status, sizeof r->status, str_n(line.p, skip));
		line = str_skip(line, skip);
		if (n)
			text_add(r->text, sizeof r->text, &n, STR(" "));
		if (!text_add(r->text, sizeof r->text, &n, line))
			break;
	}
	while (n && r->text[n - 1] == ' ')
		n--;
	r->text[n] = '\0';
}

/* ---- the whole ---- */

static int not_a_reply(struct str line, struct err *e)
{
	char shown[64];
	size_t n = 0;

	text_add(shown, sizeof shown, &n, line);
	shown[n] = '\0';
	return err_set(e, ERR_INPUT, "\"%s\" is no SMTP reply", shown);
}

int reply_parse(struct reply *r, struct str in, size_t *used_r, struct err *e)
{
	struct str rest = in, line;
	int more;

	do {
		if (!take_line(&rest, &line)) {
			if (in.n >= REPLY_MOST)
				return err_set(
					e, ERR_INPUT, "a reply of more than %d octets", REPLY_MOST);
			/* What cannot become a reply is not waited for. */
			if (rest.n && (rest.p[0] < '2' || rest.p[0] > '5'))
				return not_a_reply(rest, e);
			return 0;
		}
		more = line_code(line, &r->code);
		if (more < 0)
			return not_a_reply(line, e);
	} while (more);
	*used_r = in.n - rest.n;
	if (*used_r > REPLY_MOST)
		return err_set(e, ERR_INPUT, "a reply of more than %d octets", REPLY_MOST);
	r->raw = str_n(in.p, *used_r);
	reply_read(r);
	return 1;
}

void reply_words(const struct reply *r, char *out, size_t cap)
{
	char head[24];
	size_t n = 0;

	snprintf(head, sizeof head, "%u%s%s ", r->code, r->status[0] ? " " : "", r->status);
	text_add(out, cap, &n, str_of(head));
	text_add(out, cap, &n, str_of(r->text));
	while (n && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* ---- queue ids ---- */

static ptrdiff_t find_fold(struct str s, const char *what)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= s.n; i++)
		if (str_ieq(str_n(s.p + i, n), str_n(what, n)))
			return (ptrdiff_t)i;
	return -1;
}

bool reply_queue_id(const struct reply *r, char *out, size_t cap)
{
	/* Postfix, Sendmail, Exim and Exchange's forms, and their many imitators'. */
	static const char *const before[] = { "queued as ", "queued with id ",
		"message accepted as ",
		"internalid=", "mail-id=", "queue-id=", "queueid=", "id=", "accepted id ", "qp " };
	struct str text = str_of(r->text), id;

	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		ptrdiff_t at = find_fold(text, before[i]);
		size_t n = 0;

		if (at < 0)
			continue;
		id = str_skip(text, (size_t)at + strlen(before[i]));
		if (id.n && (*id.p == '<' || *id.p == '"' || *id.p == '['))
			id = str_skip(id, 1);
		while (n < id.n && id.p[n] > ' ' && id.p[n] < 0x7f &&
			!strchr("<>\"[](),;", id.p[n]))
			n++;
		if (n >= 2 && n < cap) {
			str_copy(out, cap, str_n(id.p, n));
			return true;
		}
	}
	return false;
}

/* ---- EHLO ---- */

static unsigned auth_bit(struct str s)
{
	return str_ieq(s, STR("PLAIN"))           ? SASL_OFFER_PLAIN
	       : str_ieq(s, STR("LOGIN"))         ? SASL_OFFER_LOGIN
	       : str_ieq(s, STR("SCRAM-SHA-256")) ? SASL_OFFER_SCRAM_SHA256
	       : str_ieq(s, STR("XOAUTH2"))       ? SASL_OFFER_XOAUTH2
						  : 0;
}

static void ehlo_line(struct str line, struct reply_ehlo *e)
{
	struct str rest = line, word, arg;

	str_cut(&rest, ' ', &word);
	rest = str_trim(rest);
	if (str_ieq(word, STR("SIZE"))) {
		e->size = true;
		if (!str_u64(rest, &e->size_most))
			e->size_most = 0;
	} else if (str_ieq(word, STR("AUTH")) ||
		   (word.n > 5 && str_ieq(str_n(word.p, 5), STR("AUTH=")))) {
		if (word.n > 5)
			e->auth |= auth_bit(str_skip(word, 5));
		while (str_cut(&rest, ' ', &arg))
			e->auth |= auth_bit(arg);
	}
	e->pipelining |= str_ieq(word, STR("PIPELINING"));
	e->eightbit |= str_ieq(word, STR("8BITMIME"));
	e->smtputf8 |= str_ieq(word, STR("SMTPUTF8"));
	e->dsn |= str_ieq(word, STR("DSN"));
	e->chunking |= str_ieq(word, STR("CHUNKING"));
	e->binarymime |= str_ieq(word, STR("BINARYMIME"));
	e->starttls |= str_ieq(word, STR("STARTTLS"));
}

void reply_ehlo(const struct reply *r, struct reply_ehlo *e_r)
{
	struct str rest = r->raw, line;
	bool first = true;

	*e_r = (struct reply_ehlo){ 0 };
	while (reply_line(&rest, &line)) {
		if (first) {
			e_r->name = STR_NONE;
			str_cut(&line, ' ', &e_r->name);
			first = false;
			continue;
		}
		ehlo_line(line, e_r);
	}
	e_r->binarymime &= e_r->chunking; /* RFC 3030 §3 */
}
