/* The options of posternsim esme. */
#include "tests/sim/esme.h"

#include <ctype.h>

static int conf_connect(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct esme_conf *)conf)->connect, v, e);
}

static int conf_bind(void *conf, struct str v, struct err *e)
{
	struct esme_conf *c = conf;
	c->pairs = str_is(v, "tx+rx");
	c->bind = str_is(v, "trx")              ? P_BIND_TRX
		  : str_is(v, "rx")             ? P_BIND_RX
		  : str_is(v, "tx") || c->pairs ? P_BIND_TX
						: 0;
	return c->bind ? 0 : err_set(e, ERR_CONF, "wants trx, tx, rx or tx+rx");
}

static const char *const kind_name[KIND_COUNT] = { [KIND_TEXT] = "text",
	[KIND_LONG] = "long",
	[KIND_UCS2] = "ucs2",
	[KIND_UDH] = "udh",
	[KIND_SAR] = "sar",
	[KIND_PAYLOAD] = "payload",
	[KIND_DATA] = "data",
	[KIND_BINARY] = "binary",
	[KIND_FLASH] = "flash",
	[KIND_MULTI] = "multi" };

static int conf_mix(void *conf, struct str v, struct err *e)
{
	struct esme_conf *c = conf;
	double sum = 0;
	for (struct str one, name; str_cut(&v, ',', &one);) {
		double p = 1;
		unsigned i = 0;
		str_cut(&one, '=', &name);
		while (i < KIND_COUNT && !str_is(name, kind_name[i]))
			i++;
		if (i == KIND_COUNT)
			return err_set(e, ERR_CONF,
				"\"%.*s\" is none of text long ucs2 udh sar payload data binary "
				"flash "
				"multi",
				STR_ARG(name));
		if (one.n && sim_opt_share(one, &p) < 0)
			return err_set(e, ERR_CONF, "\"%.*s\" is no share", STR_ARG(one));
		c->mix[i] += p;
		sum += p;
	}
	c->mix_set = true;
	return sum > 1.0001 ? err_set(e, ERR_CONF, "the shares add up to more than 1") : 0;
}

/* TAG=HEX */
static int conf_tlv(void *conf, struct str v, struct err *e)
{
	struct esme_conf *c = conf;
	struct str tag;
	struct buf b = BUF_INIT;
	uint64_t n;
	if (c->tlvs == sizeof(c->tlv) / sizeof(c->tlv[0]))
		return err_set(e, ERR_CONF, "too many");
	if (!str_cut(&v, '=', &tag) || sim_opt_number(tag, &n) < 0 || n > 0xffff || v.n % 2)
		return err_set(e, ERR_CONF, "wants TAG=HEX, such as 0x1400=0a0b");
	for (size_t i = 0; i < v.n; i += 2) {
		char hex[] = { '0', 'x', v.p[i], v.p[i + 1] };
		uint64_t octet;
		if (sim_opt_number(str_n(hex, 4), &octet) < 0) {
			buf_free(&b);
			return err_set(e, ERR_CONF, "\"%.*s\" is not hexadecimal", STR_ARG(v));
		}
		buf_u8(&b, (uint8_t)octet);
	}
	c->tlv[c->tlvs].tag = (uint16_t)n;
	c->tlv[c->tlvs++].v = buf_view(&b); /* lives as long as the process */
	return 0;
}

static int conf_count(void *conf, struct str v, struct err *e)
{
	struct esme_conf *c = conf;
	if (str_is(v, "all") || str_is(v, "endless")) {
		c->count = UINT64_MAX;
		return 0;
	}
	return str_u64(v, &c->count) ? 0 : err_set(e, ERR_CONF, "wants a number, or endless");
}

