/* Records of the DNS that mail needs (RFC 1035 §3.3, RFC 6698 §2.1), and the settings of looking
 * them up. Pure; any thread.
 */
#include "gateway/base/buf.h"
#include "protocols/smtp/dns.h"

enum { LABEL_MOST = 63, WIRE_MOST = 255 };

const struct conf_item dns_rows[] = {
	CONF_STRS(struct dns_conf, servers, servers_n,
		"Servers to ask, \"ADDRESS\" or \"ADDRESS@PORT\"; none: those of resolv_conf."),
	CONF_PATH(struct dns_conf, resolv_conf, "/etc/resolv.conf",
		"Where the system's servers stand; \"\": the root servers are asked."),
	CONF_PATH(struct dns_conf, trust_anchor, "",
		"Keys that DNSSEC begins with (DS or DNSKEY records); \"\": nothing is validated."),
	CONF_DURATION(
		struct dns_conf, timeout, "100ms", "5m", "20s", "How long an answer may take."),
	CONF_END
};

bool dns_name_parse(struct str wire, char name_r[DNS_NAME], size_t *used_r)
{
	size_t at = 0, n = 0;

	while (at < wire.n && at < WIRE_MOST) {
		size_t label = (unsigned char)wire.p[at++];

		if (label == 0) {
			name_r[n ? n - 1 : 0] = '\0';
			*used_r = at;
			return true;
		}
		if (label > LABEL_MOST || label > wire.n - at || n + label + 1 >= DNS_NAME)
			return false;
		for (size_t i = 0; i < label; i++) {
			unsigned char c = (unsigned char)wire.p[at + i];

			/* What is no host name is not wanted here: nothing is escaped. */
			if (c <= ' ' || c >= 0x7f || c == '.' || c == '<' || c == '>' || c == '"')
				return false;
			name_r[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		name_r[n++] = '.';
		at += label;
	}
	return false;
}

bool dns_mx_parse(struct str data, uint16_t *preference_r, char name_r[DNS_NAME])
{
	size_t used;

	if (data.n < 3)
		return false;
	*preference_r = be16(data.p);
	return dns_name_parse(str_skip(data, 2), name_r, &used) && used == data.n - 2;
}

bool dns_txt_parse(struct str data, struct buf *out)
{
	size_t begin = out->n;

	while (data.n) {
		size_t n = (unsigned char)data.p[0];

		if (n > data.n - 1) {
			out->n = begin;
			return false;
		}
		buf_add(out, data.p + 1, n);
		data = str_skip(data, n + 1);
	}
	return true;
}

bool dns_tlsa_parse(struct str data, struct dns_tlsa *t_r)
{
	if (data.n < 4)
		return false;
	t_r->usage = (uint8_t)data.p[0];
	t_r->selector = (uint8_t)data.p[1];
	t_r->matching = (uint8_t)data.p[2];
	t_r->data = str_skip(data, 3);
	return true;
}
