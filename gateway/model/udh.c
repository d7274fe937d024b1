/* The user data header. See udh.h; TS 23.040 9.2.3.24. */
#include "gateway/model/udh.h"
#include "gateway/base/buf.h"

bool concat_valid(unsigned total, unsigned seq)
{
	return total >= 1 && seq >= 1 && seq <= total;
}

static void read_concat(
	struct udh *u, enum concat_kind kind, uint16_t ref, uint8_t total, uint8_t seq)
{
	if (concat_valid(total, seq))
		u->concat = (struct concat){ kind, ref, total, seq };
	else
		u->others++;
}

static void read_element(struct udh *u, const struct udh_ie *ie)
{
	const uint8_t *p = (const uint8_t *)ie->data.p;

	if (ie->id == UDH_CONCAT8 && ie->data.n == 3) {
		read_concat(u, CONCAT_UDH8, p[0], p[1], p[2]);
	} else if (ie->id == UDH_CONCAT16 && ie->data.n == 4) {
		read_concat(u, CONCAT_UDH16, be16(p), p[2], p[3]);
	} else if (ie->id == UDH_PORTS8 && ie->data.n == 2) {
		u->ports = true;
		u->port_to = p[0];
		u->port_from = p[1];
	} else if (ie->id == UDH_PORTS16 && ie->data.n == 4) {
		u->ports = true;
		u->port_to = be16(p);
		u->port_from = be16(p + 2);
	} else if (ie->id == UDH_SINGLE && ie->data.n == 1) {
		u->single = p[0];
	} else if (ie->id == UDH_LOCKING && ie->data.n == 1) {
		u->locking = p[0];
	} else {
		u->others++;
	}
}

bool udh_next(struct str d, size_t *at, struct udh_ie *ie_r)
{
	size_t end = d.n ? (size_t)(uint8_t)d.p[0] + 1 : 0, i = *at ? *at : 1, n;

	if (end > d.n || i + 2 > end)
		return false;
	n = (uint8_t)d.p[i + 1];
	if (n > end - i - 2)
		return false;
	ie_r->id = (uint8_t)d.p[i];
	ie_r->data = str_n(d.p + i + 2, n);
	*at = i + 2 + n;
	return true;
}

int udh_parse(struct str d, struct udh *u, struct err *e)
{
	struct udh_ie ie;
	size_t at = 0;

	*u = (struct udh){ 0 };
	if (d.n == 0)
		return err_set(e, ERR_INPUT, "user data header announced, but no user data");
	u->size = (size_t)(uint8_t)d.p[0] + 1;
	if (u->size > d.n) {
		size_t said = u->size - 1;

		u->size = 0;
		return err_set(e, ERR_INPUT,
			"user data header of %zu octets in user data of %zu octets", said, d.n);
	}
	while (udh_next(d, &at, &ie))
		read_element(u, &ie);
	if ((at ? at : 1) != u->size)
		*u = (struct udh){ .size = u->size, .bad = true };
	return 0;
}

size_t udh_build(const struct udh *u, uint8_t out[static UDH_BUILT])
{
	uint8_t *p = out + 1;

	if (u->concat.kind == CONCAT_UDH8) {
		*p++ = UDH_CONCAT8;
		*p++ = 3;
		*p++ = (uint8_t)u->concat.ref;
		*p++ = u->concat.total;
		*p++ = u->concat.seq;
	} else if (u->concat.kind == CONCAT_UDH16) {
		*p++ = UDH_CONCAT16;
		*p++ = 4;
		put_be16(p, u->concat.ref);
		p += 2;
		*p++ = u->concat.total;
		*p++ = u->concat.seq;
	}
	if (u->ports) {
		*p++ = UDH_PORTS16;
		*p++ = 4;
		put_be16(p, u->port_to);
		put_be16(p + 2, u->port_from);
		p += 4;
	}
	if (u->single) {
		*p++ = UDH_SINGLE;
		*p++ = 1;
		*p++ = u->single;
	}
	if (u->locking) {
		*p++ = UDH_LOCKING;
		*p++ = 1;
		*p++ = u->locking;
	}
	if (p == out + 1)
		return 0;
	out[0] = (uint8_t)(p - out - 1);
	return (size_t)(p - out);
}
