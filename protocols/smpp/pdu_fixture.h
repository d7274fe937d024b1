/* What the tests of the codec share: pieces of PDUs, and reading them from octets made by hand. */
#ifndef POSTERN_SMPP_PDU_FIXTURE_H
#define POSTERN_SMPP_PDU_FIXTURE_H

#include "protocols/smpp/pdu.h"

#include "gateway/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <time.h>
#include <cmocka.h>

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

#define BODY(lit) ((struct str){ (lit), sizeof(lit) - 1 })

#define A20        "12345678901234567890"
#define T16        "261122093000000+"
#define ID64       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FLAGS_NONE 0u

/* Pieces of requests. */
#define SRC "\x05\x00Shop\0"
#define DST        \
	"\x01\x01" \
	"46700000001\0"
#define REST                    \
	"\x40\x41\x03" T16 "\0" \
	"000002000000000R\0"    \
	"\x11\x01\x08\x02"
#define SUBMIT                      \
	"CMT\0" SRC DST REST "\x05" \
	"he\0lo"

#define SM   SMPP_SUBMIT_SM
#define BIND SMPP_BIND_TRANSCEIVER
#define TAIL "\0\0\0\0\0\0\0\0\0\0" /* esm_class to sm_length, all 0 */

static struct buf bytes;

static struct str pdu_make(uint32_t command, uint32_t status, uint32_t sequence, struct str body)
{
	buf_reset(&bytes);
	pdu_begin(&bytes, command, status, sequence);
	buf_str(&bytes, body);
	pdu_end(&bytes, 0);
	return buf_view(&bytes);
}

/* Decodes from an allocation of exactly the size, so that ASan sees a step over the end. */
static int decode_exact(struct pdu *p, char **home, struct str s, unsigned flags, uint32_t *status)
{
	*home = malloc(s.n ? s.n : 1);
	assert_non_null(*home);
	if (s.n)
		memcpy(*home, s.p, s.n);
	return pdu_decode(p, str_n(*home, s.n), flags, status);
}

static void assert_str(struct str got, const char *want)
{
	if (!str_is(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void assert_addr(const struct pdu_addr *a, uint8_t ton, uint8_t npi, const char *addr)
{
	assert_int_equal(a->ton, ton);
	assert_int_equal(a->npi, npi);
	assert_str(a->addr, addr);
}

static void ok(struct pdu *p, uint32_t command, uint32_t status, struct str body)
{
	struct str whole = pdu_make(command, status, 0x01020304, body);
	uint32_t refusal = 99;

	if (pdu_decode(p, whole, FLAGS_NONE, &refusal) != 0)
		fail_msg("%s refused: %s at %s", smpp_command_name(command),
			smpp_status_name(refusal), p->fault);
	assert_int_equal(refusal, 0);
	assert_int_equal(p->command, command);
	assert_int_equal(p->status, status);
	assert_int_equal(p->sequence, 0x01020304);
	assert_int_equal(p->length, whole.n);
}

/* What is written is what was read. */
static void same_again(const struct pdu *p)
{
	struct buf out = BUF_INIT;

	assert_int_equal(pdu_encode(&out, p), ESME_ROK);
	assert_int_equal(out.n, bytes.n);
	assert_memory_equal(out.p, bytes.p, out.n);
	buf_free(&out);
}

static int finish(void **state)
{
	buf_free(&bytes);
	return 0;
}

#endif
