/* Reports that are no RFC 3464: texts of mail systems for people. See report_private.h, and
 * tables/mail_bounces.def, which holds what they look like.
 *
 * The sender must be a mail system, or the subject one of theirs; an answer of a person or of their
 * machine is none, whatever it quotes. Only words before the mail that came back count.
 */
#include "gateway/mail/report_private.h"
#include "gateway/model/unicode.h"

enum { DIAGNOSIS = 1500 };

static const struct {
	const char *name;
	enum mail_report_kind kind;
	const char *markers;
} forms[] = {
#define BOUNCE_FORM(name, KIND, markers) { name, MAIL_REPORT_##KIND, markers },
#define DELAY_WORDS(words)
#define FINAL_WORDS(words)
#define BOUNCE_SUBJECT(words)
#define AUTO_SUBJECT(words)
#define COPY_BEGINS(words)
#include "gateway/tables/mail_bounces.def"
#undef BOUNCE_FORM
#undef DELAY_WORDS
#undef FINAL_WORDS
#undef BOUNCE_SUBJECT
#undef AUTO_SUBJECT
#undef COPY_BEGINS
};
#define BOUNCE_FORM(name, KIND, markers)
#define DELAY_WORDS(words)    static const char delay_words[] = words;
#define FINAL_WORDS(words)    static const char final_words[] = words;
#define BOUNCE_SUBJECT(words) static const char bounce_subject[] = words;
#define AUTO_SUBJECT(words)   static const char auto_subject[] = words;
#define COPY_BEGINS(words)    static const char copy_begins[] = words;
#include "gateway/tables/mail_bounces.def"
#undef BOUNCE_FORM
#undef DELAY_WORDS
#undef FINAL_WORDS
#undef BOUNCE_SUBJECT
#undef AUTO_SUBJECT
#undef COPY_BEGINS

/* ---- words ------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* In lower case, blanks run together, typographic apostrophes made plain; lines that quote are left
 * out. */
static void plain_lower(struct str s, struct buf *out)
{
	bool blank = false, line = true;
	size_t start = out->n;

	while (s.n) {
		int32_t c;

		if (line && s.p[0] == '>') {
			ptrdiff_t end = str_index(s, '\n');

			s = str_skip(s, end < 0 ? s.n : (size_t)end);
			continue;
		}
		line = s.p[0] == '\n' || (line && is_blank(s.p[0]));
		if (is_blank(s.p[0])) {
			blank = out->n != start;
			s = str_skip(s, 1);
			continue;
		}
		if (blank)
			buf_char(out, ' ');
		blank = false;
		c = str_utf8_next(&s);
		if (c == 0x2019)
			buf_char(out, '\'');
		else
			buf_utf8(out, c < 0 ? 0xfffd : unicode_lower((uint32_t)c));
	}
}

static bool has_any(struct str text, const char *alternatives)
{
	struct str all = str_of(alternatives), one;

	while (str_cut(&all, '|', &one)) {
		struct str rest = text, piece;
		bool fits = true;

		while (fits && str_cut(&one, '*', &piece)) {
			ptrdiff_t at = str_find(rest, piece);

			fits = at >= 0;
			rest = str_skip(rest, fits ? (size_t)at + piece.n : 0);
		}
		if (fits)
			return true;
	}
	return false;
}

static bool begins_any(struct str text, const char *alternatives)
{
	struct str all = str_of(alternatives), one;

	while (str_cut(&all, '|', &one))
		if (str_starts(text, one))
			return true;
	return false;
}

/* The text before the mail that came back: at the first line that says so. */
static struct str before_copy(struct str text)
{
	struct buf low = BUF_INIT;
	size_t at = 0;

	while (at < text.n) {
		const char *lf = memchr(text.p + at, '\n', text.n - at);
		size_t next = lf ? (size_t)(lf - text.p) + 1 : text.n;
		struct str line = str_trim(str_n(text.p + at, next - at));

		buf_reset(&low);
		plain_lower(line, &low);
		if (at && low.n && has_any(buf_view(&low), copy_begins)) {
			text.n = at;
			break;
		}
		at = next;
	}
	buf_free(&low);
	return text;
}