#define AT(field) offsetof(struct esme_conf, field)
const struct sim_opt esme_opts[] = {
	{ OPT_GROUP, "Connecting" },
	{ OPT_CALL, "connect", "HOST:PORT", "the SMPP server (127.0.0.1:2775)",
		.call = conf_connect },
	{ OPT_STR, "system-id", "ID", "login (shop)", AT(system_id) },
	{ OPT_STR, "password", "WORD", "its password (secret)", AT(password) },
	{ OPT_STR, "system-type", "TYPE", "for bind", AT(system_type) },
	{ OPT_U64, "interface-version", "N", "0x33, 0x34 (default) or 0x50", AT(version) },
	{ OPT_CALL, "bind", "KIND", "trx (default), tx, rx, or tx+rx", .call = conf_bind },
	{ OPT_U64, "binds", "N", "how many (1); tx+rx: so many pairs", AT(binds) },
	{ OPT_STR, "codec", "fast|lib", "our quick codec, or libsmpp34 (lib)", AT(codec) },
	{ OPT_FLAG, "tls", NULL, "connect with TLS", AT(tls) },
	{ OPT_STR, "ca-file", "FILE", "trust this CA and check the certificate", AT(ca) },
	{ OPT_STR, "tls-cert", "FILE", "our certificate", AT(cert) },
	{ OPT_STR, "tls-key", "FILE", "its key", AT(key) },
	{ OPT_FLAG, "reconnect", NULL, "come back when a connection is lost or refused",
		AT(reconnect) },
	{ OPT_DUR, "reconnect-delay", "TIME", "after so long (100ms)", AT(reconnect_delay) },
	{ OPT_DUR, "enquire", "TIME", "probe after that much silence (30s)", AT(enquire) },
	{ OPT_FLAG, "enquire-mute", NULL, "do not answer enquire_link", AT(no_enquire_answer) },
	{ OPT_DUR, "response-timeout", "TIME", "give a connection up that does not answer (60s)",
		AT(response_timeout) },
	{ OPT_GROUP, "Load" },
	{ OPT_CALL, "count", "N|endless", "messages to submit (1); 0: only receive",
		.call = conf_count },
	{ OPT_U64, "first", "N", "number of the first (1)", AT(first) },
	{ OPT_DUR, "run-for", "TIME", "stop submitting after that", AT(run_for) },
	{ OPT_F64, "rate", "N/s", "submit at that rate (open loop); without: as fast as it goes",
		AT(rate) },
	{ OPT_U64, "window", "N", "unanswered submits per bind (10)", AT(window) },
	{ OPT_FLAG, "retry", NULL, "submit again what got 0x08, 0x14 or 0x58", AT(retry) },
	{ OPT_DUR, "retry-delay", "TIME", "after so long (200ms)", AT(retry_delay) },
	{ OPT_FLAG, "resend", NULL, "submit again what was unanswered when a connection broke",
		AT(resend) },
	{ OPT_GROUP, "Messages (patterns know {n} {n:7} {r:7} {time})" },
	{ OPT_STR, "from", "PATTERN", "sender (Shop)", AT(from) },
	{ OPT_STR, "to", "PATTERN", "destination (4670{n:7})", AT(to) },
	{ OPT_STR, "text", "PATTERN", "text (Message {n} of posternsim)", AT(text) },
	{ OPT_CALL, "mix", "KIND=SHARE,..",
		"text long ucs2 udh sar payload data binary flash multi", .call = conf_mix },
	{ OPT_U64, "registered", "N", "registered_delivery (1)", AT(registered) },
	{ OPT_U64, "coding", "N", "data_coding of plain ones (0)", AT(coding) },
	{ OPT_U64, "esm-class", "N", "esm_class (0)", AT(esm_class) },
	{ OPT_U64, "priority", "N", "priority_flag (0)", AT(priority) },
	{ OPT_STR, "service-type", "TYPE", "service_type", AT(service_type) },
	{ OPT_STR, "validity", "TIME", "validity_period, such as 000000010000000R", AT(validity) },
	{ OPT_STR, "schedule", "TIME", "schedule_delivery_time", AT(schedule) },
	{ OPT_CALL, "tlv", "TAG=HEX", "a TLV on every message (repeatable)", .call = conf_tlv },
	{ OPT_U64, "seed", "N", "of the chances (1)", AT(seed) },
	{ OPT_GROUP, "Receiving" },
	{ OPT_SPAN, "deliver-delay", "RANGE", "time until deliver_sm is answered",
		AT(deliver_delay) },
	{ OPT_U64, "deliver-status", "STATUS", "answer every deliver_sm with it",
		AT(deliver_status) },
	{ OPT_SHARE, "deliver-again", "SHARE", "answer a share with 0x64 (try again)",
		AT(deliver_again) },
	{ OPT_SHARE, "deliver-mute", "SHARE", "leave a share unanswered", AT(deliver_mute) },
	{ OPT_GROUP, "Ending and judging" },
	{ OPT_DUR, "drain", "TIME", "wait so long for a next receipt (10s)", AT(drain) },
	{ OPT_DUR, "linger", "TIME", "stay bound that long after the last (0)", AT(linger) },
	{ OPT_FLAG, "expect-receipts", NULL, "exit 1 unless each accepted id got exactly one final",
		AT(expect_receipts) },
	{ OPT_FLAG, "expect-accepted", NULL, "exit 1 unless every message was accepted",
		AT(expect_accepted) },
	{ OPT_STR, "record", "FILE", "a line per accepted message", AT(record) },
	{ OPT_STR, "record-receipts", "FILE", "a line per receipt", AT(record_receipts) },
	{ OPT_STR, "record-mo", "FILE", "a line per subscriber's message", AT(record_mo) },
	{ OPT_FLAG, "progress", NULL, "a line a second on stderr", AT(progress) },
	{ .name = NULL },
};

void esme_conf_init(struct esme_conf *c)
{
	*c = (struct esme_conf){ .connect = { "127.0.0.1", "2775" },
		.codec = STR("lib"),
		.system_id = STR("shop"),
		.password = STR("secret"),
		.from = STR("Shop"),
		.to = STR("4670{n:7}"),
		.text = STR("Message {n} of posternsim"),
		.bind = P_BIND_TRX,
		.binds = 1,
		.window = 10,
		.count = 1,
		.first = 1,
		.registered = 1,
		.seed = 1,
		.version = 0x34,
		.drain = 10 * SIM_S,
		.enquire = 30 * SIM_S,
		.response_timeout = 60 * SIM_S,
		.retry_delay = 200 * SIM_MS,
		.reconnect_delay = 100 * SIM_MS };
}
