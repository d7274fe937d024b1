/* A look at the header of a mail as a client gave it: which fields are there, how many hops it has
 * behind it, who wrote it. See mail.h. One pass over the lines, nothing copied; any octets.
 */
#include "gateway/mail/mail.h"

/* The value of a field when the line is one of that name. */
static bool field_of(struct str line, struct str name, struct str *value_r)
{
	size_t n = name.n;

	if (line.n <= n || !str_ieq(str_n(line.p, n), name))
		return false;
	while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t'))
		n++; /* obsolete, but legal to read (RFC 5322 §4.5) */
	if (n == line.n || line.p[n] != ':')
		return false;
	*value_r = str_trim(str_skip(line, n + 1));
	return true;
}

/* Behind a "(": the place behind the ")" that closes it. */
static size_t behind_comment(struct str s, size_t i)
{
	unsigned depth = 1;

	for (; i < s.n && depth; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')')
			depth--;
	}
	return i < s.n ? i : s.n;
}

static size_t behind_quotes(struct str s, size_t i)
{
	for (; i < s.n && s.p[i] != '"'; i++)
		if (s.p[i] == '\\')
			i++;
	return i < s.n ? i + 1 : s.n;
}

/* Between "<" and ">", without a source route. */
static struct str in_angles(struct str s, size_t i)
{
	size_t start = i;
	bool route = i < s.n && s.p[i] == '@';

	while (i < s.n && s.p[i] != '>') {
		if (route && s.p[i] == ':') {
			start = i + 1;
			route = false;
		}
		i = s.p[i] == '"' ? behind_quotes(s, i + 1) : i + 1;
	}
	return str_trim(str_n(s.p + start, i - start));
}

/* The first address of a list: in angles, or the first word with an @ (RFC 5322 §3.4). */
static struct str first_address(struct str s)
{
	size_t i = 0, word = 0;
	bool at = false;

	while (i < s.n) {
		char c = s.p[i];

		switch (c) {
		case '"':
			i = behind_quotes(s, i + 1);
			continue;
		case '<':
			return in_angles(s, i + 1);
		case '(':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
		case ',':
		case ';':
		case ':': /* the name of a group ends */
			if (at && c != ':')
				return str_n(s.p + word, i - word);
			i = c == '(' ? behind_comment(s, i + 1) : i + 1;
			word = i;
			at = false;
			continue;
		default:
			at |= c == '@';
			i++;
		}
	}
	return at ? str_n(s.p + word, s.n - word) : STR_NONE;
}

void mail_header_look(struct str s, struct mail_header_look *l_r)
{
	size_t at = 0;
	struct str v;

	*l_r = (struct mail_header_look){ .from_address = STR_NONE, .subject = STR_NONE };
	while (at < s.n) {
		size_t end = at;
		struct str field;

		/* A line, and those that continue it. */
		do {
			const char *lf = memchr(s.p + end, '\n', s.n - end);

			end = lf ? (size_t)(lf - s.p) + 1 : s.n;
			if (end - at <= 2 && (s.p[at] == '\n' || (s.p[at] == '\r' && lf))) {
				l_r->header_n = end;
				return;
			}
		} while (end < s.n && (s.p[end] == ' ' || s.p[end] == '\t'));
		field = str_n(s.p + at, end - at);
		at = end;
		switch (field.p[0] | 0x20) {
		case 'd':
			if (field_of(field, STR("Date"), &v))
				l_r->date = true;
			else if (field_of(field, STR("Delivered-To"), &v))
				l_r->delivered_to++;
			break;
		case 'f':
			if (!field_of(field, STR("From"), &v))
				break;
			if (!l_r->from)
				l_r->from_address = first_address(v);
			l_r->from = true;
			break;
		case 'm':
			if (field_of(field, STR("Message-ID"), &v))
				l_r->message_id = true;
			break;
		case 'r':
			if (field_of(field, STR("Received"), &v))
				l_r->received++;
			break;
		case 's':
			if (!l_r->subject.n)
				field_of(field, STR("Subject"), &l_r->subject);
			break;
		}
	}
	l_r->header_n = s.n;
}
