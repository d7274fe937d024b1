/* Addresses as they go over the wire. See mail.h. libidn2 is seen here alone. */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

#include <idn2.h>

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* The last @: a quoted local part may hold others. */
static size_t local_length(struct str s)
{
	const char *at = memrchr(s.p, '@', s.n);

	return at ? (size_t)(at - s.p) : s.n;
}

int mail_address_wire(struct str address, char wire_r[MAIL_ADDRESS], bool *utf8_r, struct err *e)
{
	size_t local = local_length(address);
	struct str domain = str_skip(address, local + 1);
	char given[256];
	char *ascii = NULL;
	size_t n;
	int rc;

	wire_r[0] = '\0';
	*utf8_r = !is_ascii(str_n(address.p, local));
	if (address.n >= MAIL_ADDRESS || domain.n == 0 || local == 0)
		return err_set(e, ERR_INPUT, "is no address: it takes the form local@domain");
	if (is_ascii(domain)) {
		str_copy(wire_r, MAIL_ADDRESS, address);
		return 0;
	}
	str_copy(given, sizeof given, domain);
	rc = idn2_to_ascii_8z(given, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return err_set(e, ERR_INPUT, "the domain \"%.*s\" has no form in ASCII: %s",
			STR_ARG(domain), idn2_strerror(rc));
	n = strlen(ascii);
	rc = local + 1 + n < MAIL_ADDRESS;
	if (rc) {
		memcpy(wire_r, address.p, local + 1);
		memcpy(wire_r + local + 1, ascii, n + 1);
	}
	idn2_free(ascii);
	return rc ? 0 : err_set(e, ERR_INPUT, "is longer than 255 octets with its domain in ASCII");
}
