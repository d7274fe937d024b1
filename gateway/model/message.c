/* The message and its packed fields. See message.h. */
#include "gateway/model/message.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"

static const char *const media_words[MEDIA_COUNT] = { "sms", "email", "push", "viber", "social",
	"receipt", "cashier" };
static const char *const priority_words[PRIORITY_COUNT] = { "high", "normal", "bulk" };

static int word_index(struct str word, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (str_is(word, words[i]))
			return i;
	return -1;
}

const char *media_word(enum media m)
{
	return (unsigned)m < MEDIA_COUNT ? media_words[m] : "?";
}

bool media_parse(struct str word, enum media *m_r)
{
	int i = word_index(word, media_words, MEDIA_COUNT);

	*m_r = i < 0 ? MEDIA_SMS : (enum media)i;
	return i >= 0;
}

const char *priority_word(enum priority p)
{
	return (unsigned)p < PRIORITY_COUNT ? priority_words[p] : "?";
}

bool priority_parse(struct str word, enum priority *p_r)
{
	int i = word_index(word, priority_words, PRIORITY_COUNT);

	*p_r = i < 0 ? PRIORITY_NORMAL : (enum priority)i;
	return i >= 0;
}

const char *field_word(enum field f)
{
	static const char *const words[FIELD_MOST] = {
#define FIELD(NAME, number, word) [number] = word,
#include "gateway/tables/fields.def"
#undef FIELD
	};
	return (unsigned)f < FIELD_MOST && words[f] ? words[f] : "?";
}

/* A field: tag byte, length as 7-bit groups low first, bytes. */
static size_t put_length(char *p, size_t n)
{
	size_t i = 0;

	for (; n >= 0x80; n >>= 7)
		p[i++] = (char)(n | 0x80);
	p[i++] = (char)n;
	return i;
}

/* Takes one field off *rest; false at the end or when the bytes are damaged. */
static bool next_field(struct str *rest, unsigned *tag_r, struct str *value_r)
{
	size_t n = 0, i = 1;

	if (rest->n < 2)
		return false;
	*tag_r = (unsigned char)rest->p[0];
	for (unsigned shift = 0;; shift += 7) {
		unsigned char c;

		if (i >= rest->n || shift > 28)
			return false;
		c = (unsigned char)rest->p[i++];
		n |= (size_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			break;
	}
	if (n > rest->n - i)
		return false;
	*value_r = str_n(rest->p + i, n);
	*rest = str_skip(*rest, i + n);
	return true;
}

struct str message_get(const struct message *m, enum field f)
{
	struct str rest = str_n(m->fields, m->size), value;
	unsigned tag;

	while (next_field(&rest, &tag, &value))
		if (tag == (unsigned)f)
			return value;
	return STR_NONE;
}

bool message_has(const struct message *m, enum field f)
{
	struct str rest = str_n(m->fields, m->size), value;
	unsigned tag;

	while (next_field(&rest, &tag, &value))
		if (tag == (unsigned)f)
			return true;
	return false;
}

struct message *message_ref(const struct message *m)
{
	struct message *shared = (struct message *)(uintptr_t)m;

	atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
	return shared;
}

void message_unref(struct message **mp)
{
	struct message *m = *mp;

	*mp = NULL;
	if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
		mem_free(&m);
}

void draft_init(struct draft *d)
{
	*d = (struct draft){ .head = { .priority = PRIORITY_NORMAL } };
}

void draft_put(struct draft *d, enum field f, struct str value)
{
	char len[8];
	size_t n;

	if (value.n == 0)
		return;
	n = put_length(len, value.n);
	buf_u8(&d->fields, (uint8_t)f);
	buf_add(&d->fields, len, n);
	buf_str(&d->fields, value);
}

void draft_copy(struct draft *d, const struct message *m, uint32_t except_mask)
{
	struct str rest = str_n(m->fields, m->size), value;
	unsigned tag;

	memcpy(&d->head, m, offsetof(struct message, fields));
	atomic_init(&d->head.refs, 0);
	while (next_field(&rest, &tag, &value))
		if (tag >= 32 || !(except_mask & 1u << tag))
			draft_put(d, (enum field)tag, value);
}

struct message *draft_seal(struct draft *d)
{
	struct message *m = mem_raw(sizeof *m + d->fields.n);

	memcpy(m, &d->head, offsetof(struct message, fields));
	atomic_init(&m->refs, 1);
	m->size = (uint32_t)d->fields.n;
	if (d->fields.n)
		memcpy(m->fields, d->fields.p, d->fields.n);
	d->fields.n = 0;
	return m;
}

void draft_free(struct draft *d)
{
	buf_free(&d->fields);
}

/* The stored form. Little-endian, version first; grows by new versions only. */
struct packed_v1 {
	uint8_t version, media, priority, wants, flags;
	struct sms_attrs sms;
	uint8_t pad[3];
	int64_t send_at, expires;
};
enum { PACKED_VERSION = 1 };

void message_pack(const struct message *m, struct buf *b)
{
	struct packed_v1 head = {
		.version = PACKED_VERSION,
		.media = m->media,
		.priority = m->priority,
		.wants = m->wants,
		.flags = m->flags,
		.sms = m->sms,
		.send_at = m->send_at,
		.expires = m->expires,
	};

	buf_add(b, &head, sizeof head);
	buf_add(b, m->fields, m->size);
}

struct message *message_unpack(struct str bytes)
{
	struct packed_v1 head;
	struct message *m;
	struct str rest, value;
	unsigned tag;

	if (bytes.n < sizeof head || bytes.p[0] != PACKED_VERSION)
		return NULL;
	memcpy(&head, bytes.p, sizeof head);
	rest = bytes = str_skip(bytes, sizeof head);
	if (head.media >= MEDIA_COUNT || head.priority >= PRIORITY_COUNT)
		return NULL;
	while (next_field(&rest, &tag, &value))
		;
	if (rest.n)
		return NULL;
	m = mem_raw(sizeof *m + bytes.n);
	memset(m, 0, sizeof *m);
	atomic_init(&m->refs, 1);
	m->size = (uint32_t)bytes.n;
	m->send_at = head.send_at;
	m->expires = head.expires;
	m->media = head.media;
	m->priority = head.priority;
	m->wants = head.wants;
	m->flags = head.flags;
	m->sms = head.sms;
	if (bytes.n)
		memcpy(m->fields, bytes.p, bytes.n);
	return m;
}

/* Of all fields but those that a digest stands for. */
static uint64_t fields_hash(const struct message *m, size_t n)
{
	struct str rest = str_n(m->fields, n), value;
	uint64_t h = 0;
	unsigned tag;

	if (!message_has(m, FIELD_DIGEST))
		return str_hash(rest);
	while (next_field(&rest, &tag, &value))
		if (tag != FIELD_OCTETS && tag != FIELD_SPOOL)
			h = (h * 31 + tag) * 31 + str_hash(value);
	return h;
}

uint64_t message_fingerprint(const struct message *m)
{
	struct str gate = message_get(m, FIELD_GATE);
	size_t n = m->size;
	uint64_t h;

	if (gate.n) { /* without its tag and length, too */
		n = (size_t)(gate.p - m->fields);
		for (size_t len = gate.n; len >= 0x80; len >>= 7)
			n--;
		n -= 2;
	}
	h = fields_hash(m, n);
	h = h * 31 + m->media;
	h = h * 31 + m->priority;
	h = h * 31 + (uint64_t)m->send_at;
	return h * 31 + str_hash(str_n(&m->sms, sizeof m->sms));
}
