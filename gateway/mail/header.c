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

/* Between "<" and ">", without a source route; *i goes behind it. */
static struct str in_angles(struct str s, size_t *i)
{
	size_t start = *i, at = *i;
	bool route = at < s.n && s.p[at] == '@';

	while (at < s.n && s.p[at] != '>') {
		if (route && s.p[at] == ':') {
			start = at + 1;
			route = false;
		}
		at = s.p[at] == '"' ? behind_quotes(s, at + 1) : at + 1;
	}
	*i = at < s.n ? at + 1 : at;
	return str_trim(str_n(s.p + start, at - start));
}

/* One element of a list: an address in angles, else the first word with an @. */
struct element {
	struct str bare;
	unsigned angles, bares;
};

struct addresses {
	struct str first;
	unsigned n;
};

static void found(struct addresses *a, struct str address)
{
	if (a->n++ == 0)
		a->first = address;
}

static void element_end(struct addresses *a, struct element *e)
{
	if (e->bares && !e->angles)
		found(a, e->bare);
	/* what else could be taken for one */
	if (e->bares > 1)
		a->n++;
	*e = (struct element){ .bare = STR_NONE };
}

static void word_end(struct addresses *a, struct element *e, struct str word)
{
	if (e->angles) { /* behind an address: another one */
		a->n++;
	} else if (e->bares++ == 0) {
		e->bare = word;
	}
}

/* The addresses of a list, how many and the first (RFC 5322 §3.4). "a@b <c@d>" is c@d by the name
 * of a@b, as readers of mail see it; what could be read in two ways counts as more than one. */
static struct addresses addresses_of(struct str s)
{
	struct addresses a = { .first = STR_NONE };
	struct element e = { .bare = STR_NONE };
	size_t i = 0, word = 0;
	bool at = false;

	while (i < s.n) {
		char c = s.p[i];

		switch (c) {
		case '"':
			i = behind_quotes(s, i + 1);
			continue;
		case '<':
		case '(':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
		case ',':
		case ';':
		case ':': /* the name of a group ends */
			if (at && c != ':')
				word_end(&a, &e, str_n(s.p + word, i - word));
			i++;
			if (c == '(') {
				i = behind_comment(s, i);
			} else if (c == '<') {
				found(&a, in_angles(s, &i));
				e.angles++;
			} else if (c == ',' || c == ';') {
				element_end(&a, &e);
			}
			word = i;
			at = false;
			continue;
		default:
			at |= c == '@';
			i++;
		}
	}
	if (at)
		word_end(&a, &e, str_n(s.p + word, s.n - word));
	element_end(&a, &e);
	return a;
}

void mail_header_look(struct str s, struct mail_header_look *l_r)
{
	size_t at = 0;
	struct addresses a;
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
			a = addresses_of(v);
			if (!l_r->from)
				l_r->from_address = a.first;
			l_r->from_addresses += a.n;
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
