/* The settings of an SMPP channel: words, checks, rows, and what of them is made ready once for
 * use at run time. Pure; any thread.
 */
#include "gateway/base/mem.h"
#include "gateway/model/translit.h"
#include "protocols/smpp/client.h"

#include <stdio.h>

/* ---- settings: words ---- */

static const struct conf_word bind_words[] = {
	{ "transceiver", BIND_TRANSCEIVER, "one connection for both directions" },
	{ "transmitter", BIND_TRANSMITTER, "sends only; receipts come elsewhere" },
	{ "receiver", BIND_RECEIVER, "receives only" },
	{ "both", BIND_BOTH, "a transmitter and a receiver for each of `connections`" },
	{ NULL },
};
const char *client_bind_name(enum client_bind b)
{
	return conf_word_of(bind_words, b);
}
static const struct conf_word version_words[] = {
	{ "3.3", SMPP_V33, "without TLVs" },
	{ "3.4", SMPP_V34 },
	{ "5.0", SMPP_V50 },
	{ NULL },
};
static const struct conf_word form_words[] = {
	{ "gsm", TEXT_FORM_GSM, "GSM 7-bit, a septet an octet" },
	{ "gsm-packed", TEXT_FORM_PACKED, "GSM 7-bit, 8 septets in 7 octets" },
	{ "latin1", TEXT_FORM_LATIN1 },
	{ "ascii", TEXT_FORM_ASCII },
	{ "utf8", TEXT_FORM_UTF8 },
	{ NULL },
};
static const struct conf_word sender_words[] = {
	{ "gsm", TEXT_FORM_GSM },
	{ "latin1", TEXT_FORM_LATIN1 },
	{ "ascii", TEXT_FORM_ASCII },
	{ "utf8", TEXT_FORM_UTF8 },
	{ NULL },
};
static const struct conf_word alphabet_words[] = {
	{ "gsm", TEXT_CODING_BIT(TEXT_GSM7) },
	{ "ascii", TEXT_CODING_BIT(TEXT_ASCII) },
	{ "latin1", TEXT_CODING_BIT(TEXT_LATIN1) },
	{ "ucs2", TEXT_CODING_BIT(TEXT_UCS2) },
	{ NULL },
};
static const struct conf_word language_words[] = {
	{ "turkish", TEXT_LANGUAGE_BIT(GSM7_TURKISH) },
	{ "spanish", TEXT_LANGUAGE_BIT(GSM7_SPANISH) },
	{ "portuguese", TEXT_LANGUAGE_BIT(GSM7_PORTUGUESE) },
	{ "bengali", TEXT_LANGUAGE_BIT(GSM7_BENGALI) },
	{ "gujarati", TEXT_LANGUAGE_BIT(GSM7_GUJARATI) },
	{ "hindi", TEXT_LANGUAGE_BIT(GSM7_HINDI) },
	{ "kannada", TEXT_LANGUAGE_BIT(GSM7_KANNADA) },
	{ "malayalam", TEXT_LANGUAGE_BIT(GSM7_MALAYALAM) },
	{ "oriya", TEXT_LANGUAGE_BIT(GSM7_ORIYA) },
	{ "punjabi", TEXT_LANGUAGE_BIT(GSM7_PUNJABI) },
	{ "tamil", TEXT_LANGUAGE_BIT(GSM7_TAMIL) },
	{ "telugu", TEXT_LANGUAGE_BIT(GSM7_TELUGU) },
	{ "urdu", TEXT_LANGUAGE_BIT(GSM7_URDU) },
	{ NULL },
};
static const struct conf_word translit_words[] = {
	{ "punctuation", TRANSLIT_PUNCTUATION, "typographic quotes, dashes, spaces" },
	{ "accents", TRANSLIT_ACCENTS, "Latin letters lose their marks" },
	{ "greek", TRANSLIT_GREEK, "to capitals that GSM has" },
	{ "cyrillic", TRANSLIT_CYRILLIC, "to Latin letters" },
	{ "all", TRANSLIT_ALL },
	{ NULL },
};
static const struct conf_word split_words[] = {
	{ "udh8", TEXT_SPLIT_UDH8, "a header with an 8-bit reference" },
	{ "udh16", TEXT_SPLIT_UDH16, "a header with a 16-bit reference" },
	{ "sar", TEXT_SPLIT_SAR, "sar_* TLVs" },
	{ "payload", TEXT_SPLIT_PAYLOAD, "one message_payload; the SMSC cuts" },
	{ "none", TEXT_SPLIT_NONE, "long texts are refused" },
	{ NULL },
};
static const struct conf_word validity_words[] = {
	{ "relative", VALIDITY_RELATIVE, "needs no agreement of clocks" },
	{ "absolute", VALIDITY_ABSOLUTE, "in UTC" },
	{ "none", VALIDITY_NONE, "the SMSC's own" },
	{ NULL },
};
static const struct conf_word receipts_words[] = {
	{ "all", RECEIPTS_ALL, "asked for with every part" },
	{ "none", RECEIPTS_NONE, "`sent` is the last word" },
	{ NULL },
};
static const struct conf_word id_words[] = {
	{ "auto", MSGID_AUTO, "learned from the first pairs" },
	{ "same", MSGID_SAME, "byte for byte" },
	{ "fold", MSGID_FOLD, "letters differ in case" },
	{ "strip", MSGID_STRIP, "and zeros in front" },
	{ "hex-dec", MSGID_HEX_DEC, "responses in hex, receipts in decimal" },
	{ "dec-hex", MSGID_DEC_HEX, "responses in decimal, receipts in hex" },
	{ "wrap", MSGID_WRAP, "receipts in decimal, cut to 32 bits or signed" },
	{ "hex-wrap", MSGID_HEX_WRAP, "responses in hex, receipts as with wrap" },
	{ NULL },
};
static const struct conf_word stat_words[] = {
	{ "enroute", SMPP_STATE_ENROUTE },
	{ "accepted", SMPP_STATE_ACCEPTED },
	{ "delivered", SMPP_STATE_DELIVERED },
	{ "expired", SMPP_STATE_EXPIRED },
	{ "deleted", SMPP_STATE_DELETED },
	{ "undeliverable", SMPP_STATE_UNDELIVERABLE },
	{ "unknown", SMPP_STATE_UNKNOWN },
	{ "rejected", SMPP_STATE_REJECTED },
	{ NULL },
};
static const struct conf_word status_words[] = {
	{ "accepted", REASON_NONE, "taken all the same" },
	{ "throttled", REASON_THROTTLED, "slow the channel down" },
	{ "far_queue_full", REASON_FAR_QUEUE_FULL, "try this message again later" },
	{ "temporary", REASON_TEMPORARY, "try this message again later" },
	{ "refused", REASON_REFUSED, "never" },
	{ "far_destination", REASON_FAR_DESTINATION, "never, by no channel" },
	{ "far_settings", REASON_FAR_SETTINGS, "never, and alarm: our settings are at fault" },
	{ "not_bound", REASON_NOT_BOUND, "bind again" },
	{ NULL },
};

