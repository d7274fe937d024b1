/* The names and classes of command_status, command_id and TLV tags, all made from the .def
 * tables. Look-ups by value are switches, so that doubled or misplaced rows do not compile.
 */
#include "protocols/smpp/pdu.h"

static bool is_vendor(uint32_t status)
{
	return status >= SMPP_STATUS_VENDOR_FIRST && status <= SMPP_STATUS_VENDOR_LAST;
}

const char *smpp_status_name(uint32_t status)
{
	switch (status) {
#define STATUS(name, value, cls, text) \
	case value:                    \
		return #name;
#define ALIAS(name, value)
#include "protocols/smpp/status.def"
	}
	return is_vendor(status) ? "ESME_vendor" : "ESME_unknown";
}

const char *smpp_status_text(uint32_t status)
{
	switch (status) {
#define STATUS(name, value, cls, text) \
	case value:                    \
		return text;
#define ALIAS(name, value)
#include "protocols/smpp/status.def"
	}
	return is_vendor(status) ? "the vendor's own status" : "unknown status";
}

enum smpp_class smpp_status_class(uint32_t status)
{
	switch (status) {
#define STATUS(name, value, cls, text) \
	case value:                    \
		return SMPP_CLASS_##cls;
#define ALIAS(name, value)
#include "protocols/smpp/status.def"
	}
	return SMPP_CLASS_VENDOR;
}

void smpp_status_put(struct buf *b, uint32_t status)
{
	buf_printf(b, "%s (0x%02x)", smpp_status_name(status), (unsigned)status);
}

/* "0x58" or "88". */
static bool number_parse(struct str s, uint32_t *v_r)
{
	uint64_t v = 0;

	if (s.n > 2 && s.n <= 10 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
		for (size_t i = 2; i < s.n; i++) {
			int c = s.p[i] | 0x20;

			if (c >= '0' && c <= '9')
				v = v << 4 | (unsigned)(c - '0');
			else if (c >= 'a' && c <= 'f')
				v = v << 4 | (unsigned)(c - 'a' + 10);
			else
				return false;
		}
	} else if (!str_u64(s, &v) || v > UINT32_MAX) {
		return false;
	}
	*v_r = (uint32_t)v;
	return true;
}

bool smpp_status_by_name(struct str name, uint32_t *status_r)
{
	static const struct {
		const char *name;
		uint32_t value;
	} all[] = {
#define STATUS(n, value, cls, text) { #n, value },
#define ALIAS(n, value)             { #n, value },
#include "protocols/smpp/status.def"
	};

	if (number_parse(name, status_r))
		return true;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct str have = str_of(all[i].name);

		if (str_ieq(name, have) || str_ieq(name, str_skip(have, sizeof "ESME_" - 1))) {
			*status_r = all[i].value;
			return true;
		}
	}
	return false;
}

static const char *const class_names[] = {
	[SMPP_CLASS_OK] = "ok",
	[SMPP_CLASS_THROTTLE] = "throttle",
	[SMPP_CLASS_TEMPORARY] = "temporary",
	[SMPP_CLASS_PERMANENT] = "permanent",
	[SMPP_CLASS_BIND] = "bind",
	[SMPP_CLASS_BUG] = "bug",
	[SMPP_CLASS_AMBIGUOUS] = "ambiguous",
	[SMPP_CLASS_VENDOR] = "vendor",
};

const char *smpp_class_name(enum smpp_class c)
{
	return class_names[c];
}

const char *smpp_command_name(uint32_t command)
{
	switch (command) {
#define COMMAND(constant, value, name, resp) \
	case value:                          \
		return name;                 \
	case value | SMPP_RESP:              \
		return resp ? name "_resp" : "unknown";
#include "protocols/smpp/command.def"
	case SMPP_GENERIC_NACK:
		return "generic_nack";
	}
	return "unknown";
}

bool smpp_command_by_name(struct str name, uint32_t *command_r)
{
	static const struct {
		const char *name;
		uint32_t value;
	} all[] = {
		{ "generic_nack", SMPP_GENERIC_NACK },
#define COMMAND(constant, value, n, resp) { n, value }, { resp ? n "_resp" : n, value | SMPP_RESP },
#include "protocols/smpp/command.def"
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (str_is(name, all[i].name)) {
			*command_r = all[i].value;
			return true;
		}
	}
	return false;
}

uint32_t smpp_command_resp(uint32_t command)
{
	if (smpp_is_resp(command))
		return 0;
	switch (command) {
#define COMMAND(constant, value, name, resp) \
	case value:                          \
		return resp ? value | SMPP_RESP : 0;
#include "protocols/smpp/command.def"
	}
	return SMPP_GENERIC_NACK;
}

const char *smpp_tag_name(uint16_t tag)
{
	switch (tag) {
#define TAG(constant, value, name, min, max) \
	case value:                          \
		return name;
#include "protocols/smpp/tlv.def"
	}
	return tag >= TLV_VENDOR_FIRST && tag <= TLV_VENDOR_LAST ? "vendor" : "unknown";
}

bool smpp_tag_by_name(struct str name, uint16_t *tag_r)
{
	static const struct {
		const char *name;
		uint16_t value;
	} all[] = {
#define TAG(constant, value, n, min, max) { n, value },
#include "protocols/smpp/tlv.def"
	};
	uint32_t v;

	if (number_parse(name, &v) && v <= UINT16_MAX) {
		*tag_r = (uint16_t)v;
		return true;
	}
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (str_is(name, all[i].name)) {
			*tag_r = all[i].value;
			return true;
		}
	}
	return false;
}
