/* FIELD_ATTACHMENTS: read strictly, with a place for every fault. See content.h. */
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"

#include <unistd.h>

enum { MOST = 100, NAME_MOST = 255, TYPE_MOST = 255, CID_MOST = 200, URL_MOST = 2000 };

static const struct {
	const char *end, *type;
} types[] = {
	{ ".pdf", "application/pdf" },
	{ ".png", "image/png" },
	{ ".jpg", "image/jpeg" },
	{ ".jpeg", "image/jpeg" },
	{ ".gif", "image/gif" },
	{ ".webp", "image/webp" },
	{ ".svg", "image/svg+xml" },
	{ ".ics", "text/calendar" },
	{ ".txt", "text/plain" },
	{ ".csv", "text/csv" },
	{ ".html", "text/html" },
	{ ".htm", "text/html" },
	{ ".xml", "application/xml" },
	{ ".json", "application/json" },
	{ ".zip", "application/zip" },
	{ ".gz", "application/gzip" },
	{ ".doc", "application/msword" },
	{ ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ ".xls", "application/vnd.ms-excel" },
	{ ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ ".ppt", "application/vnd.ms-powerpoint" },
	{ ".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
	{ ".odt", "application/vnd.oasis.opendocument.text" },
	{ ".ods", "application/vnd.oasis.opendocument.spreadsheet" },
	{ ".rtf", "application/rtf" },
	{ ".mp3", "audio/mpeg" },
	{ ".mp4", "video/mp4" },
	{ ".vcf", "text/vcard" },
	{ ".pkpass", "application/vnd.apple.pkpass" },
};

const char *attachment_type(const struct attachment *a)
{
	if (a->type.n)
		return NULL; /* it says so itself */
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		size_t n = strlen(types[i].end);

		if (a->name.n > n &&
			str_ieq(str_skip(a->name, a->name.n - n), str_of(types[i].end)))
			return types[i].type;
	}
	return "application/octet-stream";
}

static struct str text_of(const json_t *v)
{
	return str_n(json_string_value(v), json_string_length(v));
}

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool is_token_char(char c)
{
	return (unsigned char)c > ' ' && (unsigned char)c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* "type/subtype", and parameters of tokens behind it. */
static const char *type_fault(struct str s)
{
	struct str rest = s, part;
	bool first = true;

	while (str_cut(&rest, ';', &part)) {
		char between = first ? '/' : '=';
		ptrdiff_t at;

		part = str_trim(part);
		at = str_index(part, between);
		if (at <= 0 || (size_t)at + 1 == part.n)
			return first ? "is not of the form type/subtype"
				     : "has a parameter that is not of the form name=value";
		for (size_t i = 0; i < part.n; i++)
			if (i != (size_t)at && !is_token_char(part.p[i]))
				return "holds characters that a media type cannot have";
		if (first && str_ieq(str_n(part.p, (size_t)at), STR("multipart")))
			return "cannot be multipart: an attachment is one part";
		first = false;
	}
	return NULL;
}

static const char *cid_fault(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f ||
			strchr("<>\"()\\,;'", s.p[i]))
			return "takes visible ASCII without brackets, quotes, \",\" and \";\"";
	return NULL;
}

static const char *url_fault(struct str s)
{
	if (!str_starts(s, STR("https://")) && !str_starts(s, STR("http://")))
		return "must be an http(s) URL";
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("<>\"", s.p[i]))
			return "holds characters that a URL cannot have";
	return NULL;
}

static const char *name_fault(struct str s)
{
	if (has_control(s))
		return "holds control characters";
	return memchr(s.p, '/', s.n) || memchr(s.p, '\\', s.n) ? "is a name, not a path" : NULL;
}

static int fault(struct err *e, size_t i, const char *key, const char *words)
{
	return err_set(e, ERR_INPUT, "/attachments/%zu%s%s: %s", i, *key ? "/" : "", key, words);
}