/* ---- settings: checks ---- */

/* Keys of a configuration file begin with a letter: x400 stands for 0x400. */
static bool key_number(const char *key, char text[24])
{
	if (key[0] != 'x' && key[0] != 'X')
		return false;
	snprintf(text, 24, "0x%.20s", key + 1);
	return true;
}

static bool status_key(const char *key, uint32_t *status_r)
{
	char text[24];

	return smpp_status_by_name(str_of(key_number(key, text) ? text : key), status_r);
}

static bool tag_key(const char *key, uint16_t *tag_r)
{
	char text[24];

	return smpp_tag_by_name(str_of(key_number(key, text) ? text : key), tag_r);
}

/* "text:1101234", or octets in hex. */
static int tlv_value(struct str s, struct buf *out, struct err *e)
{
	if (str_starts(s, STR("text:"))) {
		buf_str(out, str_skip(s, 5));
		return 0;
	}
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = str_hex_value(s.p[i]), lo = i + 1 < s.n ? str_hex_value(s.p[i + 1]) : -1;

		if (hi < 0 || lo < 0)
			return err_set(e, ERR_CONF,
				"\"%.*s\" is neither octets in hex nor \"text:…\"", STR_ARG(s));
		buf_u8(out, (uint8_t)(hi << 4 | lo));
	}
	return 0;
}

