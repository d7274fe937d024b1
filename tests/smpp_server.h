/* For the tests of the server half: a whole gateway in this process, in a folder of its own, and
 * ESMEs on blocking sockets that read and write PDUs by the codec. Tests only; header-only.
 */
#ifndef POSTERN_TESTS_SMPP_SERVER_H
#define POSTERN_TESTS_SMPP_SERVER_H

#include "gateway/base/waiter.h"
#include "protocols/smpp/pdu.h"
#include "tests/gateway_fixture.h"

#include <fcntl.h>
#include <pthread.h>

static const char *fx_rest(void)
{
	return "channels = ( { name = \"nul\"; type = \"null\"; receipts = true;\n"
	       "	media = [ \"sms\", \"viber\" ]; },\n"
	       "	{ name = \"bad\"; type = \"null\"; receipts = true; fail_receipt = 1.0; } "
	       ");\n"
	       "routes = ( { media = \"sms\"; to = \"4671*\"; via = [ \"bad\" ]; },\n"
	       "	{ media = [ \"sms\", \"viber\" ]; to = \"46*\"; via = [ \"nul\" ]; } "
	       ");\n";
}

/* ---- an ESME ---- */

struct esme {
	int fd;
	uint32_t sequence;
	struct buf in;
	size_t eaten; /* of in, by the PDU shown last */
};

static struct esme esme_from(const char *address)
{
	struct esme m = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	struct timeval patience = { .tv_sec = 60 };
	union addr to, from;

	assert_true(m.fd >= 0);
	setsockopt(m.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_true(addr_parse(STR("127.0.0.1"), fx.port, &to));
	assert_true(addr_parse(str_of(address), 0, &from));
	assert_int_equal(bind(m.fd, &from.sa, sizeof from.in), 0);
	assert_int_equal(connect(m.fd, &to.sa, sizeof to.in), 0);
	return m;
}

static struct esme esme_dial(void)
{
	return esme_from("127.0.0.1");
}

static void esme_close(struct esme *m)
{
	close(m->fd);
	buf_free(&m->in);
}

static void esme_write(struct esme *m, struct str bytes)
{
	while (bytes.n) {
		ssize_t n = send(m->fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		assert_true(n > 0);
		bytes = str_skip(bytes, (size_t)n);
	}
}

/* The next PDU; false at the end of the connection. Slices die with the next call. */
static bool esme_read(struct esme *m, struct pdu *p)
{
	uint32_t status;
	size_t length = 0;

	if (m->eaten)
		buf_drop(&m->in, m->eaten);
	m->eaten = 0;
	while (pdu_peek(buf_view(&m->in), PDU_CAP, &length) <= 0 || length > m->in.n) {
		char chunk[4096];
		ssize_t n = recv(m->fd, chunk, sizeof chunk, 0);

		if (n < 0 && errno == EAGAIN)
			fail_msg("nothing came");
		if (n <= 0)
			return false;
		buf_add(&m->in, chunk, (size_t)n);
	}
	assert_int_equal(pdu_decode(p, str_n(m->in.p, length), PDU_LENIENT, &status), 0);
	m->eaten = length;
	return true;
}

static uint32_t esme_send(struct esme *m, struct pdu *p)
{
	struct buf out = BUF_INIT;

	p->sequence = ++m->sequence;
	assert_int_equal(pdu_encode(&out, p), ESME_ROK);
	esme_write(m, buf_view(&out));
	buf_free(&out);
	return p->sequence;
}

static void esme_header(struct esme *m, uint32_t command, uint32_t status, uint32_t sequence)
{
	struct buf out = BUF_INIT;

	pdu_put_header(&out, command, status, sequence);
	esme_write(m, buf_view(&out));
	buf_free(&out);
}

static void esme_told(struct esme *m, const struct pdu *p, uint32_t status)
{
	struct buf out = BUF_INIT;

	pdu_put_resp(&out, SMPP_DELIVER_SM | SMPP_RESP, status, p->sequence, STR_NONE);
	esme_write(m, buf_view(&out));
	buf_free(&out);
}

/* Sends and reads the answer to it. */
static void esme_ask(struct esme *m, struct pdu *p, struct pdu *answer)
{
	uint32_t sequence = esme_send(m, p), command = p->command | SMPP_RESP;

	assert_true(esme_read(m, answer));
	while (answer->command == SMPP_ENQUIRE_LINK ||
		(fx.takes_all && answer->command == SMPP_DELIVER_SM)) {
		if (answer->command == SMPP_DELIVER_SM)
			esme_told(m, answer, ESME_ROK);
		else
			esme_header(m, SMPP_ENQUIRE_LINK | SMPP_RESP, 0, answer->sequence);
		assert_true(esme_read(m, answer));
	}
	assert_int_equal(answer->sequence, sequence);
	if (answer->command != SMPP_GENERIC_NACK)
		assert_int_equal(answer->command, command);
}

static uint32_t esme_bind_as(
	struct esme *m, uint32_t command, const char *name, const char *password, uint8_t version)
{
	struct pdu answer, p = {
		.command = command,
		.bind = { .system_id = str_of(name),
			.password = str_of(password),
			.interface_version = version },
	};

	esme_ask(m, &p, &answer);
	return answer.status;
}

static struct esme esme_bound(const char *name)
{
	struct esme m = esme_dial();

	assert_int_equal(
		esme_bind_as(&m, SMPP_BIND_TRANSCEIVER, name, "secret", SMPP_V34), ESME_ROK);
	return m;
}

static struct pdu esme_submit(const char *to, const char *text)
{
	return (struct pdu){
		.command = SMPP_SUBMIT_SM,
		.sm = { .source = { 5, 0, STR("Shop") },
			.dest = { 1, 1, str_of(to) },
			.short_message = str_of(text) },
	};
}

static uint64_t esme_id(struct str id)
{
	uint64_t v = 0;

	if (!str_u64(id, &v) || !v)
		fail_msg("\"%.*s\" is not an id", STR_ARG(id));
	return v;
}

/* Submits and gives the id. */
static uint64_t esme_accepted(struct esme *m, struct pdu *p)
{
	struct pdu answer;

	esme_ask(m, p, &answer);
	if (answer.status != ESME_ROK)
		fail_msg("submit refused: %s", smpp_status_name(answer.status));
	return esme_id(answer.resp.message_id);
}

static uint32_t esme_refused(struct esme *m, struct pdu *p)
{
	struct pdu answer;

	esme_ask(m, p, &answer);
	return answer.status;
}

/* The connection ends, maybe after some more PDUs. */
static void esme_ends(struct esme *m)
{
	struct pdu p;

	while (esme_read(m, &p))
		;
	esme_close(m);
}

static bool esme_is_silent(struct esme *m)
{
	struct timeval little = { .tv_usec = 150000 }, patience = { .tv_sec = 60 };
	char c;
	ssize_t n;

	if (m->in.n > m->eaten)
		return false;
	setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof little);
	n = recv(m->fd, &c, 1, MSG_PEEK);
	setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return n < 0;
}

#endif
