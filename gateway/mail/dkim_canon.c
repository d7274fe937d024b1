/* DKIM's canonical forms. See dkim_canon.h; one pass over the octets, whatever they are. */
#include "gateway/mail/dkim_canon.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/mime_in.h"

#include <openssl/evp.h>

enum { ROOM = 2048 };

/* ---- bodies ------------------------------------------------------------------------------ */

struct dkim_body_hash {
	EVP_MD_CTX *md;
	bool relaxed, cr, blank, any; /* seen and not yet written; any: something was */
	size_t lines;                 /* line ends not yet written: the last of them never are */
	size_t n;
	char out[ROOM];
};

static void flush(struct dkim_body_hash *h)
{
	CHECK(EVP_DigestUpdate(h->md, h->out, h->n));
	h->n = 0;
}

static void put(struct dkim_body_hash *h, char c)
{
	if (h->n == ROOM)
		flush(h);
	h->out[h->n++] = c;
}

static void put_pending(struct dkim_body_hash *h)
{
	for (; h->lines; h->lines--) {
		put(h, '\r');
		put(h, '\n');
	}
	if (h->blank)
		put(h, ' ');
	h->blank = false;
	h->any = true;
}

struct dkim_body_hash *dkim_body_hash_new(bool relaxed)
{
	struct dkim_body_hash *h = mem_new(struct dkim_body_hash);

	h->relaxed = relaxed;
	h->md = EVP_MD_CTX_new();
	CHECK(h->md && EVP_DigestInit_ex(h->md, EVP_sha256(), NULL));
	return h;
}

void dkim_body_hash_more(struct dkim_body_hash *h, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (h->cr && c != '\n') { /* a CR alone is an octet like any other */
			put_pending(h);
			put(h, '\r');
		}
		h->cr = c == '\r';
		if (h->cr)
			continue;
		if (c == '\n') {
			h->blank = false; /* §3.4.4: blanks at the end of a line */
			h->lines++;
		} else if (h->relaxed && (c == ' ' || c == '\t')) {
			h->blank = true;
		} else {
			put_pending(h);
			put(h, c);
		}
	}
}

void dkim_body_hash_end(struct dkim_body_hash **hp, uint8_t hash_r[DKIM_HASH])
{
	struct dkim_body_hash *h = *hp;
	unsigned n = 0;

	if (h->cr) {
		put_pending(h);
		put(h, '\r');
	}
	/* One line end behind what there is; in the simple form behind nothing, too (§3.4.3). */
	if (h->any || !h->relaxed) {
		put(h, '\r');
		put(h, '\n');
	}
	flush(h);
	CHECK(EVP_DigestFinal_ex(h->md, hash_r, &n) && n == DKIM_HASH);
	dkim_body_hash_free(hp);
}

void dkim_body_hash_free(struct dkim_body_hash **hp)
{
	if (*hp)
		EVP_MD_CTX_free((*hp)->md);
	mem_free(hp);
}

/* ---- headers ----------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void dkim_relaxed_field(struct str field, struct buf *out)
{
	ptrdiff_t colon = str_index(field, ':');
	struct str name = str_trim(str_n(field.p, colon < 0 ? field.n : (size_t)colon));
	struct str value = str_trim(str_skip(field, name.n ? (size_t)colon + 1 : 0));
	bool blank = false;

	for (size_t i = 0; i < name.n; i++)
		buf_char(out,
			(char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]));
	buf_char(out, ':');
	for (size_t i = 0; i < value.n; i++) {
		if (is_blank(value.p[i])) {
			blank = true;
			continue;
		}
		if (blank)
			buf_char(out, ' ');
		blank = false;
		buf_char(out, value.p[i]);
	}
}

static bool is_named(struct str field, struct str name)
{
	ptrdiff_t colon = str_index(field, ':');

	return colon > 0 && str_ieq(str_trim(str_n(field.p, (size_t)colon)), name);
}

static bool is_among(const char *const *names, struct str name)
{
	for (; *names; names++)
		if (str_ieq(str_of(*names), name))
			return true;
	return false;
}

/* Fields of one name count from the last to the first (§5.4.2). */
static void choose(const struct str *fields, size_t n, const char *name, bool more,
	struct buf *list, struct buf *canon)
{
	for (size_t i = n; i-- > 0;) {
		if (!is_named(fields[i], str_of(name)))
			continue;
		buf_printf(list, "%s%s", list->n ? ":" : "", name);
		dkim_relaxed_field(fields[i], canon);
		buf_str(canon, STR("\r\n"));
	}
	if (more)
		buf_printf(list, "%s%s", list->n ? ":" : "", name);
}

void dkim_choose_fields(struct str header, const char *const *names, const char *const *more,
	struct buf *list, struct buf *canon)
{
	struct buf fields = BUF_INIT;
	struct str lines;
	size_t at = 0, n = 0;

	while (mime_next_lines(header, &at, &lines)) {
		buf_add(&fields, &lines, sizeof lines);
		n++;
	}
	for (; *names; names++)
		choose((const struct str *)(const void *)fields.p, n, *names,
			is_among(more, str_of(*names)), list, canon);
	buf_free(&fields);
}