/* ---- who speaks -------------------------------------------------------------------------- */

static bool has_field(struct str header, const char *name)
{
	struct buf scratch = BUF_INIT;
	struct str v;
	bool there = mime_field(header, name, &scratch, &v);

	buf_free(&scratch);
	return there;
}

static void subject_of(struct str header, struct buf *low)
{
	struct buf scratch = BUF_INIT, words = BUF_INIT;
	struct str v;

	if (mime_field(header, "Subject", &scratch, &v))
		mail_words(v, &words);
	plain_lower(buf_view(&words), low);
	buf_free(&scratch);
	buf_free(&words);
}

/* A program that carries mail, by its name. */
static bool is_mail_system(struct str header)
{
	static const char names[] = "mailer-daemon|postmaster|mail-daemon|mailerdaemon|mdaemon|"
				    "mail delivery sub|mail delivery sys|mail administrator|"
				    "mail-administrator|double-bounce|microsoftexchange|"
				    "systemadministrator|system administrator|mail daemon";
	struct buf scratch = BUF_INIT, low = BUF_INIT;
	struct str v;
	bool is;

	if (mime_field(header, "From", &scratch, &v))
		plain_lower(v, &low);
	is = has_any(buf_view(&low), names);
	buf_free(&scratch);
	buf_free(&low);
	return is;
}

/* Reports come from nobody; so do vacation messages. */
static bool is_from_nobody(struct str header)
{
	struct buf scratch = BUF_INIT;
	struct str v;
	bool is = mime_field(header, "Return-Path", &scratch, &v) && str_is(v, "<>");

	buf_free(&scratch);
	return is;
}

/* Machines that answer for people: vacation programs, ticket systems, lists. */
static bool is_auto_reply(struct str header, struct str subject)
{
	static const char *const fields[] = { "X-Autoreply", "X-Autorespond", "X-Autoresponder",
		"X-Autogenerated", "X-Auto-Reply", "X-Vacation", "X-Mail-Autoreply",
		"X-AutoReply-From", "List-Id", "List-Unsubscribe",
		"X-MS-Exchange-Inbox-Rules-Loop" };
	struct buf scratch = BUF_INIT, low = BUF_INIT;
	struct str v;
	bool is = begins_any(subject, auto_subject);

	for (size_t i = 0; i < sizeof fields / sizeof fields[0] && !is; i++)
		is = has_field(header, fields[i]);
	if (!is && mime_field(header, "Precedence", &scratch, &v)) {
		plain_lower(v, &low);
		is = has_any(buf_view(&low), "auto_reply|auto-reply");
	}
	buf_free(&scratch);
	buf_free(&low);
	return is;
}

/* ---- whom it speaks of ------------------------------------------------------------------- */

static bool is_address_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool is_domain_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || c == '.' || c == '-';
}

static bool is_role(struct str address)
{
	static const char *const roles[] = { "postmaster@", "mailer-daemon@", "abuse@", "support@",
		"helpdesk@", "admin@", "noreply@", "no-reply@" };

	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (address.n > strlen(roles[i]) &&
			str_ieq(str_n(address.p, strlen(roles[i])), str_of(roles[i])))
			return true;
	return false;
}

/* The next address in text[*at…]; *at is put behind it. */
static bool next_address(struct str text, size_t *at, struct str *address_r)
{
	while (*at < text.n) {
		const char *sign = memchr(text.p + *at, '@', text.n - *at);
		size_t i, from, to;

		if (!sign)
			return false;
		i = (size_t)(sign - text.p);
		for (from = i; from > *at && is_address_char(text.p[from - 1]);)
			from--;
		for (to = i + 1; to < text.n && is_domain_char(text.p[to]);)
			to++;
		while (to > i + 1 && (text.p[to - 1] == '.' || text.p[to - 1] == '-'))
			to--;
		/* "'anna@example.com'", "=anna@…" in quotes of some servers */
		while (from < i && strchr("'=`{", text.p[from]))
			from++;
		*at = to > i ? to : i + 1;
		*address_r = str_n(text.p + from, to - from);
		if (from < i && to > i + 1 && address_r->n < REPORT_ADDRESS &&
			str_index(str_n(text.p + i, to - i), '.') > 0)
			return true;
	}
	return false;
}

