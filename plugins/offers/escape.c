/* Sinks. See escape.h. */
#include "plugins/offers/escape.h"

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
}

/* Embeddings, overrides and isolates: they would reorder the author's text behind them. */
static bool turns_direction(uint32_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
	       c == 0x200f;
}

static bool unreserved(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void put_percent(struct buf *b, uint32_t c)
{
	static const char hex[] = "0123456789ABCDEF";
	char bytes[8];
	struct buf one = { bytes, 0, sizeof bytes };

	buf_utf8(&one, c);
	for (size_t i = 0; i < one.n; i++) {
		uint8_t u = (uint8_t)one.p[i];

		buf_char(b, '%');
		buf_char(b, hex[u >> 4]);
		buf_char(b, hex[u & 15]);
	}
}

static const char *entity(uint32_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static void put_char(struct buf *b, enum sink sink, uint32_t c)
{
	const char *e;

	switch (sink) {
	case SINK_HTML:
	case SINK_ATTR:
	case SINK_LINK_ATTR:
		e = entity(c);
		if (e)
			buf_c(b, e);
		else
			buf_utf8(b, c);
		break;
	case SINK_QUERY:
		if (unreserved(c))
			buf_char(b, (char)c);
		else
			put_percent(b, c);
		break;
	case SINK_JSON:
		if (c == '"' || c == '\\')
			buf_char(b, '\\');
		/* so that it may stand in a page's script, too */
		if (c == '<')
			buf_c(b, "\\u003c");
		else
			buf_utf8(b, c);
		break;
	case SINK_SMS:
	case SINK_PRINT:
	case SINK_HEADER:
		buf_utf8(b, c == 0xa0 ? ' ' : c);
		break;
	default:
		buf_utf8(b, c);
	}
}

/* Bytes that every sink writes as they are (addresses apart). */
static bool plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= ',' && c <= ':' && c != '/') || c == ' ' || c == '_';
}

void escape_put(struct buf *b, enum sink sink, struct str s)
{
	bool blank = false; /* the last character was a control one */

	while (s.n) {
		size_t n = 0;
		int32_t c;

		while (sink != SINK_QUERY && n < s.n && plain((uint8_t)s.p[n]))
			n++;
		if (n) {
			buf_add(b, s.p, n);
			s = str_skip(s, n);
			blank = false;
			continue;
		}
		c = str_utf8_next(&s);
		if (c == -2)
			c = sink == SINK_SMS || sink == SINK_PRINT ? '?' : 0xfffd;
		if (turns_direction((uint32_t)c))
			continue;
		if (is_control((uint32_t)c)) {
			if (!blank)
				put_char(b, sink, ' ');
			blank = true;
			continue;
		}
		blank = false;
		put_char(b, sink, (uint32_t)c);
	}
}

bool escape_link_good(struct str v)
{
	static const char *const schemes[] = { "https://", "http://", "mailto:", "tel:" };

	for (size_t i = 0; i < v.n; i++)
		if ((uint8_t)v.p[i] <= ' ' || v.p[i] == 0x7f || strchr("<>\"`\\", v.p[i]))
			return false;
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		struct str scheme = str_of(schemes[i]);

		if (v.n > scheme.n && str_ieq(str_n(v.p, scheme.n), scheme))
			return str_utf8_valid(v);
	}
	return false;
}
