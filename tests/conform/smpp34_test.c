/* Our codec held against libsmpp34, an implementation that we did not write, in a process of its
 * own (smpp34_peer.c says why): thousands of PDUs of every kind from a fixed seed, written by ours
 * and read by theirs field by field, packed again by theirs and read again by ours; then the same
 * PDUs with octets changed, where both must agree on whatever both accept; then the valid PDUs that
 * it refuses, listed in smpp34_refuses.tsv. It is a cross-check of fields and offsets, not a judge
 * of what is valid.
 */
#include "protocols/smpp/pdu.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 400, CHANGED_EACH = 600, TLVS_MAX = 6, DESTS_MAX = 8, SHORT_MAX = 253 };

/* ---- the other party ---- */

static struct {
	pid_t pid;
	FILE *to, *from;
	char path[4096];
} peer;

static int peer_start(void **state)
{
	int to[2], from[2];

	signal(SIGPIPE, SIG_IGN);
	if (pipe(to) || pipe(from))
		return -1;
	peer.pid = fork();
	if (peer.pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(peer.path, peer.path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer.to = fdopen(to[1], "w");
	peer.from = fdopen(from[0], "r");
	return peer.pid > 0 && peer.to && peer.from ? 0 : -1;
}

static int peer_stop(void **state)
{
	int status;

	fclose(peer.to);
	fclose(peer.from);
	waitpid(peer.pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Its answer to one PDU, without the closing dot. False: refused. */
static bool peer_ask(struct str pdu, struct buf *answer)
{
	char head[4], *line = NULL;
	size_t cap = 0;
	bool open = true;

	put_be32(head, (uint32_t)pdu.n);
	fwrite(head, 1, sizeof head, peer.to);
	fwrite(pdu.p, 1, pdu.n, peer.to);
	fflush(peer.to);
	buf_reset(answer);
	while ((open = getline(&line, &cap, peer.from) > 0) && strcmp(line, ".\n") != 0)
		buf_c(answer, line);
	free(line);
	if (!open)
		fail_msg("%s has ended; is it built?", peer.path);
	return !str_is(buf_view(answer), "refused\n");
}

/* ---- what it should answer ---- */

static void line_octets(struct buf *b, const char *name, struct str s)
{
	buf_printf(b, "%s ", name);
	for (size_t i = 0; i < s.n; i++)
		buf_printf(b, "%02x", (uint8_t)s.p[i]);
	buf_char(b, '\n');
}

static void line_number(struct buf *b, const char *name, uint32_t v, int octets)
{
	buf_printf(b, "%s %0*x\n", name, octets * 2, v);
}

static void line_addr(struct buf *b, const char *prefix, const char *name, const struct pdu_addr *a)
{
	char full[40];

	snprintf(full, sizeof full, "%s_ton", prefix);
	line_number(b, full, a->ton, 1);
	snprintf(full, sizeof full, "%s_npi", prefix);
	line_number(b, full, a->npi, 1);
	line_octets(b, name, a->addr);
}

static void lines_tlvs(struct buf *b, const struct pdu *p)
{
	struct str rest = p->tlvs;
	struct tlv t;

	while (tlv_next(&rest, &t)) {
		line_number(b, "tag", t.tag, 2);
		line_number(b, "length", (uint32_t)t.value.n, 2);
		line_octets(b, "value", t.value);
	}
}

static void lines_text(struct buf *b, const struct pdu_sm *sm)
{
	line_number(b, "sm_default_msg_id", sm->default_msg_id, 1);
	line_number(b, "sm_length", (uint32_t)sm->short_message.n, 1);
	line_octets(b, "short_message", sm->short_message);
}

static void lines_times(struct buf *b, const struct pdu_sm *sm)
{
	line_octets(b, "schedule_delivery_time", sm->schedule);
	line_octets(b, "validity_period", sm->validity);
	line_number(b, "registered_delivery", sm->registered, 1);
}

static void lines_rest(struct buf *b, const struct pdu *p)
{
	line_number(b, "esm_class", p->sm.esm_class, 1);
	line_number(b, "protocol_id", p->sm.protocol_id, 1);
	line_number(b, "priority_flag", p->sm.priority, 1);
	lines_times(b, &p->sm);
	line_number(b, "replace_if_present_flag", p->sm.replace, 1);
	line_number(b, "data_coding", p->sm.data_coding, 1);
	lines_text(b, &p->sm);
	lines_tlvs(b, p);
}

static void lines_dests(struct buf *b, const struct pdu_sm *sm)
{
	struct str rest = sm->dests;
	struct pdu_addr a;
	bool list;

	line_number(b, "number_of_dests", sm->dest_count, 1);
	while (pdu_dest_next(&rest, &a, &list)) {
		line_number(b, "dest_flag", list ? 2 : 1, 1);
		if (list)
			line_octets(b, "dl_name", a.addr);
		else
			line_addr(b, "dest_addr", "destination_addr", &a);
	}
}

static void lines_unsuccess(struct buf *b, const struct pdu_resp *r)
{
	struct str rest = r->unsuccess;
	struct pdu_addr a;
	uint32_t status;

	line_number(b, "no_unsuccess", r->unsuccess_count, 1);
	while (pdu_unsuccess_next(&rest, &a, &status)) {
		line_addr(b, "dest_addr", "destination_addr", &a);
		line_number(b, "error_status_code", status, 4);
	}
}

static void lines_bind(struct buf *b, const struct pdu_bind *bind)
{
	line_octets(b, "system_id", bind->system_id);
	line_octets(b, "password", bind->password);
	line_octets(b, "system_type", bind->system_type);
	line_number(b, "interface_version", bind->interface_version, 1);
	line_number(b, "addr_ton", bind->addr_ton, 1);
	line_number(b, "addr_npi", bind->addr_npi, 1);
	line_octets(b, "address_range", bind->address_range);
}

/* The responses. */
static void lines_resp(struct buf *b, const struct pdu *p)
{
	switch (p->command) {
	case SMPP_SUBMIT_SM | SMPP_RESP:
		/* O_C_OCTET: there may be none with an error. */
		line_octets(b, "message_id", p->resp.message_id);
		break;
	case SMPP_DELIVER_SM | SMPP_RESP:
		line_octets(b, "message_id", p->resp.message_id);
		break;
	case SMPP_DATA_SM | SMPP_RESP:
		line_octets(b, "message_id", p->resp.message_id);
		lines_tlvs(b, p);
		break;
	case SMPP_SUBMIT_MULTI | SMPP_RESP:
		line_octets(b, "message_id", p->resp.message_id);
		lines_unsuccess(b, &p->resp);
		break;
	case SMPP_QUERY_SM | SMPP_RESP:
		line_octets(b, "message_id", p->resp.message_id);
		line_octets(b, "final_date", p->resp.final_date);
		line_number(b, "message_state", p->resp.message_state, 1);
		line_number(b, "error_code", p->resp.error_code, 1);
		break;
	case SMPP_BIND_RECEIVER | SMPP_RESP:
	case SMPP_BIND_TRANSMITTER | SMPP_RESP:
	case SMPP_BIND_TRANSCEIVER | SMPP_RESP:
		line_octets(b, "system_id", p->resp.system_id);
		lines_tlvs(b, p);
		break;
	default:
		break;
	}
}

static void lines_request(struct buf *b, const struct pdu *p)
{
	const struct pdu_sm *sm = &p->sm;

	switch (p->command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
		line_octets(b, "service_type", sm->service_type);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		line_addr(b, "dest_addr", "destination_addr", &sm->dest);
		lines_rest(b, p);
		break;
	case SMPP_SUBMIT_MULTI:
		line_octets(b, "service_type", sm->service_type);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		lines_dests(b, sm);
		lines_rest(b, p);
		break;
	case SMPP_DATA_SM:
		line_octets(b, "service_type", sm->service_type);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		line_addr(b, "dest_addr", "destination_addr", &sm->dest);
		line_number(b, "esm_class", sm->esm_class, 1);
		line_number(b, "registered_delivery", sm->registered, 1);
		line_number(b, "data_coding", sm->data_coding, 1);
		lines_tlvs(b, p);
		break;
	case SMPP_QUERY_SM:
		line_octets(b, "message_id", sm->message_id);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		break;
	case SMPP_CANCEL_SM:
		line_octets(b, "service_type", sm->service_type);
		line_octets(b, "message_id", sm->message_id);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		line_addr(b, "dest_addr", "destination_addr", &sm->dest);
		break;
	case SMPP_REPLACE_SM:
		line_octets(b, "message_id", sm->message_id);
		line_addr(b, "source_addr", "source_addr", &sm->source);
		lines_times(b, sm);
		lines_text(b, sm);
		break;
	case SMPP_ALERT_NOTIFICATION:
		line_addr(b, "source_addr", "source_addr", &sm->source);
		line_addr(b, "esme_addr", "esme_addr", &sm->dest);
		lines_tlvs(b, p);
		break;
	case SMPP_OUTBIND:
		line_octets(b, "system_id", p->bind.system_id);
		line_octets(b, "password", p->bind.password);
		break;
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
		lines_bind(b, &p->bind);
		break;
	default:
		break;
	}
}

static void lines_of(struct buf *b, const struct pdu *p)
{
	buf_reset(b);
	line_number(b, "command_length", p->length, 4);
	line_number(b, "command_id", p->command, 4);
	line_number(b, "command_status", p->status, 4);
	line_number(b, "sequence_number", p->sequence, 4);
	lines_resp(b, p);
	lines_request(b, p);
}

/* ---- PDUs from a seed, within what the library takes ---- */

static uint64_t seed;

static uint32_t pick(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1d) >> 32) % below;
}

static struct buf scratch; /* home of the strings of one PDU */

static struct str pick_octets(size_t least, size_t most, bool any)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCXYZ+-_ @\xe4";
	size_t n = least + pick((uint32_t)(most - least + 1)), at = scratch.n;

	for (size_t i = 0; i < n; i++)
		buf_u8(&scratch,
			any ? (uint8_t)pick(256) : (uint8_t)letters[pick(sizeof letters - 1)]);
	return str_n(scratch.p + at, n);
}

/* Often empty, often full: that is where mistakes are. */
static struct str pick_str(size_t most)
{
	switch (pick(4)) {
	case 0:
		return STR_NONE;
	case 1:
		return pick_octets(most, most, false);
	default:
		return pick_octets(0, most, false);
	}
}

static struct pdu_addr pick_addr(size_t most)
{
	static const uint8_t npis[] = { 0, 1, 3, 4, 6, 8, 9, 10, 14, 18 };

	return (struct pdu_addr){ (uint8_t)pick(7), npis[pick(sizeof npis)], pick_str(most) };
}

/* Tags that the library reads as numbers of a size of its own, and some that it takes as octets. */
static void pick_tlvs(struct buf *b, bool vendor_only)
{
	static const struct {
		uint16_t tag;
		size_t least, most;
	} kinds[] = {
		{ TLV_USER_MESSAGE_REFERENCE, 2, 2 },
		{ TLV_SOURCE_PORT, 2, 2 },
		{ TLV_DESTINATION_PORT, 2, 2 },
		{ TLV_SAR_MSG_REF_NUM, 2, 2 },
		{ TLV_SAR_TOTAL_SEGMENTS, 1, 1 },
		{ TLV_SAR_SEGMENT_SEQNUM, 1, 1 },
		{ TLV_PAYLOAD_TYPE, 1, 1 },
		{ TLV_PRIVACY_INDICATOR, 1, 1 },
		{ TLV_CALLBACK_NUM, 4, 19 },
		{ TLV_SOURCE_SUBADDRESS, 2, 23 },
		{ TLV_DEST_SUBADDRESS, 2, 23 },
		{ TLV_LANGUAGE_INDICATOR, 1, 1 },
		{ TLV_ITS_SESSION_INFO, 2, 2 },
		{ TLV_USER_RESPONSE_CODE, 1, 1 },
		{ TLV_CONGESTION_STATE, 1, 1 },
		{ 0x1400, 0, 60 },
		{ 0x1502, 0, 60 },
		{ 0x3fff, 0, 60 },
		{ 0x9999, 0, 60 },
	};
	enum { KINDS = sizeof kinds / sizeof *kinds, FIRST_VENDOR = KINDS - 4 };

	for (unsigned n = pick(TLVS_MAX + 1); n; n--) {
		unsigned k = vendor_only ? FIRST_VENDOR + pick(4) : pick(KINDS);

		pdu_put_tlv(b, kinds[k].tag, pick_octets(kinds[k].least, kinds[k].most, true));
	}
}

static void pick_sm(struct pdu *p)
{
	struct pdu_sm *sm = &p->sm;

	*sm = (struct pdu_sm){
		.message_id = pick_str(64),
		.service_type = pick_str(5),
		.source = pick_addr(p->command == SMPP_ALERT_NOTIFICATION ? 64 : 20),
		.dest = pick_addr(
			p->command == SMPP_ALERT_NOTIFICATION || p->command == SMPP_DATA_SM ? 64
											    : 20),
		.esm_class = (uint8_t)pick(256),
		.protocol_id = (uint8_t)pick(256),
		.priority = (uint8_t)pick(4),
		.registered = (uint8_t)pick(256),
		.replace = (uint8_t)pick(2),
		.data_coding = (uint8_t)pick(256),
		.default_msg_id = (uint8_t)pick(256),
		.short_message = pick_octets(0, SHORT_MAX, true),
	};
	if (p->command != SMPP_DELIVER_SM) {
		sm->schedule = pick_str(16);
		sm->validity = pick_str(16);
	}
}

static void pick_dests(struct buf *b, struct pdu_sm *sm)
{
	sm->dest_count = (uint8_t)(1 + pick(DESTS_MAX));
	for (unsigned i = 0; i < sm->dest_count; i++) {
		struct pdu_addr a = pick_addr(20);

		pdu_put_dest(b, &a, pick(4) == 0);
	}
	sm->dests = buf_view(b);
}

static void pick_resp(struct buf *b, struct pdu *p)
{
	struct pdu_resp *r = &p->resp;

	*r = (struct pdu_resp){ .message_id = pick_str(64),
		.system_id = pick_str(15),
		.final_date = pick_str(16),
		.message_state = (uint8_t)pick(10),
		.error_code = (uint8_t)pick(256) };
	if (p->command == (SMPP_DELIVER_SM | SMPP_RESP))
		r->message_id = STR_NONE;
	if (p->command != (SMPP_SUBMIT_MULTI | SMPP_RESP))
		return;
	r->unsuccess_count = (uint8_t)pick(DESTS_MAX);
	for (unsigned i = 0; i < r->unsuccess_count; i++) {
		struct pdu_addr a = pick_addr(20);

		pdu_put_unsuccess(b, &a, pick(0x500));
	}
	r->unsuccess = buf_view(b);
}

static bool takes_tlvs(uint32_t command)
{
	return command == SMPP_SUBMIT_SM || command == SMPP_SUBMIT_MULTI ||
	       command == SMPP_DELIVER_SM || command == SMPP_DATA_SM;
}

/* One PDU of this command into out. */
static void pick_pdu(uint32_t command, struct buf *out)
{
	struct buf tlvs = BUF_INIT, list = BUF_INIT;
	struct pdu p = { .command = command, .sequence = 1 + pick(0x7fffffff) };

	buf_reset(&scratch);
	buf_reserve(&scratch, 8192); /* so that it does not move */
	p.bind = (struct pdu_bind){ .system_id = pick_str(15),
		.password = pick_str(8),
		.system_type = pick_str(12),
		.interface_version = SMPP_V34,
		.addr_ton = (uint8_t)pick(7),
		.addr_npi = 1,
		.address_range = pick_str(40) };
	pick_sm(&p);
	pick_resp(&list, &p);
	if (command == SMPP_SUBMIT_MULTI)
		pick_dests(&list, &p.sm);
	if (takes_tlvs(command))
		pick_tlvs(&tlvs, false);
	else if (command == SMPP_ALERT_NOTIFICATION)
		pick_tlvs(&tlvs, true);
	else if (smpp_is_resp(command) && p.resp.system_id.n && pick(2) &&
		 (command & ~SMPP_RESP) <= SMPP_BIND_TRANSCEIVER &&
		 strncmp(smpp_command_name(command), "bind", 4) == 0)
		pdu_put_tlv_u8(&tlvs, TLV_SC_INTERFACE_VERSION, SMPP_V34);
	p.tlvs = buf_view(&tlvs);
	buf_reset(out);
	assert_int_equal(pdu_encode(out, &p), ESME_ROK);
	buf_free(&tlvs);
	buf_free(&list);
}

/* ---- the comparison ---- */

static const uint32_t commands[] = {
	SMPP_BIND_RECEIVER,
	SMPP_BIND_RECEIVER | SMPP_RESP,
	SMPP_BIND_TRANSMITTER,
	SMPP_BIND_TRANSMITTER | SMPP_RESP,
	SMPP_BIND_TRANSCEIVER,
	SMPP_BIND_TRANSCEIVER | SMPP_RESP,
	SMPP_OUTBIND,
	SMPP_UNBIND,
	SMPP_UNBIND | SMPP_RESP,
	SMPP_ENQUIRE_LINK,
	SMPP_ENQUIRE_LINK | SMPP_RESP,
	SMPP_GENERIC_NACK,
	SMPP_SUBMIT_SM,
	SMPP_SUBMIT_SM | SMPP_RESP,
	SMPP_SUBMIT_MULTI,
	SMPP_SUBMIT_MULTI | SMPP_RESP,
	SMPP_DELIVER_SM,
	SMPP_DELIVER_SM | SMPP_RESP,
	SMPP_DATA_SM,
	SMPP_DATA_SM | SMPP_RESP,
	SMPP_QUERY_SM,
	SMPP_QUERY_SM | SMPP_RESP,
	SMPP_CANCEL_SM,
	SMPP_CANCEL_SM | SMPP_RESP,
	SMPP_REPLACE_SM,
	SMPP_REPLACE_SM | SMPP_RESP,
	SMPP_ALERT_NOTIFICATION,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void say_difference(uint32_t command, struct str pdu, struct str theirs, struct str ours)
{
	struct str t, o;
	struct buf hex = BUF_INIT;

	line_octets(&hex, "the PDU:", pdu);
	print_message("%s", buf_cstr(&hex));
	buf_free(&hex);

	while (str_cut(&theirs, '\n', &t) && str_cut(&ours, '\n', &o)) {
		if (!str_eq(t, o))
			fail_msg("%s: libsmpp34 reads %.*s, we %.*s", smpp_command_name(command),
				STR_ARG(t), STR_ARG(o));
	}
	fail_msg("%s: one of the two reads more fields", smpp_command_name(command));
}

/* Splits its answer at "bytes"; false when it could not pack what it had unpacked. */
static bool cut_bytes(struct buf *answer, struct buf *bytes)
{
	ptrdiff_t at = str_find(buf_view(answer), STR("\nbytes "));
	struct str hex;

	buf_reset(bytes);
	if (at < 0) {
		at = str_find(buf_view(answer), STR("\nnot packed\n"));
		assert_true(at >= 0);
		answer->n = (size_t)at + 1;
		return false;
	}
	hex = str_trim(str_skip(buf_view(answer), (size_t)at + 7));
	for (size_t i = 0; i + 1 < hex.n; i += 2) {
		char two[3] = { hex.p[i], hex.p[i + 1], 0 };

		buf_u8(bytes, (uint8_t)strtoul(two, NULL, 16));
	}
	answer->n = (size_t)at + 1;
	return true;
}

static void both_ways(void **state)
{
	struct buf out = BUF_INIT, answer = BUF_INIT, ours = BUF_INIT, packed = BUF_INIT;
	struct pdu p;
	uint32_t status;
	unsigned n = 0;

	seed = 0x5eed5eed5eed5eed;
	for (unsigned i = 0; i < EACH * COMMANDS; i++) {
		uint32_t command = commands[i % COMMANDS];

		pick_pdu(command, &out);
		if (!peer_ask(buf_view(&out), &answer))
			fail_msg("libsmpp34 refuses %s number %u", smpp_command_name(command), i);
		assert_true(cut_bytes(&answer, &packed));
		assert_int_equal(pdu_decode(&p, buf_view(&out), 0, &status), 0);
		lines_of(&ours, &p);
		if (!str_eq(buf_view(&answer), buf_view(&ours)))
			say_difference(command, buf_view(&out), buf_view(&answer), buf_view(&ours));
		/* What they write of it is what we wrote, and we read theirs. */
		assert_int_equal(packed.n, out.n);
		assert_memory_equal(packed.p, out.p, out.n);
		assert_int_equal(pdu_decode(&p, buf_view(&packed), 0, &status), 0);
		n++;
	}
	print_message("%u PDUs of %d commands, both ways\n", n, COMMANDS);
	buf_free(&out);
	buf_free(&answer);
	buf_free(&ours);
	buf_free(&packed);
}

/* The library takes the size of a known TLV from its tag and not from its length, and then reads on
 * from the wrong place: a fault of its own, seen by a value that is not as long as it says. */
static bool misread_tlvs(struct str answer)
{
	struct str line;
	size_t length = 0;

	while (str_cut(&answer, '\n', &line)) {
		if (str_starts(line, STR("length ")))
			length = strtoul(line.p + 7, NULL, 16);
		else if (str_starts(line, STR("value ")) && line.n - 6 != 2 * length)
			return true;
	}
	return false;
}

static void change(struct buf *out)
{
	static const uint8_t favourites[] = { 0, 1, 2, 0x7f, 0x80, 0xfe, 0xff };

	for (unsigned n = 1 + pick(3); n && out->n > PDU_HEADER; n--) {
		size_t at = PDU_HEADER + pick((uint32_t)(out->n - PDU_HEADER));

		out->p[at] = (char)(pick(2) ? favourites[pick(sizeof favourites)] : pick(256));
	}
	/* Octets gone or added at the end, with the length that says so. */
	if (pick(8) == 0 && out->n > PDU_HEADER)
		out->n -= pick((uint32_t)(out->n - PDU_HEADER));
	else if (pick(8) == 0)
		buf_u8(out, (uint8_t)pick(256));
	put_be32(out->p, (uint32_t)out->n);
}

static void changed(void **state)
{
	struct buf out = BUF_INIT, answer = BUF_INIT, ours = BUF_INIT, packed = BUF_INIT;
	struct pdu p;
	uint32_t status;
	unsigned both = 0, neither = 0, only_ours = 0, set_aside = 0;

	seed = 0xc0ffee;
	for (unsigned i = 0; i < CHANGED_EACH * COMMANDS; i++) {
		uint32_t command = commands[i % COMMANDS];
		bool they, we;

		pick_pdu(command, &out);
		change(&out);
		they = peer_ask(buf_view(&out), &answer);
		we = pdu_decode(&p, buf_view(&out), PDU_LENIENT | PDU_V50, &status) == 0;
		if (they && misread_tlvs(buf_view(&answer))) {
			set_aside++;
			continue;
		}
		if (they && !we)
			fail_msg("libsmpp34 takes %s number %u, we do not: %s at %s",
				smpp_command_name(command), i, smpp_status_name(status), p.fault);
		if (they) {
			cut_bytes(&answer, &packed);
			lines_of(&ours, &p);
			if (!str_eq(buf_view(&answer), buf_view(&ours)))
				say_difference(command, buf_view(&out), buf_view(&answer),
					buf_view(&ours));
			both++;
		} else if (we) {
			only_ours++;
		} else {
			neither++;
		}
	}
	print_message("changed: %u read alike, %u refused by both, %u by libsmpp34 only, "
		      "%u set aside for TLV lengths\n",
		both, neither, only_ours, set_aside);
	assert_true(both > 1000 && neither > 1000);
	buf_free(&out);
	buf_free(&answer);
	buf_free(&ours);
	buf_free(&packed);
}

/* ---- what it refuses ---- */

static void pdu_of_hex(struct str hex, struct buf *out)
{
	buf_reset(out);
	while (hex.n) {
		char two[3] = { hex.p[0], hex.n > 1 ? hex.p[1] : 0, 0 };

		/* "*NN" repeats the octet before, for long values. */
		if (hex.p[0] == '*') {
			size_t n = 0;
			char c = out->p[out->n - 1];

			hex = str_skip(hex, 1);
			while (hex.n && hex.p[0] >= '0' && hex.p[0] <= '9' && n < 100000) {
				n = n * 10 + (size_t)(hex.p[0] - '0');
				hex = str_skip(hex, 1);
			}
			while (n--)
				buf_char(out, c);
		} else if (hex.p[0] == ' ') {
			hex = str_skip(hex, 1);
		} else {
			buf_u8(out, (uint8_t)strtoul(two, NULL, 16));
			hex = str_skip(hex, 2);
		}
	}
	CHECK(out->n >= PDU_HEADER);
	put_be32(out->p, (uint32_t)out->n);
}

static void refused_though_valid(void **state)
{
	FILE *f = fopen("tests/conform/smpp34_refuses.tsv", "r");
	struct buf out = BUF_INIT, answer = BUF_INIT;
	char *line = NULL;
	size_t cap = 0;
	unsigned rows = 0;

	if (!f)
		fail_msg("tests/conform/smpp34_refuses.tsv: run this from the root of the tree");
	while (getline(&line, &cap, f) > 0) {
		struct str rest = str_trim(str_of(line)), what, flags = STR_NONE;
		struct pdu p;
		uint32_t status;
		unsigned our_flags = 0;

		if (!rest.n || rest.p[0] == '#')
			continue;
		assert_true(str_cut(&rest, '\t', &what) && str_cut(&rest, '\t', &flags));
		if (str_is(flags, "lenient"))
			our_flags = PDU_LENIENT;
		else if (str_is(flags, "v50"))
			our_flags = PDU_V50;
		else if (str_is(flags, "long"))
			our_flags = PDU_LONG_NAMES;
		pdu_of_hex(rest, &out);
		if (pdu_decode(&p, buf_view(&out), our_flags, &status) != 0 || p.fault)
			fail_msg("%.*s: we refuse it, too: %s at %s", STR_ARG(what),
				smpp_status_name(status), p.fault);
		if (peer_ask(buf_view(&out), &answer))
			fail_msg("%.*s: libsmpp34 takes it by now; the row can go", STR_ARG(what));
		rows++;
	}
	print_message("%u valid PDUs that libsmpp34 refuses\n", rows);
	assert_true(rows >= 20);
	free(line);
	fclose(f);
	buf_free(&out);
	buf_free(&answer);
}

/* It unpacks a short_message of 254 octets and then cannot pack it. */
static void packs_one_less(void **state)
{
	char text[PDU_SHORT_MESSAGE_MAX];
	struct pdu_sm sm = { .short_message = str_n(text, sizeof text) };
	struct buf out = BUF_INIT, answer = BUF_INIT, packed = BUF_INIT;

	memset(text, 'x', sizeof text);
	assert_int_equal(pdu_put_submit_sm(&out, 1, &sm, STR_NONE), ESME_ROK);
	assert_true(peer_ask(buf_view(&out), &answer));
	assert_false(cut_bytes(&answer, &packed));
	buf_free(&out);
	buf_free(&answer);
	buf_free(&packed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(changed),
		cmocka_unit_test(refused_though_valid),
		cmocka_unit_test(packs_one_less),
	};
	const char *slash = strrchr(argv[0], '/');
	int failed;

	snprintf(peer.path, sizeof peer.path, "%.*ssmpp34_peer",
		slash ? (int)(slash - argv[0]) + 1 : 0, argv[0]);
	failed = cmocka_run_group_tests(tests, peer_start, peer_stop);
	buf_free(&scratch);
	return failed;
}