/* Sets r->recipient; returns where in the text the words about it begin. */
static size_t find_recipient(
	struct str header, struct str text, struct str expected, struct mail_report *r)
{
	struct buf scratch = BUF_INIT;
	struct str v, first = STR_NONE, one;
	size_t at = 0, behind = 0, first_behind = 0;
	char to[REPORT_ADDRESS] = "";

	if (mime_field(header, "To", &scratch, &v))
		report_address(v, to);
	if (mime_field(header, "X-Failed-Recipients", &scratch, &v)) {
		struct str list = v, x;

		while (str_cut(&list, ',', &x)) {
			char address[REPORT_ADDRESS];

			if (report_address(str_trim(x), address) &&
				(!r->recipient[0] || str_ieq(str_of(address), expected)))
				str_copy(r->recipient, sizeof r->recipient, str_of(address));
		}
	}
	while (next_address(text, &at, &one)) {
		bool wanted = str_ieq(one, expected) || str_ieq(one, str_of(r->recipient));

		if (wanted) {
			str_copy(r->recipient, sizeof r->recipient, one);
			behind = at;
			break;
		}
		if (!first.n && !is_role(one) && !str_ieq(one, str_of(to))) {
			first = one;
			first_behind = at;
		}
	}
	if (!r->recipient[0] && first.n && str_utf8_valid(first)) {
		str_copy(r->recipient, sizeof r->recipient, first);
		behind = first_behind;
	}
	buf_free(&scratch);
	return behind;
}

/* ---- why --------------------------------------------------------------------------------- */

/* A reply of a server among the words: "550 5.1.1 …", "#5.1.1", "(5.7.1)". Where it begins, or the
 * end when there is none. */
static size_t find_reply(struct str s, unsigned *code_r, struct str *status_r)
{
	for (size_t i = 0; i < s.n; i++) {
		char before = i ? s.p[i - 1] : ' ';
		struct str rest = str_skip(s, i);
		size_t n;

		if (s.p[i] != '4' && s.p[i] != '5')
			continue;
		if (!is_blank(before) && !strchr("#(<[:\"';,>", before))
			continue;
		*code_r = report_code(rest);
		n = report_status(rest);
		if (*code_r) {
			struct str behind = str_trim(str_skip(rest, 4));

			if (behind.n && strchr("#(<[", behind.p[0]))
				behind = str_skip(behind, 1);
			*status_r = str_n(behind.p, report_status(behind));
			return i;
		}
		if (n) {
			*status_r = str_n(rest.p, n);
			return i;
		}
	}
	*code_r = 0;
	*status_r = STR_NONE;
	return s.n;
}

/* Up to an empty line; behind "because:" up to the next. */
static struct str paragraph(struct str s)
{
	size_t at = 0;

	s = str_trim(s);
	while (at < s.n) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		size_t next = lf ? (size_t)(lf - s.p) + 1 : s.n;

		if (at && str_trim(str_n(s.p + at, next - at)).n == 0) {
			struct str so_far = str_trim(str_n(s.p, at));

			if (so_far.p[so_far.n - 1] != ':')
				return so_far;
		}
		at = next;
	}
	return s;
}

static struct str skip_marks(struct str s)
{
	while (s.n && (is_blank(s.p[0]) || strchr(">:\"')]-,;", s.p[0])))
		s = str_skip(s, 1);
	return s;
}