static int check_tlv_value(struct str s, struct err *e)
{
	struct buf b = BUF_INIT;
	int r = tlv_value(s, &b, e);

	if (r == 0 && b.n > 1024)
		r = err_set(e, ERR_CONF, "a TLV of more than 1024 octets");
	buf_free(&b);
	return r;
}

static int check_tlv(struct str s, struct err *e)
{
	uint16_t tag;

	if (str_is(s, "all") || str_is(s, "none") || str_is(s, "vendor") ||
		smpp_tag_by_name(s, &tag))
		return 0;
	return err_set(e, ERR_CONF,
		"\"%.*s\" is not a TLV: a name of SMPP's, \"0x1400\", \"vendor\", \"all\" or "
		"\"none\"",
		STR_ARG(s));
}

static void check_client(const void *v, const struct conf_where *at, struct conf_faults *f)
{
	const struct client_conf *c = v;
	uint32_t status;
	uint16_t tag;

	for (size_t i = 0; i < c->status_n; i++)
		if (!status_key(c->status[i].key, &status))
			conf_fault_at(f, at, "status",
				"\"%s\" is not a command_status (ESME_RSYSERR, or x400 for 0x400)",
				c->status[i].key);
	for (size_t i = 0; i < c->tlv_add_n; i++)
		if (!tag_key(c->tlv_add[i].key, &tag))
			conf_fault_at(f, at, "tlv_add",
				"\"%s\" is not a TLV (its name, or x1400 for 0x1400)",
				c->tlv_add[i].key);
	if (c->link.version < SMPP_V34) {
		if (c->text.split == TEXT_SPLIT_SAR || c->text.split == TEXT_SPLIT_PAYLOAD)
			conf_fault_at(f, at, "split", "needs TLVs, which SMPP 3.3 has not");
		if (c->tlv_add_n)
			conf_fault_at(f, at, "tlv_add", "SMPP 3.3 has no TLVs");
		if (c->link.bind == BIND_TRANSCEIVER)
			conf_fault_at(f, at, "bind", "SMPP 3.3 has no transceiver; use \"both\"");
	}
	if (c->reconnect_first > c->reconnect_most)
		conf_fault_at(f, at, "reconnect_first", "is longer than reconnect_most");
	if (c->refused_first > c->refused_most)
		conf_fault_at(f, at, "refused_first", "is longer than refused_most");
	if (c->link.tls.key_file && !c->link.tls.cert_file)
		conf_fault_at(f, at, "tls", "has key_file without cert_file");
	else if (c->link.tls.given)
		tls_check_client(&c->link.tls, at, f);
	if (!c->link.tls.verify && c->link.tls.given)
		conf_warn_at(f, at, "tls", "verify = false: anyone can be this SMSC");
	if (c->link.bind == BIND_TRANSMITTER && c->receipts == RECEIPTS_ALL)
		conf_warn_at(f, at, "bind",
			"a transmitter gets no receipts; another channel of its group must, or set "
			"receipts = \"none\"");
}

/* ---- settings: rows ---- */

static const struct conf_item tls_rows[] = { CONF_BOOL(struct tls_conf, verify, true,
						     "Check the SMSC's certificate and name."),
	CONF_FILE(struct tls_conf, ca_file, ca_hash,
		"Authorities to trust (PEM); not given: the system's."),
	CONF_FILE(struct tls_conf, cert_file, cert_hash,
		"Our certificate (PEM), if it asks for one."),
	CONF_FILE(struct tls_conf, key_file, key_hash, "Its private key."),
	CONF_STR(struct tls_conf, server_name, NULL, "Name to check and send; not given: host."),
	CONF_END };