static int take_string(const json_t *v, size_t i, const char *key, size_t most,
	const char *(*check)(struct str), struct str *s_r, struct err *e)
{
	const char *words;

	if (json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return fault(e, i, key, "must be a string");
	*s_r = text_of(v);
	if (most && s_r->n > most)
		return err_set(
			e, ERR_INPUT, "/attachments/%zu/%s: more than %zu bytes", i, key, most);
	words = check && s_r->n ? check(*s_r) : NULL;
	return words ? fault(e, i, key, words) : 0;
}

static int take_one(json_t *o, size_t i, struct attachment *a, struct err *e)
{
	const char *key;
	json_t *v;
	size_t octets, place;

	*a = (struct attachment){ STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE };
	if (!json_is_object(o))
		return fault(e, i, "", "must be an object");
	json_object_foreach(o, key, v)
	{
		int rc = 0;

		if (strcmp(key, "name") == 0 || strcmp(key, "filename") == 0)
			rc = take_string(v, i, key, NAME_MOST, name_fault, &a->name, e);
		else if (strcmp(key, "type") == 0)
			rc = take_string(v, i, key, TYPE_MOST, type_fault, &a->type, e);
		else if (strcmp(key, "content") == 0 || strcmp(key, "data") == 0) {
			if (a->content.n)
				return fault(e, i, key, "is there twice, as content and data");
			rc = take_string(v, i, key, 0, NULL, &a->content, e);
		} else if (strcmp(key, "url") == 0)
			rc = take_string(v, i, key, URL_MOST, url_fault, &a->url, e);
		else if (strcmp(key, "cid") == 0)
			rc = take_string(v, i, key, CID_MOST, cid_fault, &a->cid, e);
		else if (strcmp(key, "inline") == 0 && (json_is_boolean(v) || json_is_null(v)))
			a->inlined = json_is_true(v);
		else if (strcmp(key, "inline") == 0)
			rc = fault(e, i, key, "must be true or false");
		else
			rc = fault(
				e, i, key, "is not known (name, type, content, url, cid, inline)");
		if (rc)
			return rc;
	}
	a->type = str_trim(a->type);
	if (a->url.n && a->content.n)
		return fault(e, i, "", "has both content and url");
	if (a->url.n && a->inlined)
		return fault(e, i, "url",
			"cannot be inline: nothing is fetched; give its content, or leave the "
			"link");
	if (!a->url.n && !json_object_get(o, "content") && !json_object_get(o, "data"))
		return fault(e, i, "", "has neither content nor url");
	if (mime_base64_rewrap(a->content, NULL, &octets, &place) != 0)
		return err_set(e, ERR_INPUT, "/attachments/%zu/content: is not base64 at place %zu",
			i, place);
	return 0;
}

int attachments_read(struct str json, struct attachments *a_r, struct err *e)
{
	json_error_t fault_at;

	*a_r = (struct attachments){ .fd = -1 };
	if (!json.n)
		return 0;
	a_r->root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &fault_at);
	if (!a_r->root)
		return err_set(e, ERR_INPUT, "/attachments: is not JSON: %s", fault_at.text);
	if (!json_is_array(a_r->root)) {
		err_set(e, ERR_INPUT, "/attachments: must be a list");
		goto fail;
	}
	if (json_array_size(a_r->root) > MOST) {
		err_set(e, ERR_INPUT, "/attachments: more than %d", MOST);
		goto fail;
	}
	a_r->n = json_array_size(a_r->root);
	a_r->v = mem_alloc((a_r->n + 1) * sizeof *a_r->v);
	for (size_t i = 0; i < a_r->n; i++) {
		if (take_one(json_array_get(a_r->root, i), i, &a_r->v[i], e))
			goto fail;
		for (size_t k = 0; k < i; k++)
			if (a_r->v[i].cid.n && str_eq(a_r->v[i].cid, a_r->v[k].cid)) {
				fault(e, i, "cid", "is another attachment's, too");
				goto fail;
			}
	}
	return 0;
fail:
	attachments_free(a_r);
	return -1;
}

void attachments_free(struct attachments *a)
{
	if (a->fd >= 0)
		close(a->fd);
	json_decref(a->root);
	mem_free(&a->v);
	*a = (struct attachments){ .fd = -1 };
}
