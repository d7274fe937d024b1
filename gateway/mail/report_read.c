/* What comes to the bounce address, read. See report.h; the free forms are in report_free.c.
 *
 * A report is known by its parts (RFC 3464, 5965, 8098). They are looked for in the mail itself,
 * never inside a mail that is attached to it: who forwards a bounce has not bounced.
 */
#include "gateway/mail/report_private.h"

struct parts {
	struct str status, feedback, disposition; /* bodies */
	struct mime_type status_type, feedback_type, disposition_type;
	struct str plain, html, original;
	struct mime_type plain_type, html_type;
	unsigned n;
};

static void take_part(struct parts *p, struct mime_entity x, const struct mime_type *t)
{
	if (mime_is(t, "message", "delivery-status") ||
		mime_is(t, "message", "global-delivery-status")) {
		if (!p->status.n) {
			p->status = x.body;
			p->status_type = *t;
		}
	} else if (mime_is(t, "message", "feedback-report")) {
		p->feedback = x.body;
		p->feedback_type = *t;
	} else if (mime_is(t, "message", "disposition-notification") ||
		   mime_is(t, "message", "global-disposition-notification")) {
		p->disposition = x.body;
		p->disposition_type = *t;
	} else if (mime_is(t, "message", NULL) || mime_is(t, "text", "rfc822-headers")) {
		if (!p->original.n)
			p->original = x.body;
	} else if (mime_is(t, "text", "html")) {
		if (!p->html.n) {
			p->html = x.body;
			p->html_type = *t;
		}
	} else if (mime_is(t, "text", NULL) && !p->plain.n) {
		p->plain = x.body;
		p->plain_type = *t;
	}
}

static void find_parts(struct parts *p, struct str octets, unsigned depth)
{
	struct mime_entity x = mime_split(octets);
	struct mime_type t;
	struct str part;
	size_t at = 0;

	mime_type_of(x.header, &t);
	if (!mime_is(&t, "multipart", NULL)) {
		take_part(p, x, &t);
		return;
	}
	if (depth > MIME_DEPTH)
		return;
	while (mime_next_part(x.body, t.boundary, &at, &part) && ++p->n <= MIME_PARTS)
		find_parts(p, part, depth + 1);
}

/* ---- values ------------------------------------------------------------------------------ */

void report_words(struct str s, char *out, size_t cap)
{
	size_t n = 0;
	bool blank = false;

	while (s.n) {
		struct str before = s;
		int32_t c = str_utf8_next(&s);
		size_t k = c < 0 ? 1 : before.n - s.n;

		if (c <= ' ' || c == 0x7f) {
			if (c >= 0)
				blank = n != 0;
			if (c >= 0)
				continue;
		}
		if (n + blank + k >= cap)
			break;
		if (blank)
			out[n++] = ' ';
		blank = false;
		if (c < 0)
			out[n++] = '?';
		else
			memcpy(out + n, before.p, k);
		n += c < 0 ? 0 : k;
	}
	out[n] = '\0';
}

size_t report_status(struct str s)
{
	size_t i = 1;

	if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t from;

		if (i >= s.n || s.p[i] != '.')
			return 0;
		for (from = ++i; i < s.n && s.p[i] >= '0' && s.p[i] <= '9';)
			i++;
		if (i == from || i - from > 3)
			return 0;
	}
	/* "5.1.1.example" is a name, "5.1.2.3" an address. */
	if (i < s.n && s.p[i] == '.' && i + 1 < s.n &&
		((s.p[i + 1] >= '0' && s.p[i + 1] <= '9') || (s.p[i + 1] | 0x20) >= 'a'))
		return 0;
	return i < s.n && (s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z' ? 0 : i;
}

unsigned report_code(struct str s)
{
	if (s.n < 3 || (s.p[0] != '4' && s.p[0] != '5') || s.p[1] < '0' || s.p[1] > '5' ||
		s.p[2] < '0' || s.p[2] > '9')
		return 0;
	if (s.n > 3 && s.p[3] != ' ' && s.p[3] != '-' && s.p[3] != '\n' && s.p[3] != '\r' &&
		s.p[3] != ':' && s.p[3] != ',')
		return 0;
	return (unsigned)(s.p[0] - '0') * 100 + (unsigned)(s.p[1] - '0') * 10 +
	       (unsigned)(s.p[2] - '0');
}

/* "rfc822; <a@b> (comment)": the address; type kept out. */
static struct str typed_value(struct str v)
{
	ptrdiff_t semi = str_index(v, ';');

	return str_trim(semi < 0 ? v : str_skip(v, (size_t)semi + 1));
}