#define LINK struct client_link_conf
const struct conf_item client_link_rows[] = {
	CONF_STR(LINK, host, NULL, "The SMSC: a name or an address.", .flags = CONF_REQUIRED,
		.min = 1, .max = 200, .example = "smsc.example.net"),
	CONF_INT(LINK, port, 1, 65535, 2775, "Its port."),
	CONF_STRS(LINK, backup, backup_n,
		"Further hosts (\"host\" or \"host:port\"), tried in turn when one does not "
		"answer.",
		.check = addr_far_check),
	CONF_STR(LINK, source, "", "Address of ours to connect from.", .check = addr_own_check),
	CONF_STR(LINK, system_id, "", "Our name there.", .max = PDU_BIND_NAME_MAX),
	CONF_SECRET(LINK, password, "Our password there (the standard: at most 8 characters).",
		.max = PDU_BIND_NAME_MAX),
	CONF_STR(LINK, system_type, "", "Kind of system; some SMSCs want one.", .max = 12),
	CONF_STR(LINK, address_range, "", "Addresses that we receive for.", .max = 40),
	CONF_INT(LINK, range_ton, 0, 255, 0, "Type of number of address_range."),
	CONF_INT(LINK, range_npi, 0, 255, 0, "Numbering plan of address_range."),
	CONF_ENUM(LINK, bind, bind_words, BIND_TRANSCEIVER, "How to bind."),
	CONF_ENUM(LINK, version, version_words, SMPP_V34, "SMPP version to speak.",
		.as = "interface_version"),
	CONF_GROUP_GIVEN(LINK, tls, tls.given, tls_rows, "TLS, when given."), CONF_END
};
#undef LINK

/* One pair of TON and NPI; the defaults differ. */
#define TON_ROWS(name, t, n)                                                              \
	static const struct conf_item name[] = { CONF_INT(struct ton_npi, ton, 0, 255, t, \
							 "Type of number."),              \
		CONF_INT(struct ton_npi, npi, 0, 255, n, "Numbering plan."), CONF_END }
TON_ROWS(alnum_rows, TON_ALPHANUMERIC, NPI_UNKNOWN);
TON_ROWS(short_rows, TON_NETWORK, NPI_UNKNOWN);
TON_ROWS(number_rows, TON_INTERNATIONAL, NPI_E164);
TON_ROWS(short_to_rows, TON_UNKNOWN, NPI_E164);
#undef TON_ROWS

static const struct conf_item coding_rows[] = { CONF_INT(struct client_coding, gsm, 0, 255, 0,
							"GSM 7-bit, the default alphabet."),
	CONF_INT(struct client_coding, ascii, 0, 255, 1, "ASCII."),
	CONF_INT(struct client_coding, latin1, 0, 255, 3, "Latin-1."),
	CONF_INT(struct client_coding, ucs2, 0, 255, 8, "UCS-2."),
	CONF_INT(struct client_coding, binary, 0, 255, 4, "Octets."), CONF_END };
static const struct conf_item priority_rows[] = { CONF_INT(struct client_priority, high, 0, 255, 0,
							  "Of messages of priority high."),
	CONF_INT(struct client_priority, normal, 0, 255, 0, "Of priority normal."),
	CONF_INT(struct client_priority, bulk, 0, 255, 0, "Of priority bulk."), CONF_END };

