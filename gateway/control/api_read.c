/* POST /v1/messages: JSON into a message, every fault named by its field. Any thread. */
#include "gateway/control/api_private.h"
#include "gateway/control/view.h"

#include <stdio.h>

enum {
	TEXT_MOST = 64 * 1024,
	HTML_MOST = 4 * 1024 * 1024,
	SUBJECT_MOST = 998, /* RFC 5322 §2.1.1 */
	MAILBOX_MOST = 600, /* a name and an address */
	URL_MOST = 2048,
	ID_MOST = 64,
	DATA_MOST = 64 * 1024,
	FALLBACK_MOST = 15, /* flow/fallback.c has STEPS_MOST, with the first */
};

static const char *const media_list[] = { "sms", "email", "push", "viber", "social", NULL };
static const char *const priority_list[] = { "high", "normal", "bulk", NULL };
static const char *const platform_list[] = { "ios", "android", "huawei", NULL };

static bool has_channel(void *ctx, const char *name)
{
	return gateway_channel_named(ctx, name) != NULL;
}

struct api_terms api_terms_of(struct gateway *g, const struct api_token *t)
{
	bool webhook = t->conf && t->conf->webhook[0];

	return (struct api_terms){ .country = view_country(gateway_settings(g)),
		.has_channel = has_channel,
		.ctx = g,
		.wants = webhook ? WANT_DELIVERED | WANT_FAILED : 0 };
}

static void take_text(struct json_obj *o, struct draft *d, enum field f, size_t most)
{
	struct str v;

	if (json_obj_str(o, field_word(f), 0, most, &v))
		draft_put(d, f, v);
}

static void take_json(struct json_obj *o, struct draft *d, enum field f, bool array)
{
	json_t *v = array ? json_obj_array(o, field_word(f), 0, 64)
			  : json_obj_object(o, field_word(f), 0);
	struct buf b = BUF_INIT;

	if (!v)
		return;
	json_write(&b, v);
	if (b.n > DATA_MOST)
		json_obj_fault(o, field_word(f), "is longer than %d bytes", DATA_MOST);
	draft_put(d, f, buf_view(&b));
	buf_free(&b);
}

/* "https://…" only where a far side fetches it. */
static void take_url(struct json_obj *o, struct draft *d, enum field f)
{
	struct str v;

	if (!json_obj_str(o, field_word(f), 0, URL_MOST, &v))
		return;
	if (!str_starts(v, STR("https://")) && !str_starts(v, STR("http://")))
		json_obj_fault(o, field_word(f), "must be an http:// or https:// URL");
	draft_put(d, f, v);
}

static void take_phone(
	struct json_obj *o, struct draft *d, struct str to, const struct address_country *country)
{
	struct address a;
	struct err e;

	if (address_destination(&a, to, TON_UNKNOWN, NPI_UNKNOWN, country, &e) != 0)
		json_obj_fault(o, "to", "%s", e.text);
	else
		draft_put(d, FIELD_TO, address_str(&a));
}

static void take_sender(
	struct json_obj *o, struct draft *d, struct str from, const struct address_country *country)
{
	struct address a;
	struct err e;

	if (address_source(&a, from, TON_UNKNOWN, NPI_UNKNOWN, country, &e) != 0)
		json_obj_fault(o, "from", "%s", e.text);
	else
		draft_put(d, FIELD_FROM, address_str(&a));
}

/* A device is CHANNEL:TOKEN, or a token with a platform. */
static void take_device(struct json_obj *o, struct draft *d, struct str to, bool platform,
	const struct api_terms *t)
{
	struct str channel, token;
	struct err e;
	char name[80];

	if (address_push(to, &channel, &token, &e) != 0) {
		json_obj_fault(o, "to", "%s", e.text);
		return;
	}
	str_copy(name, sizeof name, channel);
	if (channel.n && t->has_channel(t->ctx, name)) {
		draft_put(d, FIELD_CHANNEL, channel);
		draft_put(d, FIELD_TO, token);
		return;
	}
	if (!platform)
		json_obj_fault(o, "to", "must be CHANNEL:TOKEN, or a token with `platform`");
	draft_put(d, FIELD_TO, to);
}

/* "Shop <a@b.example>", or the address; without one mail.sender is taken when it is built. */
static void take_mailbox(struct json_obj *o, struct draft *d, struct str from)
{
	struct buf name = BUF_INIT;
	struct str address;
	struct err e;

	if (from.n && !mail_mailbox(from, &name, &address))
		json_obj_fault(o, "from", "must be an address, or \"Name <address>\"");
	else if (from.n && address_email(address, &e) != 0)
		json_obj_fault(o, "from", "%s", e.text);
	else if (from.n) {
		draft_put(d, FIELD_FROM_NAME, buf_view(&name));
		draft_put(d, FIELD_FROM, address);
	}
	buf_free(&name);
}

