/* Parsing whole HTTP/1.1 messages out of a buffer. Lenient where nothing is at stake, exact about
 * where a message ends.
 */
#include "tests/sim/http1.h"

#include <ctype.h>

struct str sim_http_header(const struct sim_http *h, const char *name)
{
	struct str rest = h->headers, line, key;
	while (str_cut(&rest, '\n', &line)) {
		str_cut(&line, ':', &key);
		if (str_ieq(str_trim(key), str_of(name)))
			return str_trim(line);
	}
	return (struct str){ NULL, 0 };
}

static long chunked_parse(struct sim_http *h, const char *p, size_t n, size_t at)
{
	static struct buf body;
	buf_reset(&body);
	while (1) {
		const char *nl = memchr(p + at, '\n', n - at);
		size_t size = 0, digits = 0;
		if (!nl)
			return 0;
		while (isxdigit((unsigned char)p[at]) && digits++ < 8) {
			char c = p[at++];
			size = size << 4 |
			       (size_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
		}
		if (!digits)
			return -1;
		at = (size_t)(nl - p) + 1;
		if (n - at < size + 2)
			return 0;
		if (size == 0)
			break;
		buf_add(&body, p + at, size);
		at += size + 2;
	}
	while (1) { /* trailers, to an empty line */
		const char *nl = memchr(p + at, '\n', n - at);
		if (!nl)
			return 0;
		bool empty = (size_t)(nl - p) - at <= 1;
		at = (size_t)(nl - p) + 1;
		if (empty)
			break;
	}
	h->body = buf_view(&body);
	return (long)at;
}

long sim_http_parse(struct sim_http *h, const char *p, size_t n, bool response, bool ended)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	*h = (struct sim_http){ .body = STR_NONE };
	if (!end)
		return n > 65536 ? -1 : 0;
	size_t at = (size_t)(end - p) + 4;
	struct str head = str_n(p, at - 2), value;
	uint64_t length;
	str_cut(&head, '\n', &h->first);
	h->first = str_trim(h->first);
	h->headers = head;
	if (response) {
		struct str rest = h->first, word;
		uint64_t status;
		str_cut(&rest, ' ', &word);
		if (!str_starts(word, STR("HTTP/1.")) || !str_cut(&rest, ' ', &word) ||
			!str_u64(word, &status) || status > 999)
			return -1;
		h->status = (unsigned)status;
	}
	value = sim_http_header(h, "Connection");
	h->close = str_ieq(value, STR("close")) || str_ends(h->first, STR("HTTP/1.0"));
	h->expect = sim_http_header(h, "Expect").p != NULL;
	if (response && (h->status < 200 || h->status == 204 || h->status == 304))
		return (long)at;
	if (str_ieq(sim_http_header(h, "Transfer-Encoding"), STR("chunked")))
		return chunked_parse(h, p, n, at);
	value = sim_http_header(h, "Content-Length");
	if (value.p && (!str_u64(value, &length) || length > 1 << 30))
		return -1;
	if (!value.p) {
		length = response ? n - at : 0;
		h->close = h->close || response;
		if (response && !ended)
			return 0;
	}
	if (n - at < length)
		return 0;
	h->body = str_n(p + at, length);
	return (long)(at + length);
}

void sim_url_encode(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '~')
			buf_char(out, c);
		else
			buf_printf(out, "%%%02X", (uint8_t)c);
	}
}