#define S struct client_conf
const struct conf_item client_rows[] = { CONF_WHERE(S, at), CONF_INLINE(S, link, client_link_rows),
	CONF_DURATION(S, enquire_link, "0s", "1h", "30s",
		"Silence after which enquire_link is sent; 0: never."),
	CONF_DURATION(S, enquire_timeout, "1s", "5m", "15s",
		"How long its answer may take; two that do not come end the connection."),
	CONF_DURATION(S, bind_timeout, "1s", "5m", "30s",
		"How long connecting, and then the answer to the bind, may take."),
	CONF_DURATION(S, response_timeout, "100ms", "1h", "60s",
		"How long the answer to a message may take; then its outcome is uncertain."),
	CONF_DURATION(S, reconnect_first, "10ms", "1h", "1s",
		"First wait before connecting again; it doubles."),
	CONF_DURATION(S, reconnect_most, "10ms", "1d", "1m", "Longest of these waits."),
	CONF_DURATION(S, refused_first, "10ms", "1h", "5s",
		"First wait after the SMSC refused the bind; it doubles."),
	CONF_DURATION(S, refused_most, "10ms", "1d", "5m", "Longest of these waits."),
	/* text */
	CONF_ENUM(S, text.form, form_words, TEXT_FORM_GSM, "What the SMSC means by data_coding 0.",
		.as = "dcs0"),
	CONF_FLAGS(S, text.allow, alphabet_words, 0,
		"Alphabets that texts may be sent in; not given: gsm and ucs2, and what comes in "
		"another passes untouched.",
		.as = "alphabets"),
	CONF_FLAGS(S, text.languages, language_words, 0,
		"Languages whose GSM shift tables may be used.", .as = "shift_tables"),
	CONF_BOOL(S, text.locking, false, "Their locking tables, too.", .as = "locking_shift"),
	CONF_FLAGS(S, text.translit, translit_words, 0,
		"Characters that may be replaced by cheaper ones.", .as = "transliterate"),
	CONF_BOOL(S, text.lossy, false, "Write '?' for what no alphabet has, instead of refusing.",
		.as = "lossy"),
	CONF_BOOL(S, text.fewest, false,
		"Choose the alphabet with the fewest parts, not the first that fits.",
		.as = "fewest_parts"),
	CONF_BOOL(S, text.little_endian, false, "UCS-2 with the low octet first.",
		.as = "ucs2_little_endian"),
	CONF_BOOL(
		S, ascii_gsm, false, "The SMSC means GSM 7-bit by data_coding 1 in what it sends."),
	CONF_ENUM(S, text.split, split_words, TEXT_SPLIT_UDH8, "How long texts are cut.",
		.as = "split"),
	CONF_BOOL(S, text.sar_wide, false, "With split = \"sar\": 16-bit references.",
		.as = "sar_wide"),
	CONF_INT(S, text.max_parts, 1, 255, 10, "More parts are refused.", .as = "max_parts",
		.unit = "parts"),
	CONF_SIZE(S, text.payload_limit, "254B", "64000B", "64000B",
		"Most octets of a message_payload.", .as = "payload_most"),
	CONF_GROUP(S, coding, coding_rows, "The data_coding to write for each alphabet.",
		.as = "data_coding"),
	CONF_ENUM(S, source_form, sender_words, TEXT_FORM_LATIN1,
		"Alphabet of senders that are names.", .as = "sender_alphabet"),
	/* fields */
	CONF_GROUP(S, numbering.source_alnum, alnum_rows, "Of senders that are names.",
		.as = "source_alnum"),
	CONF_GROUP(S, numbering.source_short, short_rows, "Of senders of up to 8 digits.",
		.as = "source_short"),
	CONF_GROUP(
		S, numbering.source_other, number_rows, "Of other senders.", .as = "source_other"),
	CONF_GROUP(S, numbering.destination, number_rows, "Of destinations.", .as = "destination"),
	CONF_GROUP(S, numbering.destination_short, short_to_rows,
		"Of destinations of up to 6 digits.", .as = "destination_short"),
	CONF_STR(S, source_addr, "", "Sender of messages that name none.", .max = 20),
	CONF_STR(S, service_type, "", "Of every message; \"\": what its submitter gave.", .max = 5),
	CONF_INT(S, esm_class, 0, 255, 0, "Bits to be added to every esm_class."),
	CONF_INT(S, protocol_id, -1, 255, -1, "Of every message; -1: what its submitter gave."),
	CONF_GROUP(S, priority, priority_rows, "The priority_flag for each priority."),
	CONF_ENUM(S, validity, validity_words, VALIDITY_RELATIVE,
		"How the end of validity is written."),
	CONF_ENUM(S, receipts, receipts_words, RECEIPTS_ALL, "Are receipts asked for?"),
	CONF_INT(S, registered, 0, 255, REG_FINAL, "registered_delivery when receipts are.",
		.as = "registered_delivery"),
	CONF_BOOL(S, intermediate, true,
		"Ask for intermediate notifications when the submitter does."),
	CONF_BOOL(S, more_messages, false, "Mark all parts but the last (more_messages_to_send)."),
	/* answers and receipts */
	CONF_ENUM(S, id_form, id_words, MSGID_AUTO,
		"How message ids in receipts differ from those in responses."),
	CONF_BOOL(S, receipt_sniff, false,
		"Take what reads like a receipt for one, whatever its esm_class."),
	CONF_MAP(S, stat, stat_n,
		"What other words of receipts mean: { FAILED = \"undeliverable\"; }.",
		.words = stat_words),
	CONF_MAP(S, status, status_n,
		"What a command_status means here: { ESME_RSUBMITFAIL = \"refused\"; x400 = "
		"\"temporary\"; }.",
		.words = status_words),
	CONF_STRS(S, tlv, tlv_n, "TLVs of submitters that pass.", .check = check_tlv,
		.defaults = (const char *const[]){ "all", NULL }),
	CONF_MAP(S, tlv_add, tlv_add_n,
		"TLVs added to every message: { x1400 = \"text:1101\"; x1401 = \"00ff\"; }.",
		.check = check_tlv_value),
	CONF_CHECK(S, check_client), CONF_END };
