/* Header fields, folded and encoded. See mime_out.h; bodies are in mime_body.c. */
#include "gateway/mail/mime_out.h"

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_blank(char c)
{
	return c == ' ' || is_control(c);
}

/* Does the word have to be encoded: beyond ASCII, or looks as if it were encoded already. */
static bool is_odd(struct str word)
{
	for (size_t i = 0; i < word.n; i++)
		if ((unsigned char)word.p[i] >= 0x80 ||
			(word.p[i] == '=' && i + 1 < word.n && word.p[i + 1] == '?'))
			return true;
	return word.n > MIME_WORD;
}

/* The next word and the blanks before it; false at the end. */
static bool next_word(struct str *rest, struct str *blanks_r, struct str *word_r)
{
	size_t i = 0, j;

	while (i < rest->n && is_blank(rest->p[i]))
		i++;
	for (j = i; j < rest->n && !is_blank(rest->p[j]);)
		j++;
	*blanks_r = str_n(rest->p, i);
	*word_r = str_n(rest->p + i, j - i);
	*rest = str_skip(*rest, j);
	return word_r->n != 0;
}

static size_t fold(struct buf *b)
{
	buf_str(b, STR("\r\n"));
	return 0;
}

/* What may stand in an encoded word of a phrase as it is (RFC 2047 §5 (3)). */
static bool is_q_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!*+-/", c));
}

static size_t q_length(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += is_q_plain((unsigned char)s.p[i]) || s.p[i] == ' ' ? 1 : 3;
	return n;
}

static void put_q(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ' ' || is_control(s.p[i])) {
			buf_char(b, '_');
		} else if (is_q_plain(c)) {
			buf_char(b, (char)c);
		} else {
			buf_char(b, '=');
			buf_char(b, hex[c >> 4]);
			buf_char(b, hex[c & 15]);
		}
	}
}

static void put_b(struct buf *b, struct str s)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (size_t k = 0; k < 3; k++) {
			unsigned char c = i + k < s.n ? (unsigned char)s.p[i + k] : 0;

			v = v << 8 | (i + k < s.n && is_control((char)c) ? ' ' : c);
		}
		buf_char(b, set[v >> 18]);
		buf_char(b, set[v >> 12 & 63]);
		buf_char(b, i + 1 < s.n ? set[v >> 6 & 63] : '=');
		buf_char(b, i + 2 < s.n ? set[v & 63] : '=');
	}
}

/* As many whole characters from the front of s as fit into `room` octets of content. Base64 is cut
 * where it needs no padding, since readers join words before they decode them. */
static size_t whole_chars(struct str s, size_t room, bool q)
{
	struct str rest = s;
	size_t fits = 0, even = 0;

	while (rest.n) {
		size_t end, used;

		str_utf8_next(&rest);
		end = s.n - rest.n;
		used = q ? q_length(str_n(s.p, end)) : (end + 2) / 3 * 4;
		if (used > room)
			break;
		fits = end;
		if (end % 3 == 0)
			even = end;
	}
	return !q && fits < s.n && even ? even : fits;
}

/* A run of text as encoded words of at most 75 characters each, one to a line when many. */
static size_t put_encoded(struct buf *b, struct str s, size_t column)
{
	enum { AROUND = 12, WORD = 75, LEAST = 24 }; /* =?utf-8?Q??= */
	bool q = q_length(s) <= (s.n + 2) / 3 * 4 + s.n / 4;

	while (s.n) {
		size_t room, n;

		if (column + AROUND + LEAST > MIME_FOLD) {
			column = fold(b);
			buf_char(b, ' ');
			column++;
		}
		room = MIME_FOLD - column - AROUND;
		if (room > WORD - AROUND)
			room = WORD - AROUND;
		n = whole_chars(str_n(s.p, s.n < WORD ? s.n : WORD), room, q);
		buf_c(b, q ? "=?utf-8?Q?" : "=?utf-8?B?");
		(q ? put_q : put_b)(b, str_n(s.p, n));
		buf_str(b, STR("?="));
		column += AROUND + (q ? q_length(str_n(s.p, n)) : (n + 2) / 3 * 4);
		s = str_skip(s, n);
		if (s.n) {
			fold(b);
			buf_char(b, ' ');
			column = 1;
		}
	}
	return column;
}

/* From the first odd word to the last; empty when there is none. */
static struct str odd_range(struct str s)
{
	struct str rest = s, blanks, word;
	const char *from = NULL, *to = NULL;

	while (next_word(&rest, &blanks, &word))
		if (is_odd(word)) {
			if (!from)
				from = word.p;
			to = word.p + word.n;
		}
	return from ? str_n(from, (size_t)(to - from)) : STR_NONE;
}

