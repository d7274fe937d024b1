/* What a mail server means by a reply: tables/mail_replies.def, read from the top. See report.h.
 * Pure; any thread. Some hundred searches in a line of text, for refusals only.
 */
#include "gateway/mail/report.h"
#include "gateway/model/unicode.h"

static const struct row {
	const char *code, *status, *words;
	uint8_t reason;
	bool dead;
} rows[] = {
#define SAYS(code, status, words, REASON, dead) { code, status, words, REASON_##REASON, dead },
#include "gateway/tables/mail_replies.def"
#undef SAYS
};

enum { WORDS_MOST = 1024 };

/* Pieces parted by "*", in this order. */
static bool has_pieces(struct str text, struct str pieces)
{
	struct str piece;

	while (str_cut(&pieces, '*', &piece)) {
		ptrdiff_t at = str_find(text, piece);

		if (at < 0)
			return false;
		text = str_skip(text, (size_t)at + piece.n);
	}
	return true;
}

static bool words_fit(struct str text, const char *words)
{
	struct str all = str_of(words), one;

	while (str_cut(&all, '|', &one))
		if (has_pieces(text, one))
			return true;
	return false;
}

/* "5.7.26" fits "7.26" and "7.*"; none fits "". */
static bool status_fits(struct str detail, const char *want)
{
	size_t n = strlen(want);

	if (n == 0)
		return true;
	if (want[n - 1] == '*')
		return str_starts(detail, str_n(want, n - 1));
	return str_is(detail, want);
}

/* A leading "d.ddd.ddd"; its length, or 0. */
static size_t status_length(struct str s)
{
	size_t i = 1;

	if (s.n < 5 || !strchr("245", s.p[0]) || s.p[0] == '\0' || s.p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (i >= s.n || s.p[i] != '.')
			return 0;
		for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			digits++;
		if (digits < 1 || digits > 3)
			return 0;
	}
	return i;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind what servers repeat before each line of a reply: "550-5.1.1 ". */
static struct str skip_prefix(struct str s)
{
	if (s.n > 4 && (s.p[0] == '4' || s.p[0] == '5') && (s.p[3] == '-' || s.p[3] == ' ') &&
		s.p[1] >= '0' && s.p[1] <= '9' && s.p[2] >= '0' && s.p[2] <= '9')
		s = str_skip(s, 4);
	s = str_skip(s, status_length(s));
	while (s.n && s.p[0] == ' ')
		s = str_skip(s, 1);
	return s;
}

/* Lower case; line ends and what begins each line become single spaces, since a phrase may be
 * broken anywhere. */
static struct str plain_words(struct str in, struct buf *out)
{
	while (in.n && out->n < WORDS_MOST) {
		bool blank = false, line = false;
		int32_t c;

		while (in.n && is_blank(in.p[0])) {
			blank = true;
			line |= in.p[0] == '\n';
			in = str_skip(in, 1);
		}
		if (line)
			in = skip_prefix(in);
		if (blank)
			buf_char(out, ' ');
		if (!in.n)
			break;
		c = str_utf8_next(&in);
		buf_utf8(out, c < 0 ? 0xfffd : c == 0x2019 ? '\'' : unicode_lower((uint32_t)c));
	}
	return buf_view(out);
}

enum reason mail_reason(unsigned code, struct str status, struct str words, bool *dead_r)
{
	struct buf lower = BUF_INIT;
	char digits[4] = "";
	enum reason reason;
	struct str text, detail = STR_NONE;
	char class;

	*dead_r = false;
	if (code >= 400 && code <= 599) {
		digits[0] = (char)('0' + code / 100);
		digits[1] = (char)('0' + code / 10 % 10);
		digits[2] = (char)('0' + code % 10);
	}
	/* The status may stand among the words, behind the code or not. */
	if (!status_length(status)) {
		struct str s = str_trim(words);

		if (s.n > 4 && (s.p[3] == ' ' || s.p[3] == '-') &&
			(s.p[0] == '4' || s.p[0] == '5') && s.p[1] >= '0' && s.p[1] <= '9') {
			if (!digits[0])
				str_copy(digits, sizeof digits, str_n(s.p, 3));
			s = str_skip(s, 4);
		}
		if (s.n && (s.p[0] == '#' || s.p[0] == '(' || s.p[0] == '[')) /* "#5.1.1" */
			s = str_skip(s, 1);
		status = str_n(s.p, status_length(s));
	}
	if (status.n > 2 && status.p[0] != '2')
		detail = str_skip(status, 2);
	class = digits[0] ? digits[0] : detail.n ? status.p[0] : '5';
	if ((code && code < 400) || (!digits[0] && status.n && status.p[0] == '2'))
		return REASON_NONE;
	text = plain_words(words, &lower);
	reason = class == '4' ? REASON_TEMPORARY : REASON_REFUSED;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *r = &rows[i];

		if (r->code[0] && r->code[0] != class)
			continue;
		if (r->code[0] && r->code[1] && strcmp(r->code, digits) != 0)
			continue;
		if (!status_fits(detail, r->status))
			continue;
		if (r->words[0] && !words_fit(text, r->words))
			continue;
		*dead_r = r->dead && class == '5';
		reason = (enum reason)r->reason;
		break;
	}
	buf_free(&lower);
	return reason;
}