static void take_addresses(
	struct json_obj *o, struct draft *d, const struct api_terms *t, bool platform)
{
	struct str to = STR_NONE, from = STR_NONE;
	struct err e;

	json_obj_str(o, "to", JSON_REQUIRED, ADDRESS_PUSH_MAX, &to);
	json_obj_str(o, "from", 0, MAILBOX_MOST, &from);
	switch (d->head.media) {
	case MEDIA_EMAIL:
		if (to.n && address_email(to, &e) != 0)
			json_obj_fault(o, "to", "%s", e.text);
		draft_put(d, FIELD_TO, to);
		take_mailbox(o, d, from);
		break;
	case MEDIA_PUSH:
		if (to.n)
			take_device(o, d, to, platform, t);
		draft_put(d, FIELD_FROM, from);
		break;
	case MEDIA_SOCIAL:
		draft_put(d, FIELD_TO, to);
		draft_put(d, FIELD_FROM, from);
		break;
	default:
		if (to.n)
			take_phone(o, d, to, &t->country);
		if (from.n)
			take_sender(o, d, from, &t->country);
	}
}

/* true: of all; or the row of the subscriptions that its link turns off. */
static void take_unsubscribe(struct json_obj *o, struct draft *d)
{
	const char *name = field_word(FIELD_UNSUBSCRIBE);
	json_t *v = json_obj_any(o, name, 0);
	struct str row = json_str(v);

	if (!v || json_is_null(v) || json_is_false(v))
		return;
	if (json_is_true(v))
		row = STR("*");
	else if (!json_is_string(v))
		json_obj_fault(o, name, "must be true, or the row that it turns off");
	else if (row.n == 0 || row.n >= sizeof((struct mail_unsubscribe *)0)->row)
		json_obj_fault(o, name, "must be a word of at most 31 bytes");
	draft_put(d, FIELD_UNSUBSCRIBE, row);
}

/* Names, types and cids; what the contents were is in the spool. */
static json_t *without_contents(json_t *list)
{
	json_t *bare = json_deep_copy(list), *v;
	size_t i;

	json_array_foreach(bare, i, v)
	{
		if (json_object_get(v, "content"))
			json_object_set_new(v, "content", json_string(""));
		if (json_object_get(v, "data"))
			json_object_set_new(v, "data", json_string(""));
	}
	return bare;
}

/* Big ones were taken out while they came, and a mark stands in their place (strain.h). */
static void take_attachments(
	struct json_obj *o, struct draft *d, const struct api_terms *t, struct api_input *in)
{
	const char *name = field_word(FIELD_ATTACHMENTS);
	json_t *v = json_object_get(o->o, name), *list;
	struct strained *s =
		t->strain && json_is_string(v) ? strain_find(t->strain, json_str(v)) : NULL;
	struct buf b = BUF_INIT;
	struct json_faults none = { 0 };

	if (!s) {
		take_json(o, d, FIELD_ATTACHMENTS, true);
		return;
	}
	json_obj_any(o, name, 0);
	list = json_read(buf_view(&s->skeleton), &none);
	if (in)
		in->big_fault = s->again;
	if (s->fault[0])
		json_obj_fault(o, name, "%s", s->fault);
	else if (!list)
		json_obj_fault(o, name, "is not JSON: %s", none.n ? none.v[0].text : "");
	else if (d->head.media != MEDIA_EMAIL || !in)
		json_obj_fault(o, name, "is longer than %d bytes", DATA_MOST);
	else
		in->big = s;
	json_write(&b, list);
	draft_put(d, FIELD_ATTACHMENTS, buf_view(&b));
	if (in && in->big)
		draft_put(d, FIELD_DIGEST, str_of(s->digest));
	json_decref(list);
	buf_free(&b);
}

static bool is_client_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n != 0;
}

static void take_content(
	struct json_obj *o, struct draft *d, const struct api_terms *t, struct api_input *in)
{
	struct str text;
	json_t *tpl;

