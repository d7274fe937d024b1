/* Entities, fields and parts of a mail. See mime_in.h; decoding is in mime_decode.c. */
#include "gateway/mail/mime_in.h"
#include "gateway/mail/content.h"

#include <gmime/gmime.h>

enum { LINE_MOST = 998 };

struct mime_entity mime_split(struct str s)
{
	size_t at = 0;

	while (at < s.n) {
		const char *lf = memchr(s.p + at, '\n', s.n - at);
		size_t end = lf ? (size_t)(lf - s.p) + 1 : s.n;

		if (lf && (s.p[at] == '\n' || (s.p[at] == '\r' && end - at == 2)))
			return (struct mime_entity){ str_n(s.p, end), str_skip(s, end) };
		at = end;
	}
	return (struct mime_entity){ s, str_n(s.p + s.n, 0) };
}

bool mime_is_lines(struct str s)
{
	size_t line = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\0' || (c == '\n' && (!i || s.p[i - 1] != '\r')) ||
			(c == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')))
			return false;
		line = c == '\n' ? 0 : line + 1;
		if (line > LINE_MOST + 1) /* and its CR */
			return false;
	}
	return true;
}

bool mime_next_lines(struct str s, size_t *at, struct str *lines_r)
{
	size_t from = *at, end = from;

	if (from >= s.n)
		return false;
	do {
		const char *lf = memchr(s.p + end, '\n', s.n - end);

		end = lf ? (size_t)(lf - s.p) + 1 : s.n;
	} while (end < s.n && (s.p[end] == ' ' || s.p[end] == '\t'));
	*lines_r = str_n(s.p + from, end - from);
	*at = end;
	return true;
}

bool mime_next_field(struct str s, size_t *at, struct str *name_r, struct str *value_r)
{
	struct str field;

	while (mime_next_lines(s, at, &field)) {
		ptrdiff_t colon = str_index(field, ':');

		if (colon <= 0)
			continue;
		*name_r = str_trim(str_n(field.p, (size_t)colon));
		*value_r = str_trim(str_skip(field, (size_t)colon + 1));
		return true;
	}
	return false;
}

static void unfold(struct str v, struct buf *out)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r' && v.p[i] != '\n')
			buf_char(out, v.p[i]);
}

bool mime_field(struct str header, const char *name, struct buf *scratch, struct str *value_r)
{
	size_t at = 0;
	struct str n, v;

	*value_r = STR_NONE;
	while (mime_next_field(header, &at, &n, &v)) {
		if (!str_ieq(n, str_of(name)))
			continue;
		if (str_index(v, '\n') >= 0) {
			scratch->n = 0;
			unfold(v, scratch);
			v = buf_view(scratch);
		}
		*value_r = v;
		return true;
	}
	return false;
}

static void copy_lower(char *dst, size_t cap, const char *from)
{
	size_t n = str_copy(dst, cap, str_of(from));

	for (size_t i = 0; i < n && i < cap; i++)
		if (dst[i] >= 'A' && dst[i] <= 'Z')
			dst[i] = (char)(dst[i] + 32);
}

/* A value that is handed to GMime is cut at a length that no honest field has. */
static char *given(struct str v, struct buf *b)
{
	enum { MOST = 8192 };

	b->n = 0;
	buf_add(b, v.p, v.n < MOST ? v.n : MOST);
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] == '\0')
			b->p[i] = ' ';
	return buf_cstr(b);
}

static void parameters(GMimeContentType *c, struct mime_type *t)
{
	const char *v;

	if ((v = g_mime_content_type_get_parameter(c, "charset")))
		str_copy(t->charset, sizeof t->charset, str_trim(str_of(v)));
	if ((v = g_mime_content_type_get_parameter(c, "boundary")))
		str_copy(t->boundary, sizeof t->boundary, str_of(v));
	if ((v = g_mime_content_type_get_parameter(c, "report-type")))
		copy_lower(t->report, sizeof t->report, v);
	if ((v = g_mime_content_type_get_parameter(c, "format")))
		t->flowed = str_ieq(str_of(v), STR("flowed"));
	if ((v = g_mime_content_type_get_parameter(c, "delsp")))
		t->delsp = str_ieq(str_of(v), STR("yes"));
}

