/* The options of posternsim smsc: one row each, which is also its line in --help. */
#include "tests/sim/smsc.h"

#include <stdlib.h>

static int conf_listen(void *conf, struct str v, struct err *e)
{
	return sim_addr_parse(&((struct smsc_conf *)conf)->listen, v, e);
}

static int conf_account(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct str id;
	if (c->logins == SMSC_ACCOUNTS)
		return err_set(e, ERR_CONF, "more than %d accounts", SMSC_ACCOUNTS);
	if (!str_cut(&v, ':', &id) || !id.n)
		return err_set(e, ERR_CONF, "wants SYSTEM_ID:PASSWORD");
	c->login[c->logins].system_id = id;
	c->login[c->logins++].password = v;
	return 0;
}

static int read_status(struct str v, uint32_t *status_r, struct err *e)
{
	uint64_t n;
	if (sim_opt_number(v, &n) < 0 || n == 0 || n > UINT32_MAX)
		return err_set(e, ERR_CONF, "\"%.*s\" is no status, such as 0x58", STR_ARG(v));
	*status_r = (uint32_t)n;
	return 0;
}

static int conf_error(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct smsc_rule r = { 0 };
	struct str status;
	if (str_is(v, "none")) {
		c->errors = 0;
		return 0;
	}
	if (c->errors == SMSC_RULES)
		return err_set(e, ERR_CONF, "more than %d", SMSC_RULES);
	if (!str_cut(&v, ':', &status) || sim_opt_share(v, &r.p) < 0)
		return err_set(e, ERR_CONF, "wants STATUS:SHARE, such as 0x08:0.01");
	if (read_status(status, &r.value, e) < 0)
		return -1;
	c->error[c->errors++] = r;
	return 0;
}

/* PATTERN:WORD[:TIMES] */
static int read_rule(struct str v, struct smsc_rule *r, struct str *word_r, struct err *e)
{
	if (!str_cut(&v, ':', &r->pattern) || !str_cut(&v, ':', word_r))
		return err_set(e, ERR_CONF, "wants PATTERN:WHAT or PATTERN:WHAT:TIMES");
	if (v.n && (!str_u64(v, &r->times) || r->times == 0))
		return err_set(e, ERR_CONF, "\"%.*s\" is no number of times", STR_ARG(v));
	return 0;
}

static int conf_error_to(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct smsc_rule r = { 0 };
	struct str word;
	if (str_is(v, "none")) {
		c->errors_to = 0;
		return 0;
	}
	if (c->errors_to == SMSC_RULES)
		return err_set(e, ERR_CONF, "more than %d", SMSC_RULES);
	if (read_rule(v, &r, &word, e) < 0 || read_status(word, &r.value, e) < 0)
		return -1;
	c->error_to[c->errors_to++] = r;
	return 0;
}

static int read_state(struct str word, uint32_t *state_r, struct err *e)
{
	for (unsigned i = 1; i < STATE_COUNT; i++)
		if (str_ieq(word, str_of(smsc_state_word[i]))) {
			*state_r = i;
			return 0;
		}
	return err_set(e, ERR_CONF,
		"\"%.*s\" is none of delivrd expired deleted undeliv acceptd unknown rejectd "
		"enroute "
		"none",
		STR_ARG(word));
}

static int conf_receipt_to(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct smsc_rule r = { 0 };
	struct str word;
	if (c->receipts_to == SMSC_RULES)
		return err_set(e, ERR_CONF, "more than %d", SMSC_RULES);
	if (read_rule(v, &r, &word, e) < 0 || read_state(word, &r.value, e) < 0)
		return -1;
	c->receipt_to[c->receipts_to++] = r;
	return 0;
}