	if (json_obj_str(o, "text", 0, TEXT_MOST, &text))
		draft_put(d, FIELD_TEXT, text);
	else
		text = STR_NONE;
	take_text(o, d, FIELD_SUBJECT, SUBJECT_MOST);
	take_text(o, d, FIELD_HTML, HTML_MOST);
	take_text(o, d, FIELD_TITLE, 1024);
	take_url(o, d, FIELD_IMAGE);
	take_url(o, d, FIELD_URL);
	take_json(o, d, FIELD_BUTTON, false);
	take_json(o, d, FIELD_DATA, false);
	take_attachments(o, d, t, in);
	if (d->head.media == MEDIA_EMAIL) {
		take_json(o, d, FIELD_HEADERS, false);
		take_unsubscribe(o, d);
	}
	take_json(o, d, FIELD_PARAMS, false);
	take_text(o, d, FIELD_TEMPLATE, 128);
	tpl = json_object_get(o->o, "template");
	/* what is wrong with it has been said */
	if (!json_is_object(o->o) || json_is_string(json_object_get(o->o, "text")))
		return;
	switch (d->head.media) {
	case MEDIA_SMS:
	case MEDIA_VIBER:
	case MEDIA_SOCIAL:
		if (!text.n && !tpl && !json_object_get(o->o, "image"))
			json_obj_fault(o, "text", "is missing");
		break;
	case MEDIA_EMAIL:
		if (!text.n && !tpl && !json_object_get(o->o, "html"))
			json_obj_fault(o, "text", "is missing (text, html or template)");
		break;
	default:
		if (!text.n && !tpl && !json_object_get(o->o, "title") &&
			!json_object_get(o->o, "data"))
			json_obj_fault(o, "text", "is missing (text, title, data or template)");
	}
}

/* What would end beyond the clock's last year (2262), or in a hundred years, never ends. */
static void take_validity(struct json_obj *o, struct draft *d)
{
	wall_t now = clock_wall(), end;
	dur_t valid;

	if (!json_obj_dur(o, "valid_for", 0, &valid))
		return;
	if (valid <= 0)
		json_obj_fault(o, "valid_for", "must be longer than nothing");
	else if (valid < 100 * 366 * DUR_DAY &&
		 !__builtin_add_overflow(
			 d->head.send_at > now ? d->head.send_at : now, valid, &end))
		d->head.expires = end;
}

/* What a message and each attempt of its fallback have alike. */
static void take_common(
	struct json_obj *o, struct draft *d, const struct api_terms *t, struct api_input *in)
{
	int media = MEDIA_SMS, platform = -1;
	struct str channel;

	if (json_obj_word(o, "media", JSON_REQUIRED, media_list, &media))
		d->head.media = (uint8_t)media;
	if (json_obj_word(o, "platform", 0, platform_list, &platform))
		draft_put(d, FIELD_PLATFORM, str_of(platform_list[platform]));
	if (json_obj_str(o, "channel", 0, 64, &channel))
		draft_put(d, FIELD_CHANNEL, channel);
	take_addresses(o, d, t, platform >= 0);
	take_content(o, d, t, in);
}

/* What the builder of mails would not take is refused here, by its field. `at`: of an attempt. */
static void check_mail(const struct message *m, const char *at, struct json_faults *f)
{
	struct draft d = { 0 };
	struct message *whole;
	struct err e = { 0 };
	struct str place, words;
	char pointer[160];

	if (m->media != MEDIA_EMAIL || message_has(m, FIELD_TEMPLATE))
		return;
	draft_copy(&d, m, 0);
	if (!message_has(m, FIELD_FROM)) /* mail.sender may be set */
		draft_put(&d, FIELD_FROM, STR("postmaster@localhost"));
	whole = draft_seal(&d);
	draft_free(&d);
	if (mail_check(whole, &e) != 0) {
		words = str_of(e.text);
		if (e.text[0] != '/' || !str_cut(&words, ':', &place))
			place = STR_NONE;
		snprintf(pointer, sizeof pointer, "%s%.*s", at, STR_ARG(place));
		json_fault(f, pointer, "%.*s", STR_ARG(str_trim(words)));
	}
	message_unref(&whole);
}

/* An attempt that has nothing to say says what the message does. NULL: it has its own. */
static json_t *inherit(const json_t *whole, json_t *attempt)
{
	static const char *const content[] = { "text", "subject", "html", "title", "image", "url",
		"button", "data", "template", "params" };
	json_t *both;

	if (!json_is_object(attempt) || json_object_get(attempt, "attachments"))
		return NULL;
	for (size_t i = 0; i < sizeof content / sizeof *content; i++)
		if (json_object_get(attempt, content[i]))
			return NULL;
	both = json_copy(attempt);
	for (size_t i = 0; i < sizeof content / sizeof *content; i++)
		if (json_object_get(whole, content[i]))
			json_object_set(both, content[i], json_object_get(whole, content[i]));
	return both;
}

