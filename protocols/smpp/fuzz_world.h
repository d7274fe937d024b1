/* The far side of the SMPP halves, for their fuzz targets: what is written to a stream of
 * tests/fuzz/world.h must be whole PDUs that our codec reads. Header-only, for one file of a
 * program.
 */
#ifndef POSTERN_SMPP_FUZZ_WORLD_H
#define POSTERN_SMPP_FUZZ_WORLD_H

#include "protocols/smpp/wire.h"

enum { STREAMS = 8, ASKED = 16 };

struct asked { /* a request of ours */
	uint32_t command, sequence;
};
struct far {
	struct asked asked[ASKED];
	unsigned asked_n;
};

#include "tests/fuzz/world.h"

static unsigned far_flags; /* PDU_ flags of the far side that reads us */

/* What was written must be whole PDUs that can be read. */
static void read_out(struct stream *s)
{
	struct str rest = buf_view(&s->out);
	struct far *far = &s->far;
	uint32_t status;
	struct pdu p;
	size_t n;

	while (rest.n) {
		CHECK(pdu_peek(rest, PDU_CAP, &n) == 1 && n <= rest.n);
		if (pdu_decode(&p, str_n(rest.p, n), far_flags, &status) != 0)
			check_failed(p.fault, __FILE__, __LINE__, smpp_command_name(p.command));
		if (!smpp_is_resp(p.command))
			far->asked[far->asked_n++ % ASKED] =
				(struct asked){ p.command, p.sequence };
		rest = str_skip(rest, n);
	}
	buf_reset(&s->out);
}

static void send_pdu(struct stream *s, uint32_t command, uint32_t sequence, struct str body)
{
	size_t at = pdu_begin(&s->in, command, 0, sequence);

	buf_str(&s->in, body);
	pdu_end(&s->in, at);
	s->again = true;
}

#endif