static struct str trim_blanks(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Words as they are; the blanks before each may become a line end and the blanks. */
static size_t put_words(struct buf *b, struct str s, size_t column, bool first)
{
	struct str blanks, word;

	while (next_word(&s, &blanks, &word)) {
		if (!first && column + blanks.n + word.n > MIME_FOLD)
			column = fold(b);
		if (!first || blanks.n)
			for (size_t i = 0; i < (blanks.n ? blanks.n : 1); i++, column++)
				buf_char(b, ' ');
		buf_str(b, word);
		column += word.n;
		first = false;
	}
	return column;
}

size_t mime_text(struct buf *b, struct str value, size_t column)
{
	struct str odd;

	value = trim_blanks(value);
	odd = odd_range(value);
	if (!odd.n)
		return put_words(b, value, column, true);
	if (odd.p > value.p) {
		column = put_words(b, str_n(value.p, (size_t)(odd.p - value.p)), column, true);
		for (const char *p = odd.p; p > value.p && is_blank(p[-1]); p--, column++)
			buf_char(b, ' ');
	}
	/* The blanks just written end a line only when there is more behind them. */
	if (column > MIME_FOLD - 36 && odd.p > value.p) {
		size_t blanks = 0;

		while (b->n && b->p[b->n - 1] == ' ') {
			b->n--;
			blanks++;
		}
		column = fold(b);
		for (; blanks; blanks--, column++)
			buf_char(b, ' ');
	}
	column = put_encoded(b, odd, column);
	return put_words(b, str_skip(value, (size_t)(odd.p - value.p) + odd.n), column, false);
}

void mime_text_field(struct buf *b, const char *name, struct str value)
{
	buf_c(b, name);
	buf_str(b, STR(": "));
	mime_text(b, value, strlen(name) + 2);
	buf_str(b, STR("\r\n"));
}

static bool is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

size_t mime_phrase(struct buf *b, struct str name, size_t column)
{
	bool atoms = true;

	name = trim_blanks(name);
	for (size_t i = 0; i < name.n; i++)
		atoms &= is_atext(name.p[i]) ||
			 (name.p[i] == ' ' && i + 1 < name.n && name.p[i + 1] != ' ');
	if (odd_range(name).n)
		return put_encoded(b, name, column);
	if (atoms)
		return put_words(b, name, column, true);
	buf_char(b, '"');
	for (size_t i = 0; i < name.n; i++, column++) {
		char c = name.p[i];

		if (c == '"' || c == '\\') {
			buf_char(b, '\\');
			column++;
		}
		/* A quoted string is folded at its blanks, too. */
		if (is_blank(c) && column > MIME_FOLD - 8 && i + 1 < name.n &&
			!is_blank(name.p[i + 1]))
			column = fold(b);
		buf_char(b, is_control(c) ? ' ' : c);
	}
	buf_char(b, '"');
	return column + 2;
}

void mime_address_field(struct buf *b, const char *field, struct str name, struct str address)
{
	size_t column = strlen(field) + 2;

	buf_c(b, field);
	buf_str(b, STR(": "));
	if (trim_blanks(name).n) {
		column = mime_phrase(b, name, column);
		if (column + address.n + 3 > MIME_FOLD)
			fold(b);
		buf_str(b, STR(" <"));
		buf_str(b, address);
		buf_char(b, '>');
	} else if (address.n && address.p[0] == '"') {
		/* A quoted local part alone is more than some readers take. */
		buf_char(b, '<');
		buf_str(b, address);
		buf_char(b, '>');
	} else {
		buf_str(b, address);
	}
	buf_str(b, STR("\r\n"));
}

void mime_date(struct buf *b, wall_t t)
{
	static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	struct civil c = clock_civil(t);
	int64_t day = t / DUR_DAY - (t % DUR_DAY < 0);

	buf_printf(b, "%s, %d %s %04d %02d:%02d:%02d +0000", days[(day % 7 + 7) % 7], c.day,
		months[c.month - 1], c.year, c.hour, c.minute, c.second);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f ||
			strchr("()<>@,;:\\\"/[]?=", s.p[i]))
			return false;
	return s.n != 0;
}

static bool is_plain_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80 || is_control(s.p[i]))
			return false;
	return true;
}

/* RFC 2231 §3 and §4: pieces of at most 60 characters. */
static void put_2231(struct buf *b, const char *name, struct str value)
{
	enum { PIECE = 60 };
	static const char hex[] = "0123456789ABCDEF";
	unsigned piece = 0;
	size_t i = 0;
	bool one = true;
	size_t total = 0;

	for (size_t k = 0; k < value.n; k++)
		total += is_q_plain((unsigned char)value.p[k]) ? 1 : 3;
	one = total <= PIECE;
	do {
		size_t used = 0;

		if (one)
			buf_printf(b, ";\r\n\t%s*=utf-8''", name);
		else
			buf_printf(b, ";\r\n\t%s*%u*=%s", name, piece, piece ? "" : "utf-8''");
		for (; i < value.n && (one || used + 3 <= PIECE); i++) {
			unsigned char c = (unsigned char)value.p[i];

			if (c != '*' && (is_q_plain(c) || c == '.' || c == '_') && c != '/') {
				buf_char(b, (char)c);
				used++;
			} else {
				buf_char(b, '%');
				buf_char(b, hex[c >> 4]);
				buf_char(b, hex[c & 15]);
				used += 3;
			}
		}
		piece++;
	} while (i < value.n);
}

void mime_parameter(struct buf *b, const char *name, struct str value)
{
	if (value.n > MIME_FOLD - 10 - strlen(name) || !is_plain_ascii(value)) {
		put_2231(b, name, value);
		return;
	}
	buf_printf(b, ";\r\n\t%s=", name);
	if (is_token(value)) {
		buf_str(b, value);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, value.p[i]);
	}
	buf_char(b, '"');
}