/* \x{e4} of RFC 6533 §3. */
static void put_escaped(struct str v, struct buf *out)
{
	while (v.n) {
		uint32_t c = 0;
		size_t i = 3;

		if (v.n > 4 && v.p[0] == '\\' && v.p[1] == 'x' && v.p[2] == '{') {
			for (; i < v.n && i < 10 && v.p[i] != '}'; i++) {
				char d = (char)(v.p[i] | 0x20);

				if (d >= '0' && d <= '9')
					c = c * 16 + (uint32_t)(d - '0');
				else if (d >= 'a' && d <= 'f')
					c = c * 16 + (uint32_t)(d - 'a') + 10;
				else
					break;
			}
			if (i < v.n && v.p[i] == '}' && i > 3 && c && c <= 0x10ffff &&
				(c < 0xd800 || c > 0xdfff)) {
				buf_utf8(out, c);
				v = str_skip(v, i + 1);
				continue;
			}
		}
		buf_char(out, v.p[0]);
		v = str_skip(v, 1);
	}
}

bool report_address(struct str v, char *out)
{
	struct buf b = BUF_INIT;
	struct str s;
	bool ok;

	put_escaped(v, &b);
	s = str_trim(buf_view(&b));
	if (s.n && s.p[0] == '<') {
		ptrdiff_t end = str_index(s, '>');

		s = str_n(s.p + 1, end < 0 ? s.n - 1 : (size_t)end - 1);
	} else if (s.n && s.p[0] != '"') {
		size_t n = 0;

		while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t' && s.p[n] != '(')
			n++;
		s.n = n;
	}
	ok = s.n && s.n < REPORT_ADDRESS && str_index(s, '@') > 0 && str_utf8_valid(s);
	for (size_t i = 0; ok && i < s.n; i++)
		ok = (unsigned char)s.p[i] > ' ' && s.p[i] != 0x7f;
	str_copy(out, REPORT_ADDRESS, ok ? s : STR_NONE);
	buf_free(&b);
	return ok;
}

/* ---- delivery status (RFC 3464) ---------------------------------------------------------- */

struct recipient {
	char original[REPORT_ADDRESS], final[REPORT_ADDRESS];
	struct str action, status, diagnostic, remote; /* in the buffer of the reader */
	bool seen;
};

/* Which fields of a group there are; folded ones are unfolded into keep. */
static void read_group(struct str group, struct buf *keep, struct recipient *r)
{
	size_t at = 0;
	struct str name, v;

	*r = (struct recipient){
		.action = STR_NONE, .status = STR_NONE, .diagnostic = STR_NONE, .remote = STR_NONE
	};
	while (mime_next_field(group, &at, &name, &v)) {
		size_t from = keep->n;

		for (size_t i = 0; i < v.n; i++)
			if (v.p[i] != '\r' && v.p[i] != '\n')
				buf_char(keep, v.p[i] == '\t' ? ' ' : v.p[i]);
		v = str_n(keep->p + from, keep->n - from);
		if (str_ieq(name, STR("Original-Recipient")))
			report_address(typed_value(v), r->original);
		else if (str_ieq(name, STR("Final-Recipient")))
			report_address(typed_value(v), r->final);
		else if (str_ieq(name, STR("Action")))
			r->action = v;
		else if (str_ieq(name, STR("Status")))
			r->status = v;
		else if (str_ieq(name, STR("Diagnostic-Code")))
			r->diagnostic = v;
		else if (str_ieq(name, STR("Remote-MTA")))
			r->remote = v;
		else
			continue;
		r->seen = true;
	}
}

/* The next run of lines between empty ones. */
static bool next_group(struct str *rest, struct str *group_r)
{
	size_t at = 0;

	while (rest->n && (rest->p[0] == '\r' || rest->p[0] == '\n' || rest->p[0] == ' '))
		*rest = str_skip(*rest, 1);
	if (!rest->n)
		return false;
	while (at < rest->n) {
		const char *lf = memchr(rest->p + at, '\n', rest->n - at);
		size_t next = lf ? (size_t)(lf - rest->p) + 1 : rest->n;

		if (str_trim(str_n(rest->p + at, next - at)).n == 0)
			break;
		at = next;
	}
	*group_r = str_n(rest->p, at);
	*rest = str_skip(*rest, at);
	return true;
}

static bool is_expected(const struct recipient *r, struct str expected)
{
	return expected.n &&
	       (str_ieq(str_of(r->original), expected) || str_ieq(str_of(r->final), expected));
}

static enum mail_report_kind kind_of(struct str action, char class)
{
	static const struct {
		const char *word;
		enum mail_report_kind kind;
	} words[] = { { "failed", MAIL_REPORT_FAILED }, { "delayed", MAIL_REPORT_DELAYED },
		{ "delivered", MAIL_REPORT_DELIVERED }, { "relayed", MAIL_REPORT_RELAYED },
		{ "expanded", MAIL_REPORT_RELAYED }, { "deliverable", MAIL_REPORT_NONE } };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t n = strlen(words[i].word);

		/* Some servers add words of their own behind it. */
		if (action.n >= n && str_ieq(str_n(action.p, n), str_of(words[i].word)))
			return words[i].kind;
	}
	return class == '5'   ? MAIL_REPORT_FAILED
	       : class == '4' ? MAIL_REPORT_DELAYED
	       : class == '2' ? MAIL_REPORT_DELIVERED
			      : MAIL_REPORT_NONE;
}

