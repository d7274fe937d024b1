/* What the tests of submissions share: a gateway with null channels and accounts of many kinds. */
#ifndef POSTERN_SMPP_SUBMIT_FIXTURE_H
#define POSTERN_SMPP_SUBMIT_FIXTURE_H

#include "tests/smpp_server.h"
#include "gateway/base/map.h"
#include "protocols/smpp/receipt.h"
#include "protocols/smpp/smpp_time.h"

/* no test uses all of it */
#pragma GCC diagnostic ignored "-Wunused-function"

#define ACCOUNT(name, more) "{ system_id = \"" name "\"; password = \"secret\"; " more " }"
#define LISTENER                                                                                   \
	"{ name = \"esme\"; type = \"smpp\"; listen = \"127.0.0.1:0\"; answer_wait = \"10s\"; "    \
	"enquire = \"0\"; inactivity = \"0\";"                                                     \
	" accounts = (" ACCOUNT(                                                                   \
		"shop", "services = { VIBER = \"viber\"; PUSHY = \"push\"; };") "," ACCOUNT("old", \
		"") "," ACCOUNT("hex", "id = \"hex\"; receipt_dates = 12;") "," ACCOUNT("latin",   \
		"dcs0 = \"latin1\"; services = { VB = \"viber\"; };") "," ACCOUNT("slow",          \
		"rate = 2.0;") "," ACCOUNT("strict",                                               \
		"from = [ \"Shop*\" ]; known_services = "                                          \
		"true;"                                                                            \
		" priority = \"bulk\"; valid_most = \"1h\"; "                                      \
		"services = { OK = \"sms\"; };") "," ACCOUNT("news",                               \
		"window = 3;") "," ACCOUNT("mo", "mo_split = \"sar\";") "," ACCOUNT("bare",        \
		"tlvs = \"no\";") "," ACCOUNT("multi", "") "," ACCOUNT("ask",                      \
		"") "," ACCOUNT("attr", "") "); }"

static int begin(void **state)
{
	fx_begin(LISTENER);
	return 0;
}

static int end(void **state)
{
	fx_end();
	return 0;
}

static void hold(bool held)
{
	struct err e = { 0 };

	assert_int_equal(
		gateway_channel_verb(fx.g, "nul", held ? GATEWAY_HOLD : GATEWAY_RESUME, &e), 0);
}

/* Waits until it is not queued any more. */
static void leaves(uint64_t id)
{
	for (int i = 0; i < 500; i++) {
		struct store_view v = fx_view(id);
		bool queued = v.state == STATE_QUEUED;

		store_view_free(&v);
		if (!queued)
			return;
		usleep(10000);
	}
	fail_msg("it stays queued");
}

/* Reads a deliver_sm, answers it so, and has its text in *text. */
static struct smpp_receipt told(struct esme *m, uint32_t status, struct pdu *p)
{
	struct smpp_receipt r;

	assert_true(esme_read(m, p));
	assert_int_equal(p->command, SMPP_DELIVER_SM);
	assert_int_equal(receipt_parse(&r, p, clock_wall(), NULL, 0), 0);
	esme_told(m, p, status);
	return r;
}

#endif