static int conf_receipts(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	double share[STATE_COUNT] = { 0 }, sum = 0;
	for (struct str one, word; str_cut(&v, ',', &one);) {
		uint32_t state;
		double p = 1;
		str_cut(&one, '=', &word);
		if (read_state(word, &state, e) < 0)
			return -1;
		if (one.n && sim_opt_share(one, &p) < 0)
			return err_set(e, ERR_CONF, "\"%.*s\" is no share", STR_ARG(one));
		share[state] += p;
		sum += p;
	}
	if (sum > 1.0001)
		return err_set(e, ERR_CONF, "the shares add up to more than 1");
	memcpy(c->share, share, sizeof(share));
	c->receipts_set = true;
	return 0;
}

static int conf_ids(void *conf, struct str v, struct err *e)
{
	static const struct {
		const char *name;
		enum smsc_form resp, receipt;
	} known[] = { { "hex-dec", FORM_HEX, FORM_DEC }, { "dec-hex", FORM_DEC, FORM_HEX },
		{ "upper", FORM_HEX, FORM_UPPER }, { "lower", FORM_UPPER, FORM_HEX },
		{ "padded", FORM_DEC, FORM_DEC0 }, { "unpadded", FORM_DEC0, FORM_DEC },
		{ "hex-padded", FORM_HEX, FORM_HEX0 }, { "hex-unpadded", FORM_HEX0, FORM_UPPER },
		{ "space", FORM_DEC, FORM_SPACE } };
	struct smsc_conf *c = conf;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_is(v, known[i].name)) {
			c->form_resp = known[i].resp;
			c->form_receipt = known[i].receipt;
			return 0;
		}
	struct str resp;
	str_cut(&v, '/', &resp);
	if (smsc_form_named(resp, &c->form_resp) < 0 ||
		smsc_form_named(v.n ? v : resp, &c->form_receipt) < 0)
		return err_set(e, ERR_CONF,
			"wants dec hex hex-dec dec-hex upper lower padded unpadded hex-padded "
			"hex-unpadded space uuid long, or RESPONSE/RECEIPT of dec hex upper dec0 "
			"hex0 "
			"uuid long space");
	return 0;
}

static int conf_style(void *conf, struct str v, struct err *e)
{
	static const char *const names[] = { [STYLE_STD] = "std",
		[STYLE_TEXT] = "text",
		[STYLE_SHORT] = "short",
		[STYLE_WORDS] = "words",
		[STYLE_TLV] = "tlv-only",
		[STYLE_UTF16] = "utf16",
		[STYLE_DCS8] = "dcs8",
		[STYLE_PAYLOAD] = "payload",
		[STYLE_PLAIN] = "plain" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_is(v, names[i])) {
			((struct smsc_conf *)conf)->style = (enum smsc_style)i;
			return 0;
		}
	return err_set(
		e, ERR_CONF, "wants std text short words tlv-only utf16 dcs8 payload or plain");
}

static int conf_refuse(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct str status;
	str_cut(&v, ':', &status);
	if (str_is(status, "none")) {
		c->refuse_bind = 0;
		return 0;
	}
	if (read_status(status, &c->refuse_bind, e) < 0)
		return -1;
	c->refuse_first = UINT64_MAX;
	if (v.n && !str_u64(v, &c->refuse_first))
		return err_set(e, ERR_CONF, "wants STATUS or STATUS:TIMES");
	return 0;
}

/* from=…,to=…,text=…,count=N,rate=N/s,parts=N,ucs2,account=SYSTEM_ID; text comes last if it holds
 * a comma. */
