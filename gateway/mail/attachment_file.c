/* Contents of attachments that stand in a file of the spool: found there, decoded in pieces, never
 * all in memory. See content.h.
 *
 * The file is the list as it was given in JSON; it was looked at when it came, so this reads it
 * only as closely as it must to find the contents again.
 */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/base/spool.h"
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"

enum { BLOCK = 64 << 10, KEY_MOST = 64, LINE_MOST = 998, CONVERT_MOST = 1 << 20 };

/* ---- where they are ---------------------------------------------------------------------- */

struct finder {
	struct attachments *a;
	unsigned depth;
	size_t objects;
	bool in_string, escaped, value; /* value: a colon has been seen */
	char key[KEY_MOST];             /* as it is written */
	size_t key_n;
	struct attachment *content; /* this string is its content; NULL: it is another */
	struct mime_rewrap look;
	struct err *e;
};

static bool is_content(const struct finder *f)
{
	struct str key = str_n(f->key, f->key_n);
	char raw[KEY_MOST + 2];
	json_t *v;
	bool is;

	if (f->key_n >= KEY_MOST)
		return false;
	if (str_index(key, '\\') < 0)
		return str_is(key, "content") || str_is(key, "data");
	raw[0] = raw[f->key_n + 1] = '"';
	memcpy(raw + 1, f->key, f->key_n);
	v = json_loadb(raw, f->key_n + 2, JSON_DECODE_ANY, NULL);
	is = v && json_is_string(v) &&
	     (!strcmp(json_string_value(v), "content") || !strcmp(json_string_value(v), "data"));
	json_decref(v);
	return is;
}

static int not_base64(const struct finder *f)
{
	return err_set(f->e, ERR_INPUT, "/attachments/%zu/content: is not base64 at place %lu",
		(size_t)(f->content - f->a->v), (unsigned long)f->look.place);
}

static int string_ends(struct finder *f, uint64_t at)
{
	struct attachment *x = f->content;

	f->in_string = false;
	if (!x)
		return 0;
	if (mime_rewrap_end(&f->look, NULL) != 0)
		return not_base64(f);
	x->n = at - x->at;
	x->octets = mime_rewrap_octets(&f->look);
	x->base64 = mime_rewrap_size(&f->look);
	x->content = STR_NONE;
	f->content = NULL;
	return 0;
}

static int string_begins(struct finder *f, uint64_t at)
{
	f->in_string = true;
	if (!f->value)
		f->key_n = 0;
	if (f->depth != 2 || !f->value || !is_content(f))
		return 0;
	if (f->objects == 0 || f->objects > f->a->n)
		return err_set(f->e, ERR_INPUT, "/attachments: the file is not the message's");
	f->content = &f->a->v[f->objects - 1];
	f->content->at = at + 1;
	f->look = (struct mime_rewrap){ .json = true };
	return 0;
}

static int find_in_string(struct finder *f, char c, uint64_t at)
{
	if (c == '"' && !f->escaped)
		return string_ends(f, at);
	f->escaped = c == '\\' && !f->escaped;
	if (f->content)
		return mime_rewrap_put(&f->look, str_n(&c, 1), NULL) ? not_base64(f) : 0;
	if (f->depth == 2 && !f->value && f->key_n < KEY_MOST)
		f->key[f->key_n++] = c;
	return 0;
}

static int find_char(struct finder *f, char c, uint64_t at)
{
	if (f->in_string)
		return find_in_string(f, c, at);
	switch (c) {
	case '"':
		return string_begins(f, at);
	case '{':
	case '[':
		f->depth++;
		f->value = false;
		f->objects += c == '{' && f->depth == 2;
		break;
	case '}':
	case ']':
		f->depth -= f->depth > 0;
		break;
	case ':':
		f->value = true;
		break;
	case ',':
		f->value = false;
		break;
	}
	return 0;
}

/* How many characters from p on are the inside of a content, and nothing special. */
static size_t plain(const char *p, size_t n)
{
	const char *quote = memchr(p, '"', n), *slash;

	if (quote)
		n = (size_t)(quote - p);
	slash = memchr(p, '\\', n);
	return slash ? (size_t)(slash - p) : n;
}

