/* A message's story as JSON. See view.h. */
#include "gateway/control/view.h"
#include "gateway/base/spool.h"
#include "gateway/http/json.h"

static void put_time(struct buf *b, const char *key, wall_t t)
{
	if (t <= INT64_MAX / 4) /* beyond: the place of what is held for the operator */
		clock_json_member(b, key, t);
}

static void put_reason(struct buf *b, enum reason r)
{
	if (r == REASON_NONE)
		return;
	buf_printf(b, ",\"reason\":\"%s\",\"reason_text\":", reason_word(r));
	buf_json(b, str_of(reason_text(r)));
}

static void put_history(struct buf *b, struct gateway *g, const struct store_view *v)
{
	buf_c(b, ",\"history\":[");
	for (unsigned i = 0; i < v->history_n; i++) {
		const struct store_history *h = &v->history[i];
		bool sent = strcmp(h->what, "sent") == 0; /* its words are the far side's id */

		buf_printf(b, "%s{\"at\":\"", i ? "," : "");
		clock_put_rfc3339(b, h->at);
		buf_c(b, "\",\"what\":");
		buf_json(b, str_of(h->what));
		if (h->channel)
			buf_json_member(b, "channel",
				str_of(store_name(gateway_store(g), STORE_CHANNEL, h->channel)));
		put_reason(b, h->reason);
		buf_json_member(b, sent ? "remote_id" : "words", str_of(h->words));
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void put_parts(struct buf *b, const struct store_view *v)
{
	buf_printf(b, ",\"parts\":%u", v->parts ? v->parts : 1u);
	if (!v->part_n)
		return;
	buf_c(b, ",\"part_list\":[");
	for (unsigned i = 0; i < v->part_n; i++) {
		const struct store_part *p = &v->part_list[i];

		buf_printf(b, "%s{\"part\":%u,\"state\":\"%s\"", i ? "," : "", p->part + 1u,
			state_word(p->state));
		buf_json_member(b, "remote_id", str_of(p->far_id));
		buf_json_member(b, "error", str_of(p->err));
		put_time(b, "sent_at", p->sent_at);
		put_time(b, "final_at", p->final_at);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

/* What they are, not what is in them. */
static void put_attachments(struct buf *b, const struct message *m)
{
	static const char *const keys[] = { "name", "filename", "type", "cid", "url" };
	struct str text = message_get(m, FIELD_ATTACHMENTS);
	struct json_faults none = { 0 };
	json_t *list = text.n ? json_read(text, &none) : NULL, *v;
	size_t i;

	if (json_array_size(list) == 0) {
		json_decref(list);
		return;
	}
	buf_c(b, ",\"attachments\":[");
	json_array_foreach(list, i, v)
	{
		size_t base64 = json_str(json_object_get(v, "content")).n +
				json_str(json_object_get(v, "data")).n;

		buf_printf(b, "%s{\"inline\":%s", i ? "," : "",
			json_is_true(json_object_get(v, "inline")) ? "true" : "false");
		for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
			buf_json_member(b, keys[k], json_str(json_object_get(v, keys[k])));
		if (base64)
			buf_printf(b, ",\"size\":%zu", base64 / 4 * 3);
		buf_char(b, '}');
	}
	buf_char(b, ']');
	json_decref(list);
}

static void put_content(struct buf *b, const struct message *m)
{
	struct spool_ref file;

	static const enum field texts[] = { FIELD_TEXT, FIELD_SUBJECT, FIELD_HTML, FIELD_TITLE,
		FIELD_IMAGE, FIELD_URL, FIELD_TEMPLATE, FIELD_PLATFORM, FIELD_SERVICE_TYPE,
		FIELD_FROM_NAME, FIELD_UNSUBSCRIBE };
	static const enum field raw[] = { FIELD_BUTTON, FIELD_DATA, FIELD_PARAMS, FIELD_HEADERS };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		buf_json_member(b, field_word(texts[i]), message_get(m, texts[i]));
	for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++) {
		struct str v = message_get(m, raw[i]);

		if (v.n) {
			buf_printf(b, ",\"%s\":", field_word(raw[i]));
			buf_str(b, v); /* is JSON already */
		}
	}
	put_attachments(b, m);
	if (spool_ref_parse(message_get(m, FIELD_SPOOL), &file)) {
		buf_printf(b, ",\"%.*s_size\":%llu", STR_ARG(file.field),
			(unsigned long long)file.size);
		return;
	}
	if (m->flags & MSG_OCTETS)
		buf_printf(b, ",\"data_coding\":%u,\"octets\":%zu", m->sms.data_coding,
			message_get(m, FIELD_OCTETS).n);
}

void view_put_json(struct buf *b, struct gateway *g, const struct store_view *v, bool content)
{
	struct store *st = gateway_store(g);

	buf_printf(b, "{\"id\":\"%lu\",\"state\":\"%s\"", v->id, state_word(v->state));
	put_reason(b, v->reason);
	buf_json_member(b, "words", str_of(v->words));
	buf_json_member(b, "error", str_of(v->err));
	buf_printf(b, ",\"media\":\"%s\",\"priority\":\"%s\"", media_word(v->media),
		priority_word(v->priority));
	if (v->erased)
		buf_c(b, ",\"erased\":true");
	buf_json_member(b, "from", str_of(v->from));
	buf_json_member(b, "to", str_of(v->to));
	buf_json_member(b, "client_id", str_of(v->client_id));
	buf_json_member(b, "submitter", str_of(store_name(st, STORE_SUBMITTER, v->submitter)));
	buf_json_member(b, "channel", str_of(store_name(st, STORE_CHANNEL, v->channel)));
	put_time(b, "accepted_at", v->accepted);
	if (v->state == STATE_QUEUED) {
		put_time(b, "due_at", v->due);
		if (v->due > INT64_MAX / 4)
			buf_c(b, ",\"waits_for\":\"operator\"");
		else if (v->due > clock_wall())
			buf_printf(b, ",\"waits_for\":\"%s\"",
				reason_is_policy(v->reason) ? "policy"
				: v->attempt                ? "retry"
							    : "schedule");
		else
			buf_c(b, ",\"waits_for\":\"channel\"");
	}
	put_time(b, "expires_at", v->expires);
	put_time(b, "sent_at", v->sent_at);
	put_time(b, "final_at", v->final_at);
	buf_printf(b, ",\"attempts\":%u", v->attempt);
	buf_json_member(b, "remote_id", str_of(v->far_id));
	put_parts(b, v);
	if (content && v->msg && !v->erased)
		put_content(b, v->msg);
	put_history(b, g, v);
	buf_char(b, '}');
}

struct address_country view_country(const struct settings *s)
{
	struct address_country c = { 0 };

	str_copy(c.code, sizeof c.code, str_of(s->country));
	if (c.code[0])
		str_copy(c.trunk, sizeof c.trunk, str_of(s->trunk));
	return c;
}

struct str view_number(struct gateway *g, struct str to, struct address *a)
{
	unsigned entered = gateway_enter(g);
	struct address_country c = view_country(gateway_settings(g));
	struct err e;

	gateway_leave(g, entered);
	if (!to.n || address_destination(a, to, TON_UNKNOWN, NPI_UNKNOWN, &c, &e) != 0)
		return to;
	return address_str(a);
}