#undef S

/* ---- settings: made ready ---- */

void client_tables_make(struct client_tables *t, const struct client_conf *conf)
{
	*t = (struct client_tables){ 0 };
	t->tlv = mem_alloc((conf->tlv_n + 1) * sizeof *t->tlv);
	for (size_t i = 0; i < conf->tlv_n; i++) {
		struct str s = str_of(conf->tlv[i]);

		t->tlv_all |= str_is(s, "all");
		t->tlv_vendor |= str_is(s, "vendor");
		if (smpp_tag_by_name(s, &t->tlv[t->tlv_n]))
			t->tlv_n++;
	}
	for (size_t i = 0; i < conf->tlv_add_n; i++) {
		struct buf value = BUF_INIT;
		uint16_t tag;

		if (tag_key(conf->tlv_add[i].key, &tag) &&
			tlv_value(str_of(conf->tlv_add[i].value), &value, NULL) == 0)
			pdu_put_tlv(&t->extra, tag, buf_view(&value));
		buf_free(&value);
	}
	t->status = mem_alloc((conf->status_n + 1) * sizeof *t->status);
	for (size_t i = 0; i < conf->status_n; i++) {
		struct client_status *st = &t->status[t->status_n];
		int reason;

		if (status_key(conf->status[i].key, &st->status) &&
			conf_word_value(status_words, str_of(conf->status[i].value), &reason)) {
			st->reason = (enum reason)reason;
			t->status_n++;
		}
	}
	t->words = mem_alloc((conf->stat_n + 1) * sizeof *t->words);
	t->word_text = mem_alloc((conf->stat_n + 1) * sizeof *t->word_text);
	for (size_t i = 0; i < conf->stat_n; i++) {
		int state;

		if (!conf_word_value(stat_words, str_of(conf->stat[i].value), &state))
			continue;
		t->word_text[t->words_n] = mem_dup(str_of(conf->stat[i].key));
		t->words[t->words_n].word = str_of(t->word_text[t->words_n]);
		t->words[t->words_n++].state = (enum smpp_state)state;
	}
}

void client_tables_free(struct client_tables *t)
{
	for (size_t i = 0; i < t->words_n; i++)
		mem_free(&t->word_text[i]);
	mem_free(&t->word_text);
	mem_free(&t->words);
	mem_free(&t->status);
	mem_free(&t->tlv);
	buf_free(&t->extra);
}