static int find_block(struct finder *f, const char *p, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++) {
		if (f->content && !f->escaped) {
			size_t run = plain(p + i, n - i);

			if (mime_rewrap_put(&f->look, str_n(p + i, run), NULL) != 0)
				return not_base64(f);
			i += run;
			if (i == n)
				break;
		}
		if (find_char(f, p[i], at + i) != 0)
			return -1;
	}
	return 0;
}

int attachments_locate(struct attachments *a, int fd, uint64_t size, struct err *e)
{
	struct finder f = { .a = a, .e = e };
	char *block = mem_alloc(BLOCK);
	int rc = 0;

	a->fd = fd;
	for (uint64_t at = 0; at < size && rc == 0; at += BLOCK) {
		size_t n = size - at < BLOCK ? (size_t)(size - at) : BLOCK;

		rc = spool_read_at(fd, at, block, n, e);
		if (rc == 0)
			rc = find_block(&f, block, n, at);
	}
	mem_free(&block);
	if (rc == 0 && (f.in_string || f.depth || f.objects != a->n))
		rc = err_set(e, ERR_INPUT, "/attachments: the file has not what the message says");
	return rc;
}

/* ---- what they say ----------------------------------------------------------------------- */

int attachment_octets(const struct attachments *a, const struct attachment *x,
	int (*fn)(void *ctx, struct str piece), void *ctx, struct err *e)
{
	struct mime_unbase64 w = { .in = { .json = x->at != 0 } };
	struct buf octets = BUF_INIT;
	char *block = mem_alloc(BLOCK);
	uint64_t n = x->at ? x->n : x->content.n;
	int rc = 0;

	for (uint64_t at = 0; at < n && rc == 0; at += BLOCK) {
		size_t k = n - at < BLOCK ? (size_t)(n - at) : BLOCK;
		const char *p = x->at ? block : x->content.p + at;

		if (x->at)
			rc = spool_read_at(a->fd, x->at + at, block, k, e);
		if (rc == 0 && mime_unbase64_put(&w, str_n(p, k), &octets) != 0)
			rc = err_set(e, ERR_INPUT, "an attachment is not base64");
		if (rc)
			break;
		rc = fn(ctx, buf_view(&octets));
		buf_reset(&octets);
	}
	if (rc == 0) {
		mime_unbase64_end(&w, &octets);
		if (octets.n)
			rc = fn(ctx, buf_view(&octets));
	}
	mime_unbase64_free(&w);
	buf_free(&octets);
	mem_free(&block);
	return rc;
}

/* ---- mails as attachments ---------------------------------------------------------------- */

struct lines_look {
	bool cr, high, odd;
	size_t line;
	uint64_t n; /* with CRLF at the end of each line */
};

static int look_at_lines(void *ctx, struct str s)
{
	struct lines_look *l = ctx;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		l->n++;
		l->high |= c >= 0x80;
		l->odd |= c == '\0' || (l->cr && c != '\n');
		if (c == '\n') {
			l->n += !l->cr;
			l->line = 0;
		} else if (c != '\r' && ++l->line > LINE_MOST) {
			l->odd = true;
		}
		l->cr = c == '\r';
	}
	return 0;
}

static bool is_type(struct str type, struct str what)
{
	return type.n >= what.n && str_ieq(str_n(type.p, what.n), what);
}

int attachment_look(const struct attachments *a, struct attachment *x, bool seven, struct err *e)
{
	struct lines_look l = { 0 };

	if (x->url.n || !is_type(x->type, STR("message/")) ||
		is_type(x->type, STR("message/partial")) ||
		is_type(x->type, STR("message/external-body")))
		return 0;
	if (attachment_octets(a, x, look_at_lines, &l, e) != 0)
		return -1;
	if (l.odd || l.cr)
		return 0;
	if (!l.high)
		x->raw = ATTACHMENT_7BIT;
	else if (!seven && is_type(x->type, STR("message/rfc822")))
		x->raw = ATTACHMENT_8BIT;
	x->raw_n = l.n;
	return 0;
}