void report_judge(struct mail_report *r, unsigned code, struct str words)
{
	bool dead = false;

	r->reason = mail_reason(code, str_of(r->status), words, &dead);
	r->dead = dead && r->kind == MAIL_REPORT_FAILED;
	if (r->kind == MAIL_REPORT_DELAYED && reason_verdict(r->reason) != VERDICT_RETRY)
		r->reason = REASON_TEMPORARY;
	/* What was only temporary, and yet is over: time ran out. */
	if (r->kind == MAIL_REPORT_FAILED &&
		(r->reason == REASON_TEMPORARY || r->reason == REASON_THROTTLED ||
			r->reason == REASON_FAR_QUEUE_FULL || r->reason == REASON_NONE))
		r->reason = REASON_EXPIRED;
}

/* "mx.far.example said: 550 no such user", as our own channels say it. */
static void use_words(struct mail_report *r, struct str remote, struct str words)
{
	size_t n;

	remote = str_trim(remote);
	if (remote.n && remote.n <= 128 && words.n && str_index(remote, ' ') < 0) {
		report_words(remote, r->words, sizeof r->words);
		n = strlen(r->words);
		n += str_copy(r->words + n, sizeof r->words - n, STR(" said: "));
		report_words(words, r->words + n, sizeof r->words - n);
	} else {
		report_words(words, r->words, sizeof r->words);
	}
}

/* "smtp; 550-5.1.1 …": a status that says more than the field's is the one. */
static void use_recipient(struct mail_report *r, const struct recipient *x, struct str expected)
{
	struct str words = typed_value(x->diagnostic), s = words;
	unsigned code = report_code(words);
	size_t n = report_status(x->status);
	const char *address = x->original[0] ? x->original : x->final;

	str_copy(r->status, sizeof r->status, str_n(x->status.p, n));
	if (code)
		s = str_skip(words, words.n > 3 ? 4 : 3);
	s = str_trim(s);
	if (s.n && (s.p[0] == '#' || s.p[0] == '('))
		s = str_skip(s, 1);
	n = report_status(s);
	if (n && (!r->status[0] || str_ends(str_of(r->status), STR(".0.0"))))
		str_copy(r->status, sizeof r->status, str_n(s.p, n));
	r->kind = kind_of(x->action, r->status[0]);
	if (expected.n && str_ieq(str_of(x->final), expected))
		address = x->final;
	str_copy(r->recipient, sizeof r->recipient, str_of(address));
	use_words(r, typed_value(x->remote), words);
	if (r->kind == MAIL_REPORT_FAILED || r->kind == MAIL_REPORT_DELAYED)
		report_judge(r, code, words);
}

static void read_status(
	struct mail_report *r, struct str body, struct str text, struct str expected)
{
	struct buf keep = BUF_INIT;
	struct recipient best = { 0 }, one;
	struct str group;
	unsigned groups = 0;

	/* What fields are unfolded into must not move: none is longer than all of them. */
	buf_reserve(&keep, body.n + 1);
	while (next_group(&body, &group) && ++groups <= REPORT_GROUPS) {
		read_group(group, &keep, &one);
		if (!one.seen)
			continue;
		if (!best.seen || (is_expected(&one, expected) && !is_expected(&best, expected)))
			best = one;
	}
	if (best.seen) {
		use_recipient(r, &best, expected);
		r->form = "dsn";
		/* Some say all that they know in the text for people. */
		if (!best.diagnostic.n && r->kind == MAIL_REPORT_FAILED &&
			r->reason == REASON_REFUSED)
			report_judge(r, 0, text);
		if (!r->words[0] && text.n && r->kind != MAIL_REPORT_NONE)
			report_words(text, r->words, sizeof r->words);
	}
	buf_free(&keep);
}

/* ---- complaints (RFC 5965), and what was read (RFC 8098) ------------------------------------ */