/* One further attempt: an object like a message, and how long its forerunner has. */
static void take_attempt(struct json_faults *f, json_t *v, const char *at,
	const struct api_terms *t, struct buf *packed)
{
	struct json_obj o;
	struct draft d;
	dur_t after = 0;

	draft_init(&d);
	json_obj_open(&o, v, at, f);
	take_common(&o, &d, t, NULL);
	json_obj_dur(&o, "after", 0, &after);
	if (json_obj_close(&o)) {
		struct message *m = draft_seal(&d);

		check_mail(m, at, f);
		fallback_put(packed, after, m);
		message_unref(&m);
	}
	draft_free(&d);
}

static void take_fallback(struct json_obj *o, struct draft *d, const struct api_terms *t)
{
	json_t *list = json_obj_array(o, field_word(FIELD_FALLBACK), 0, FALLBACK_MOST);
	struct buf packed = BUF_INIT;
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		char at[32];

		json_t *whole = inherit(o->o, v);

		snprintf(at, sizeof at, "/fallback/%zu", i);
		take_attempt(o->faults, whole ? whole : v, at, t, &packed);
		json_decref(whole);
	}
	draft_put(d, FIELD_FALLBACK, buf_view(&packed));
	buf_free(&packed);
}

bool api_read_message(
	const struct api_terms *t, json_t *v, struct api_input *in_r, struct json_faults *f)
{
	struct json_obj o;
	struct draft d;
	int priority = PRIORITY_NORMAL;
	struct str id;

	*in_r = (struct api_input){ 0 };
	draft_init(&d);
	json_obj_open(&o, v, "", f);
	take_common(&o, &d, t, in_r);
	if (json_obj_word(&o, "priority", 0, priority_list, &priority))
		d.head.priority = (uint8_t)priority;
	if (json_obj_str(&o, "id", 0, ID_MOST, &id)) {
		if (!is_client_id(id))
			json_obj_fault(&o, "id", "must be visible ASCII without spaces");
		draft_put(&d, FIELD_CLIENT_ID, id);
	}
	json_obj_time(&o, "send_at", 0, &d.head.send_at);
	take_validity(&o, &d);
	json_obj_bool(&o, "dry_run", 0, &in_r->dry_run);
	take_fallback(&o, &d, t);
	d.head.wants = t->wants;
	if (json_obj_close(&o))
		in_r->msg = draft_seal(&d);
	draft_free(&d);
	if (in_r->msg)
		check_mail(in_r->msg, "", f);
	if (f->n)
		message_unref(&in_r->msg);
	return in_r->msg != NULL;
}

bool api_spool(struct api_input *in, char name_r[SPOOL_NAME])
{
	uint64_t size = spool_written(in->big->file);
	struct json_faults none = { 0 };
	struct draft d = { 0 };
	struct buf b = BUF_INIT;
	json_t *list, *bare;
	struct err e;

	if (spool_finish(&in->big->file, name_r, &e) != 0)
		return false;
	draft_copy(&d, in->msg, 1u << FIELD_ATTACHMENTS);
	list = json_read(message_get(in->msg, FIELD_ATTACHMENTS), &none);
	bare = without_contents(list);
	json_write(&b, bare);
	draft_put(&d, FIELD_ATTACHMENTS, buf_view(&b));
	buf_reset(&b);
	buf_printf(
		&b, "%s:%s:%llu", field_word(FIELD_ATTACHMENTS), name_r, (unsigned long long)size);
	draft_put(&d, FIELD_SPOOL, buf_view(&b));
	message_unref(&in->msg);
	in->msg = draft_seal(&d);
	draft_free(&d);
	json_decref(list);
	json_decref(bare);
	buf_free(&b);
	return true;
}

unsigned api_status_of(enum reason r, const char **field_r)
{
	*field_r = NULL;
	switch (r) {
	case REASON_NO_ROUTE:
	case REASON_BAD_DESTINATION:
		*field_r = "/to";
		return 422;
	case REASON_BAD_SENDER:
		*field_r = "/from";
		return 422;
	case REASON_TOO_LONG:
	case REASON_BAD_CONTENT:
		*field_r = "/text";
		return 422;
	case REASON_BAD_TIME:
		*field_r = "/valid_for";
		return 422;
	case REASON_DUPLICATE:
		*field_r = "/id";
		return 409;
	case REASON_RATE:
	case REASON_WINDOW:
	case REASON_QUEUE_FULL:
		return 429;
	case REASON_STORE:
	case REASON_STOPPING:
		return 503;
	case REASON_NOT_FOUND:
		return 404;
	case REASON_TOO_LATE:
		return 409;
	default:
		return 422;
	}
}
