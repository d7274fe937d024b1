/* What flow is to a listener, for the fuzz targets of protocols' server halves: accounts, logins
 *and what waits for an answer. To tests/fuzz/world.h as flow is to the loop; header-only, too. The
 *file that includes it says before
 *
 *	enum { ACCOUNTS = 2 };		how many accounts there are
 *
 * and defines is_password() and message_arrived().
 */
#ifndef POSTERN_TESTS_FUZZ_LISTENER_H
#define POSTERN_TESTS_FUZZ_LISTENER_H

#include "protocols/protocol.h"
#include "tests/fuzz/world.h"

enum { PENDING = 1200 };

struct verify {
	void (*done)(void *ctx, bool ok);
	void *ctx;
	bool ok;
};

static struct {
	struct listener l;
	struct account a[ACCOUNTS];
	struct verify verifies[PENDING];
	void *tokens[PENDING]; /* of message_arrived() */
	unsigned verifies_n, tokens_n, notes, credit;
	uint64_t id;
	dur_t delay; /* of logins */
	bool closed;
} flow;

static bool is_password(struct str password);

/* ---- accounts ---- */

const struct conf_item account_rows[] = { CONF_END };

struct account *account_find(struct listener *l, struct str name)
{
	for (int i = 0; i < ACCOUNTS; i++)
		if (str_is(name, flow.a[i].name))
			return &flow.a[i];
	return NULL;
}
struct account *account_declare(
	struct listener *l, const char *name, const struct account_conf *conf, const void *specific)
{
	return account_find(l, str_of(name));
}
bool account_allows(const struct account *a, const struct sockaddr *peer)
{
	return true;
}
void account_verify(
	struct account *a, struct str password, void (*done)(void *ctx, bool ok), void *ctx)
{
	CHECK(flow.verifies_n < PENDING);
	flow.verifies[flow.verifies_n++] = (struct verify){ done, ctx, is_password(password) };
}
dur_t login_delay(const struct sockaddr *peer)
{
	return flow.delay;
}
void login_result(const struct sockaddr *peer, bool ok) {}
void account_credit(struct account *a, unsigned notes)
{
	flow.credit = notes;
}
void account_sessions(struct account *a, unsigned n)
{
	CHECK(n <= STREAMS);
}
void listener_closed(struct listener *l)
{
	CHECK(!flow.closed);
	flow.closed = true;
}
void note_done(struct account *a, struct note *n, const struct outcome *o)
{
	CHECK(flow.notes > 0);
	flow.notes--;
	message_unref(&n->mo);
	mem_free(&n);
}

/* ---- what happens ---- */

static void verify(void)
{
	struct verify v;

	if (!flow.verifies_n)
		return;
	v = flow.verifies[--flow.verifies_n];
	v.done(v.ctx, v.ok);
}

static void keep_token(void *token)
{
	CHECK(flow.tokens_n < PENDING);
	flow.tokens[flow.tokens_n++] = token;
}

/* One of those that wait; NULL for none. */
static void *take_token(unsigned which)
{
	void *token;

	if (!flow.tokens_n)
		return NULL;
	which %= flow.tokens_n;
	token = flow.tokens[which];
	flow.tokens[which] = flow.tokens[--flow.tokens_n];
	return token;
}

static bool may_tell(void)
{
	return flow.notes < flow.credit && flow.notes < 8;
}

/* A client from that IPv4 address; nothing when its place is taken. */
static void connect_from(unsigned i, uint32_t address)
{
	union addr from = { .in.sin_family = AF_INET, .in.sin_port = htons(4711) };

	from.in.sin_addr.s_addr = htonl(address);
	if (world.accept && !world.streams[i].used)
		world.accept(world.acceptor_owner, FIRST_FD + (int)i, &from.sa);
}

static void listener_begin(const char *name, void *self, const void *specific)
{
	memset(&flow, 0, sizeof flow);
	world_begin();
	flow.l = (struct listener){ .name = name,
		.loop = (struct loop *)&dummy,
		.self = self,
		.specific = specific,
		.country = "46",
		.trunk = "0" };
}

#endif
