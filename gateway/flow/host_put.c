/* What plugins put into the messages they make: further attempts, and gates. See plugin.h. Pure. */
#include "gateway/flow/flow.h"
#include "plugins/plugin.h"

enum { STEPS_MOST = 15 };

void plugin_put_fallback(struct draft *d, const struct plugin_step *steps, size_t n)
{
	struct buf packed = BUF_INIT;

	CHECK(n <= STEPS_MOST);
	for (size_t i = 0; i < n; i++)
		fallback_put(&packed, steps[i].after, steps[i].msg);
	draft_put(d, FIELD_FALLBACK, buf_view(&packed));
	buf_free(&packed);
}

bool plugin_next_fallback(struct str *rest, dur_t *after_r, struct message **m_r)
{
	return fallback_next(rest, after_r, m_r);
}

void plugin_put_gate(struct draft *d, wall_t open_until, struct str more)
{
	struct buf gate = BUF_INIT;

	buf_be32(&gate, (uint32_t)((uint64_t)open_until >> 32));
	buf_be32(&gate, (uint32_t)open_until);
	buf_str(&gate, more);
	draft_put(d, FIELD_GATE, buf_view(&gate));
	buf_free(&gate);
}
