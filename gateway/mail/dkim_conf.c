/* dkim = ( { … } ): rows of its elements. See dkim.h. */
#include "gateway/base/stream.h"
#include "gateway/mail/dkim.h"

static int check_header(struct str s, struct err *e)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == ':')
			return err_set(
				e, ERR_CONF, "a header's name is visible ASCII without \":\"");
	return s.n && s.n <= 64 ? 0 : err_set(e, ERR_CONF, "a name takes 1 to 64 characters");
}

const struct conf_item dkim_rows[] = { CONF_WHERE(struct dkim_conf, at),
	CONF_STR(struct dkim_conf, domain, NULL, "The domain that signs (d=).",
		.flags = CONF_REQUIRED, .check = addr_domain_check, .example = "shop.example"),
	CONF_STR(struct dkim_conf, selector, NULL,
		"Its key's name (s=): the public key stands at SELECTOR._domainkey.DOMAIN.",
		.flags = CONF_REQUIRED, .check = addr_domain_check, .example = "mail1"),
	CONF_FILE(struct dkim_conf, key_file, key_hash,
		"Private key in PEM, without a passphrase: RSA of 1024 bits or more, or Ed25519.",
		.flags = CONF_REQUIRED),
	CONF_STRS(struct dkim_conf, headers, headers_n,
		"Header fields to be signed besides the usual ones.", .check = check_header),
	CONF_BOOL(struct dkim_conf, relaxed_body, true,
		"Changes of white space on the way leave the body's signature whole."),
	CONF_STRS(struct dkim_conf, from, from_n,
		"Sign mails from these domains (patterns); not given: its own and those below."),
	CONF_END };