static enum mime_transfer transfer_of(struct str v)
{
	/* Comments and what else may follow are not looked at. */
	size_t n = 0;

	while (n < v.n && v.p[n] != ' ' && v.p[n] != '\t' && v.p[n] != ';' && v.p[n] != '(')
		n++;
	v.n = n;
	if (str_ieq(v, STR("quoted-printable")))
		return MIME_IN_QUOTED;
	if (str_ieq(v, STR("base64")))
		return MIME_IN_BASE64;
	if (v.n == 0 || str_ieq(v, STR("7bit")) || str_ieq(v, STR("8bit")) ||
		str_ieq(v, STR("binary")))
		return MIME_AS_IS;
	return MIME_IN_UNKNOWN;
}

void mime_type_of(struct str header, struct mime_type *t_r)
{
	struct buf scratch = BUF_INIT, text = BUF_INIT;
	struct str v;

	*t_r = (struct mime_type){ .type = "text", .subtype = "plain" };
	if (mime_field(header, "Content-Type", &scratch, &v) && v.n) {
		GMimeContentType *c;

		mail_gmime();
		c = g_mime_content_type_parse(NULL, given(v, &text));
		if (c) {
			copy_lower(
				t_r->type, sizeof t_r->type, g_mime_content_type_get_media_type(c));
			copy_lower(t_r->subtype, sizeof t_r->subtype,
				g_mime_content_type_get_media_subtype(c));
			parameters(c, t_r);
			t_r->said = true;
			g_object_unref(c);
		}
	}
	if (mime_field(header, "Content-Transfer-Encoding", &scratch, &v))
		t_r->transfer = transfer_of(v);
	if (mime_field(header, "Content-Disposition", &scratch, &v))
		t_r->attached = v.n >= 10 && str_ieq(str_n(v.p, 10), STR("attachment"));
	buf_free(&scratch);
	buf_free(&text);
}

/* Is the line at `at` a boundary? Its end, and whether it is the last. 0: it is none. */
static size_t boundary_line(struct str s, size_t at, struct str boundary, bool *last_r)
{
	size_t i = at + 2 + boundary.n;

	if (i > s.n || s.p[at] != '-' || s.p[at + 1] != '-' ||
		memcmp(s.p + at + 2, boundary.p, boundary.n) != 0)
		return 0;
	*last_r = i + 1 < s.n && s.p[i] == '-' && s.p[i + 1] == '-';
	if (*last_r)
		i += 2;
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r'))
		i++;
	if (i == s.n)
		return i;
	return s.p[i] == '\n' ? i + 1 : 0;
}

/* From `at`, which begins a line: the next boundary. Where its line begins; -1. */
static ptrdiff_t find_boundary(
	struct str s, size_t at, struct str boundary, size_t *end_r, bool *last_r)
{
	while (at < s.n) {
		const char *lf;

		*end_r = boundary_line(s, at, boundary, last_r);
		if (*end_r)
			return (ptrdiff_t)at;
		lf = memchr(s.p + at, '\n', s.n - at);
		if (!lf)
			return -1;
		at = (size_t)(lf - s.p) + 1;
	}
	return -1;
}

bool mime_next_part(struct str s, const char *boundary, size_t *at, struct str *part_r)
{
	struct str b = str_of(boundary);
	ptrdiff_t found;
	size_t end = 0, from;
	bool last = false;

	if (!b.n || *at >= s.n)
		return false;
	if (*at == 0) { /* the preamble */
		found = find_boundary(s, 0, b, &end, &last);
		if (found < 0 || last)
			return false;
		*at = end;
	}
	from = *at;
	found = find_boundary(s, from, b, &end, &last);
	if (found < 0) { /* cut off: what there is */
		*part_r = str_skip(s, from);
		*at = s.n;
		return true;
	}
	*part_r = str_n(s.p + from, (size_t)found - from);
	/* The line end before a boundary belongs to it (RFC 2046 §5.1.1). */
	if (part_r->n && part_r->p[part_r->n - 1] == '\n')
		part_r->n--;
	if (part_r->n && part_r->p[part_r->n - 1] == '\r')
		part_r->n--;
	*at = last ? s.n : end;
	return true;
}