static void find_reason(struct str text, size_t behind, struct mail_report *r)
{
	struct str words = str_skip(text, behind), status;
	unsigned code;
	size_t at;

	words.n = words.n < DIAGNOSIS ? words.n : DIAGNOSIS;
	at = find_reply(words, &code, &status);
	if (at == words.n) /* nothing behind the address: perhaps before it */
		at = find_reply(text, &code, &status);
	else
		text = words;
	str_copy(r->status, sizeof r->status, status);
	words = at < text.n ? paragraph(str_skip(text, at)) : paragraph(skip_marks(words));
	report_words(words, r->words, sizeof r->words);
	report_judge(r, code, words);
	if (r->reason == REASON_REFUSED) {
		struct str all = text.n < DIAGNOSIS ? text : str_n(text.p, DIAGNOSIS);
		struct mail_report again = *r;

		report_judge(&again, code, all);
		if (again.reason != REASON_REFUSED) {
			r->reason = again.reason;
			r->dead = again.dead;
		}
	}
}

/* ---- all --------------------------------------------------------------------------------- */

static bool read_bounce(struct str header, struct str text, struct str low, struct str expected,
	struct mail_report *r)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (has_any(low, forms[i].markers)) {
			r->form = forms[i].name;
			r->kind = forms[i].kind;
			break;
		}
	if (r->kind == MAIL_REPORT_NONE && has_field(header, "X-Failed-Recipients")) {
		r->form = "exim";
		r->kind = MAIL_REPORT_FAILED;
	}
	if (r->kind == MAIL_REPORT_NONE)
		return false;
	if (r->kind == MAIL_REPORT_FAILED && has_any(low, delay_words) &&
		!has_any(low, final_words))
		r->kind = MAIL_REPORT_DELAYED;
	find_reason(text, find_recipient(header, text, expected, r), r);
	return true;
}

/* Complaints as Outlook.com's programme sends them: the mail, and who it was that complained. */
static bool read_complaint(struct str subject, struct str original, struct mail_report *r)
{
	struct buf scratch = BUF_INIT;
	struct str v;

	if (!str_starts(subject, STR("complaint about message from")))
		return false;
	r->kind = MAIL_REPORT_COMPLAINT;
	r->form = "jmrp";
	if (mime_field(mime_split(original).header, "X-HmXmrOriginalRecipient", &scratch, &v))
		report_address(v, r->recipient);
	buf_free(&scratch);
	return true;
}

static bool is_unsubscribing(struct str subject)
{
	return str_is(subject, "unsubscribe") || str_is(subject, "opt-out") ||
	       str_is(subject, "optout") || str_is(subject, "remove me") ||
	       str_is(subject, "отписаться");
}

void report_read_free(struct str header, struct str text, struct str original, struct str expected,
	struct mail_report *r)
{
	struct buf subject = BUF_INIT, low = BUF_INIT;
	bool system = is_mail_system(header), answer;

	subject_of(header, &subject);
	answer = is_auto_reply(header, buf_view(&subject)) ||
		 (!system && (begins_any(buf_view(&subject), "re:|aw:|sv:|antw:|fw:|fwd:|wg:") ||
				     has_field(header, "In-Reply-To")));
	if (!answer && !system && is_unsubscribing(buf_view(&subject))) {
		r->kind = MAIL_REPORT_UNSUBSCRIBE;
		r->form = "text";
	} else if (!answer && !read_complaint(buf_view(&subject), original, r)) {
		bool known = system || has_any(buf_view(&subject), bounce_subject);

		text = before_copy(text);
		plain_lower(text, &low);
		buf_char(&low, ' ');
		buf_str(&low, buf_view(&subject));
		if (known || is_from_nobody(header))
			read_bounce(header, text, buf_view(&low), expected, r);
		/* Of a stranger only words that no stranger uses are taken. */
		if (!known && strcmp(r->form, "text") == 0)
			*r = (struct mail_report){ .form = "" };
	}
	buf_free(&subject);
	buf_free(&low);
}