static void read_feedback(
	struct mail_report *r, struct str body, struct str original, struct str expected)
{
	struct buf scratch = BUF_INIT;
	struct mime_entity x = mime_split(original);
	char address[REPORT_ADDRESS];
	struct str v, name;
	size_t at = 0;

	r->form = "arf";
	r->kind = MAIL_REPORT_COMPLAINT;
	if (mime_field(body, "Feedback-Type", &scratch, &v)) {
		report_words(v, r->words, sizeof r->words);
		if (str_ieq(v, STR("opt-out")) || str_ieq(v, STR("opt-out-list")))
			r->kind = MAIL_REPORT_UNSUBSCRIBE;
		else if (str_ieq(v, STR("not-spam")) || str_ieq(v, STR("auth-failure")) ||
			 str_ieq(v, STR("dmarc")))
			r->kind = MAIL_REPORT_NONE;
	}
	while (mime_next_field(body, &at, &name, &v)) {
		if (!str_ieq(name, STR("Original-Rcpt-To")) &&
			!str_ieq(name, STR("Removal-Recipient")))
			continue;
		if (report_address(typed_value(v), address) &&
			(!r->recipient[0] || str_ieq(str_of(address), expected)))
			str_copy(r->recipient, sizeof r->recipient, str_of(address));
	}
	/* Many leave the address out; the copy of the mail may say it. */
	if (!r->recipient[0] && mime_field(x.header, "To", &scratch, &v) &&
		report_address(v, address))
		str_copy(r->recipient, sizeof r->recipient, str_of(address));
	buf_free(&scratch);
}

static void read_disposition(struct mail_report *r, struct str body)
{
	struct buf scratch = BUF_INIT;
	char address[REPORT_ADDRESS];
	struct str v;

	r->form = "mdn";
	if (mime_field(body, "Disposition", &scratch, &v)) {
		struct str type = typed_value(v);

		if (type.n >= 9 && str_ieq(str_n(type.p, 9), STR("displayed")))
			r->kind = MAIL_REPORT_READ;
		report_words(v, r->words, sizeof r->words);
	}
	if (((mime_field(body, "Original-Recipient", &scratch, &v) &&
		     report_address(typed_value(v), address)) ||
		    (mime_field(body, "Final-Recipient", &scratch, &v) &&
			    report_address(typed_value(v), address))))
		str_copy(r->recipient, sizeof r->recipient, str_of(address));
	buf_free(&scratch);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* The text for people, in UTF-8. */
static void human_text(const struct parts *p, struct buf *out)
{
	struct buf octets = BUF_INIT, utf8 = BUF_INIT;
	bool html = !p->plain.n;
	const struct mime_type *t = html ? &p->html_type : &p->plain_type;
	struct str body = html ? p->html : p->plain;

	body.n = body.n < REPORT_TEXT ? body.n : REPORT_TEXT;
	mime_decode(body, t->transfer, false, &octets, NULL);
	mime_to_utf8(buf_view(&octets), t->charset, false, &utf8, NULL);
	if (html)
		mail_plain_of_html(buf_view(&utf8), out);
	else
		buf_str(out, buf_view(&utf8));
	buf_free(&octets);
	buf_free(&utf8);
}

static void decoded(struct str body, const struct mime_type *t, struct buf *out)
{
	body.n = body.n < REPORT_TEXT ? body.n : REPORT_TEXT;
	mime_decode(body, t->transfer, false, out, NULL);
}

void mail_report_read(struct str mail, struct str expected, struct mail_report *r_r)
{
	struct parts p = { .status = STR_NONE,
		.plain = STR_NONE,
		.html = STR_NONE,
		.original = STR_NONE,
		.feedback = STR_NONE,
		.disposition = STR_NONE };
	struct buf text = BUF_INIT, body = BUF_INIT;

	*r_r = (struct mail_report){ .form = "" };
	find_parts(&p, mail, 0);
	human_text(&p, &text);
	if (p.feedback.n) {
		decoded(p.feedback, &p.feedback_type, &body);
		read_feedback(r_r, buf_view(&body), p.original, expected);
	} else if (p.status.n) {
		decoded(p.status, &p.status_type, &body);
		read_status(r_r, buf_view(&body), buf_view(&text), expected);
	} else if (p.disposition.n) {
		decoded(p.disposition, &p.disposition_type, &body);
		read_disposition(r_r, buf_view(&body));
	}
	if (!r_r->form[0])
		report_read_free(
			mime_split(mail).header, buf_view(&text), p.original, expected, r_r);
	if (r_r->kind == MAIL_REPORT_NONE)
		*r_r = (struct mail_report){ .form = r_r->form };
	buf_free(&text);
	buf_free(&body);
}
