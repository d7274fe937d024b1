/* Fuzz target: any bytes as the body of POST /v1/messages, the first byte being the terms (country,
 * webhook) and the framing. What is taken keeps its promises to those behind: addresses in their
 * one form, JSON fields that are JSON, numbers in range; what is not comes with words.
 */
#include "gateway/control/api_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEM_MOST = 4096 };

static bool has_channel(void *ctx, const char *name)
{
	return strcmp(name, "apns") == 0 || strcmp(name, "fcm") == 0;
}

static void check_json(const struct message *m, enum field f, json_type type)
{
	struct json_faults faults = { 0 };
	json_t *v;

	if (!message_has(m, f))
		return;
	v = json_read(message_get(m, f), &faults);
	CHECK(v && json_typeof(v) == type);
	json_decref(v);
}

static void check_phone(const struct message *m)
{
	struct str to = message_get(m, FIELD_TO);

	CHECK(to.n >= 1 && to.n < ADDRESS_SMS_CAP);
	for (size_t i = 0; i < to.n; i++)
		CHECK(to.p[i] >= '0' && to.p[i] <= '9');
}

static void check_message(const struct message *m, const struct api_terms *t)
{
	struct str id = message_get(m, FIELD_CLIENT_ID);
	struct message *again;
	struct buf packed = BUF_INIT;

	CHECK(m->media < MEDIA_RECEIPT && m->priority < PRIORITY_COUNT);
	CHECK(m->wants == t->wants && m->flags == 0);
	CHECK(m->expires == 0 || m->expires > m->send_at);
	CHECK(message_has(m, FIELD_TO) && id.n <= 64);
	for (int f = 1; f < FIELD_MOST; f++)
		CHECK(str_utf8_valid(message_get(m, (enum field)f)));
	if (m->media == MEDIA_SMS || m->media == MEDIA_VIBER)
		check_phone(m);
	check_json(m, FIELD_BUTTON, JSON_OBJECT);
	check_json(m, FIELD_DATA, JSON_OBJECT);
	check_json(m, FIELD_PARAMS, JSON_OBJECT);
	check_json(m, FIELD_ATTACHMENTS, JSON_ARRAY);
	message_pack(m, &packed);
	again = message_unpack(buf_view(&packed));
	CHECK(again && message_fingerprint(again) == message_fingerprint(m));
	message_unref(&again);
	buf_free(&packed);
}

static void check_faults(const struct json_faults *f)
{
	struct json_faults none = { 0 };
	struct buf b = BUF_INIT;
	json_t *v;

	CHECK(f->n > 0);
	http_problem_put_faults(&b, 400, f);
	v = json_read(buf_view(&b), &none);
	CHECK(v); /* what we say of it is JSON in any case */
	json_decref(v);
	buf_free(&b);
}

static void take(struct str text, const struct api_terms *t)
{
	struct json_faults f = { 0 };
	struct api_input in = { 0 };
	json_t *v = json_read(text, &f);

	if (v && api_read_message(t, v, &in, &f)) {
		CHECK(f.n == 0);
		check_message(in.msg, t);
	} else {
		CHECK(!in.msg);
		check_faults(&f);
	}
	message_unref(&in.msg);
	json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_terms t = { .has_channel = has_channel };
	struct json_faults f = { 0 };
	struct json_split s;
	struct str in, text;
	enum json_split_got got;

	if (size < 1)
		return 0;
	in = str_n(data + 1, size - 1);
	if (data[0] & 4)
		t.country = (struct address_country){ .code = "46", .trunk = "0" };
	if (data[0] & 8)
		t.wants = WANT_DELIVERED | WANT_FAILED;
	json_split_init(&s, (enum json_split_kind)(data[0] & 3), ITEM_MOST);
	do {
		got = json_split_next(&s, &in, &text, &f);
		if (got == JSON_SPLIT_ITEM)
			take(text, &t);
	} while (got == JSON_SPLIT_ITEM || got == JSON_SPLIT_LONG);
	if (got == JSON_SPLIT_MORE)
		while ((got = json_split_end(&s, &text, &f)) == JSON_SPLIT_ITEM)
			take(text, &t);
	json_split_free(&s);
	return 0;
}
