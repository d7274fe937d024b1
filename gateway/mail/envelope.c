/* FIELD_ENVELOPE: what MAIL and RCPT said besides addresses. See mail.h.
 *
 * Version, flags, notify, ret, length of envid (2 octets), envid, orcpt: octets, since the store
 * keeps it once a recipient and the far side is told the same at each attempt.
 */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

enum {
	VERSION = 1,
	HEAD = 6,
	FLAG_8BIT = 1,
	FLAG_UTF8 = 2,
	FLAG_BINARY = 4,
	FLAGS = FLAG_8BIT | FLAG_UTF8 | FLAG_BINARY,
	NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
	WORD_MOST = 2048, /* far above what RFC 3461 allows (100 and 500) */
};

void mail_envelope_put(struct draft *d, const struct mail_envelope *e)
{
	char v[HEAD + 2 * WORD_MOST];

	CHECK(e->envid.n <= WORD_MOST && e->orcpt.n <= WORD_MOST);
	if (!e->eightbit && !e->smtputf8 && !e->binary && !e->notify && !e->ret && !e->envid.n &&
		!e->orcpt.n)
		return;
	v[0] = VERSION;
	v[1] = (char)((e->eightbit ? FLAG_8BIT : 0) | (e->smtputf8 ? FLAG_UTF8 : 0) |
		      (e->binary ? FLAG_BINARY : 0));
	v[2] = (char)e->notify;
	v[3] = (char)e->ret;
	put_be16(v + 4, (uint16_t)e->envid.n);
	memcpy(v + HEAD, e->envid.p, e->envid.n);
	memcpy(v + HEAD + e->envid.n, e->orcpt.p, e->orcpt.n);
	draft_put(d, FIELD_ENVELOPE, str_n(v, HEAD + e->envid.n + e->orcpt.n));
}

bool mail_envelope_get(const struct message *m, struct mail_envelope *e_r)
{
	struct str v = message_get(m, FIELD_ENVELOPE);
	size_t n;

	*e_r = (struct mail_envelope){ .envid = STR_NONE, .orcpt = STR_NONE };
	if (v.n == 0)
		return true;
	if (v.n < HEAD || v.p[0] != VERSION || (v.p[1] & ~FLAGS) || (v.p[2] & ~NOTIFY_ALL) ||
		(uint8_t)v.p[3] > RET_FULL)
		return false;
	n = be16(v.p + 4);
	if (n > v.n - HEAD)
		return false;
	e_r->eightbit = v.p[1] & FLAG_8BIT;
	e_r->smtputf8 = v.p[1] & FLAG_UTF8;
	e_r->binary = v.p[1] & FLAG_BINARY;
	e_r->notify = (uint8_t)v.p[2];
	e_r->ret = (uint8_t)v.p[3];
	e_r->envid = str_n(v.p + HEAD, n);
	e_r->orcpt = str_skip(v, HEAD + n);
	return true;
}