int smsc_mo_parse(void *conf, struct str v, struct err *e)
{
	struct smsc_conf *c = conf;
	struct smsc_mo o = { .from = STR("46700000001"),
		.to = STR("12345"),
		.text = STR("MO message {n}"),
		.count = 1 };
	if (c->mos == SMSC_RULES)
		return err_set(e, ERR_CONF, "more than %d", SMSC_RULES);
	for (struct str one, key; v.n;) {
		struct str rest = v;
		str_cut(&v, ',', &one);
		str_cut(&one, '=', &key);
		if (str_is(key, "from"))
			o.from = one;
		else if (str_is(key, "to"))
			o.to = one;
		else if (str_is(key, "account"))
			o.account = one;
		else if (str_is(key, "ucs2"))
			o.ucs2 = true;
		else if (str_is(key, "text")) {
			o.text = v.n == 0 || str_find(v, STR("=")) < 0 ? str_skip(rest, 5) : one;
			if (o.text.p != one.p || o.text.n != one.n)
				v = STR_NONE;
		} else if (str_is(key, "count")   ? !str_u64(one, &o.count)
			   : str_is(key, "parts") ? !str_u64(one, &o.parts) || o.parts > 255
						  : !str_is(key, "rate"))
			return err_set(e, ERR_CONF,
				"\"%.*s\": wants from= to= text= count= rate= "
				"parts= account= ucs2",
				STR_ARG(key));
		if (str_is(key, "rate")) {
			char tmp[32];
			str_copy(tmp, sizeof(tmp), one);
			o.rate = strtod(tmp, NULL);
		}
	}
	o.from = str_n(mem_dup(o.from), o.from.n); /* the control socket's line is gone soon */
	o.to = str_n(mem_dup(o.to), o.to.n);
	o.text = str_n(mem_dup(o.text), o.text.n);
	o.account = str_n(mem_dup(o.account), o.account.n);
	c->mo[c->mos++] = o;
	return 0;
}

