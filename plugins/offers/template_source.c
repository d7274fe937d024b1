/* The version of a template: its source as one text, and the digest of it. See template.h. */
#include "plugins/offers/template_private.h"

#include "gateway/http/sign.h"
#include "gateway/model/translit.h"

void setting_string(struct buf *b, struct str s)
{
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c == '\n')
			buf_c(b, "\\n");
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '"');
}

void setting_put(struct buf *b, const char *key, struct str s)
{
	buf_printf(b, "%s = ", key);
	setting_string(b, s);
	buf_c(b, ";\n");
}

static void put_text(struct buf *b, const char *key, const char *value)
{
	if (value)
		setting_put(b, key, str_of(value));
}

static void put_body(struct buf *b, const char *key, const struct body_conf *c, struct str page)
{
	buf_printf(b, "%s = {\n", key);
	put_text(b, "subject", c->subject);
	put_text(b, "title", c->title);
	put_text(b, "text", c->text);
	if (c->html)
		setting_put(b, "html", page.p ? page : str_of(c->html));
	put_text(b, "image", c->image);
	put_text(b, "url", c->url);
	put_text(b, "moderated_as", c->moderated_as);
	if (c->has_button) {
		buf_c(b, "button = {\n");
		put_text(b, "text", c->button.text);
		put_text(b, "url", c->button.url);
		buf_c(b, "};\n");
	}
	buf_c(b, "};\n");
}

static void put_language(struct buf *b, const struct language_conf *c, struct str page)
{
	buf_printf(b, "%s = {\n", c->language);
	put_text(b, "sms", c->sms);
	if (c->has_email)
		put_body(b, "email", &c->email, page);
	if (c->has_push)
		put_body(b, "push", &c->push, STR_NONE);
	if (c->has_viber)
		put_body(b, "viber", &c->viber, STR_NONE);
	if (c->has_social)
		put_body(b, "social", &c->social, STR_NONE);
	put_text(b, "receipt", c->receipt);
	put_text(b, "cashier", c->cashier);
	buf_c(b, "};\n");
}

static void put_translit(struct buf *b, unsigned sets)
{
	static const struct {
		const char *word;
		unsigned set;
	} all[] = { { "punctuation", TRANSLIT_PUNCTUATION }, { "accents", TRANSLIT_ACCENTS },
		{ "greek", TRANSLIT_GREEK }, { "cyrillic", TRANSLIT_CYRILLIC } };
	const char *comma = "";

	buf_c(b, "translit = [ ");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (sets & all[i].set) {
			buf_printf(b, "%s\"%s\"", comma, all[i].word);
			comma = ", ";
		}
	buf_printf(b, "%s ];\n", sets ? "" : "\"none\"");
}

static void put_limits(struct buf *b, const struct limits_conf *c)
{
	buf_printf(b, "limits = {\nsms_parts = %u;\nsms_alphabet = \"%s\";\n", c->sms_parts,
		c->sms_alphabet == ALPHABET_ANY ? "any" : "gsm7-or-fail");
	put_translit(b, c->translit);
	buf_printf(b, "push_bytes = %u;\nviber_chars = %u;\nsocial_chars = %u;\n", c->push_bytes,
		c->viber_chars, c->social_chars);
	buf_printf(b, "subject_chars = %u;\nemail_bytes = %u;\nover = \"%s\";\n};\n",
		c->subject_chars, c->email_bytes, c->over == OVER_FAIL ? "fail" : "skip");
}

void template_write(struct buf *b, const struct template_conf *c, const struct str *pages)
{
	static const char *const missing[] = { "skip", "fail", "send-with-fallback" };

	buf_printf(b, "templates = {\n%s = {\n", c->name);
	for (size_t i = 0; i < c->languages_n; i++)
		put_language(b, &c->languages[i], pages[i]);
	put_text(b, "language", c->language);
	buf_printf(b, "missing = \"%s\";\n", missing[c->missing]);
	put_limits(b, &c->limits);
	buf_c(b, "};\n};\n");
}

void template_set_digest(struct template *t, struct str source, struct arena *a)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[HMAC_SHA256_SIZE];

	t->source = arena_str(a, source);
	hmac_sha256(sum, STR("postern template"), &t->source, 1);
	for (size_t i = 0; i < sizeof sum; i++) {
		t->digest[2 * i] = hex[sum[i] >> 4];
		t->digest[2 * i + 1] = hex[sum[i] & 15];
	}
}

struct str template_digest(const struct template *t)
{
	return str_n(t->digest, sizeof t->digest);
}

struct str template_source(const struct template *t)
{
	return t->source;
}