#define AT(field) offsetof(struct smsc_conf, field)
const struct sim_opt smsc_opts[] = {
	{ OPT_GROUP, "Listening" },
	{ OPT_CALL, "listen", "ADDR:PORT", "where to listen (127.0.0.1:2776); port 0: any free one",
		.call = conf_listen },
	{ OPT_STR, "port-file", "FILE", "write the port into FILE once listening", AT(port_file) },
	{ OPT_STR, "codec", "fast|lib", "our quick codec, or libsmpp34 (lib)", AT(codec) },
	{ OPT_STR, "tls-cert", "FILE", "certificate chain (PEM): the port speaks TLS",
		AT(tls_cert) },
	{ OPT_STR, "tls-key", "FILE", "its key; default: in the same file", AT(tls_key) },
	{ OPT_FLAG, "quickack", NULL, "acknowledge TCP at once, for peers with Nagle on",
		AT(quickack) },
	{ OPT_GROUP, "Binds" },
	{ OPT_CALL, "account", "ID:PASSWORD", "accept this login (repeatable; none: any login)",
		.call = conf_account },
	{ OPT_STR, "system-id", "ID", "our own name in bind_resp", AT(system_id) },
	{ OPT_U64, "max-binds", "N", "binds per account; more get 0x0D", AT(max_binds),
		.live = true },
	{ OPT_CALL, "refuse-bind", "STATUS[:N]", "refuse binds (the first N of them)",
		.call = conf_refuse, .live = true },
	{ OPT_FLAG, "no-version", NULL, "leave sc_interface_version out of bind_resp",
		AT(no_sc_version) },
	{ OPT_DUR, "enquire", "TIME", "probe a bind after that much silence", AT(enquire) },
	{ OPT_FLAG, "enquire-mute", NULL, "do not answer enquire_link", AT(enquire_mute),
		.live = true },
	{ OPT_DUR, "inactivity", "TIME", "drop a peer that is silent that long", AT(inactivity) },
	{ OPT_DUR, "response-timeout", "TIME", "drop a peer that does not answer (60s)",
		AT(response_timeout) },
	{ OPT_GROUP, "Answers to submit_sm" },
	{ OPT_SPAN, "latency", "RANGE", "time until the response", AT(latency), .live = true },
	{ OPT_F64, "throttle", "N/s", "answer 0x58 above that rate", AT(throttle), .live = true },
	{ OPT_CALL, "error", "STATUS:SHARE", "answer a share with that status (repeatable)",
		.call = conf_error, .live = true },
	{ OPT_CALL, "error-to", "PATTERN:STATUS[:N]", "answer destinations so (the first N times)",
		.call = conf_error_to, .live = true },
	{ OPT_FLAG, "error-body", NULL, "give refusals a body (an empty id)", AT(error_body) },
	{ OPT_SHARE, "mute", "SHARE", "neither take nor answer a share", AT(mute), .live = true },
	{ OPT_SHARE, "mute-taken", "SHARE", "take a share and never answer it", AT(mute_taken),
		.live = true },
	{ OPT_U64, "drop-after", "N", "drop each connection at its submit N+1", AT(drop_after),
		.live = true },
	{ OPT_DUR, "drop-every", "TIME", "drop all connections that often", AT(drop_every),
		.live = true },
	{ OPT_GROUP, "Receipts" },
	{ OPT_CALL, "receipts", "STATE[=SHARE],..",
		"delivrd=0.8,undeliv=0.1,none=0.1 (all delivrd)", .call = conf_receipts,
		.live = true },
	{ OPT_CALL, "receipt", "STATE", "the same, for one state", .call = conf_receipts,
		.live = true },
	{ OPT_CALL, "receipt-to", "PATTERN:STATE[:N]", "the state for a destination",
		.call = conf_receipt_to, .live = true },
	{ OPT_SPAN, "receipt-delay", "RANGE", "from the response to the receipt", AT(receipt_delay),
		.live = true },
	{ OPT_FLAG, "receipt-first", NULL, "the receipt overtakes the response", AT(receipt_first),
		.live = true },
	{ OPT_SHARE, "receipt-twice", "SHARE", "send a share of the receipts twice", AT(twice),
		.live = true },
	{ OPT_FLAG, "receipt-always", NULL, "also when none was asked for", AT(receipt_always),
		.live = true },
	{ OPT_FLAG, "intermediate", NULL, "an ENROUTE notification before each", AT(intermediate),
		.live = true },
	{ OPT_CALL, "ids", "STYLE", "form of the message ids (dec); see the manual",
		.call = conf_ids },
	{ OPT_U64, "id-start", "N", "the first message's number (a large one)", AT(id_start) },
	{ OPT_CALL, "receipt-style", "STYLE",
		"std text short words tlv-only utf16 dcs8 payload plain", .call = conf_style },
	{ OPT_U64, "deliver-window", "N", "unanswered deliver_sm per bind (1000)",
		AT(deliver_window) },
	{ OPT_GROUP, "Subscribers" },
	{ OPT_CALL, "mo", "from=..,to=..,..", "send text=.. count=N at rate=N/s, in parts=N, ucs2",
		.call = smsc_mo_parse },
	{ OPT_GROUP, "Watching" },
	{ OPT_STR, "record", "FILE", "a line per submit_sm", AT(record) },
	{ OPT_FLAG, "stats-json", NULL, "print the counts on stdout at the end", AT(stats_json) },
	{ OPT_STR, "stats-file", "FILE", "write them to FILE at the end", AT(stats_file) },
	{ OPT_STR, "control", "SOCKET", "take commands (posternsim control SOCKET ..)",
		AT(control) },
	{ OPT_FLAG, "quiet", NULL, "no lines about binds", AT(quiet) },
	{ OPT_GROUP, "Ending" },
	{ OPT_DUR, "run-for", "TIME", "end after that", AT(run_for) },
	{ OPT_U64, "stop-after", "N", "end after N accepted and their receipts", AT(stop_after) },
	{ OPT_U64, "seed", "N", "of the chances above (1)", AT(seed) },
	{ .name = NULL },
};

void smsc_conf_init(struct smsc_conf *c)
{
	*c = (struct smsc_conf){ .codec = STR("lib"),
		.system_id = STR("posternsim"),
		.deliver_window = 1000,
		.response_timeout = 60 * SIM_S,
		.seed = 1,
		.listen = { "127.0.0.1", "2776" } };
}
