/* Token bucket with additive growth and multiplicative cut. See pace.h. */
#include "gateway/flow/pace.h"

enum { GROW_EVERY_MS = 1000, CUT_EVERY_MS = 500, FORGET_S = 60 };

void pace_init(struct pace *p, double agreed, mono_t now)
{
	*p = (struct pace){ .agreed = agreed, .last = now, .seen_at = now };
}

void pace_set(struct pace *p, double agreed)
{
	p->agreed = agreed;
	if (agreed > 0 && p->adapted > agreed)
		p->adapted = agreed;
}

double pace_rate(const struct pace *p)
{
	if (p->adapted > 0)
		return p->adapted;
	return p->agreed;
}

/* Once a second without a cut the rate grows by a twentieth; at the agreed rate, or after a quiet
 * minute where none is agreed, it is no longer held down. */
static void grow(struct pace *p, mono_t now)
{
	if (p->adapted <= 0 || now - p->grown_at < GROW_EVERY_MS * DUR_MS)
		return;
	p->grown_at = now;
	p->adapted += p->adapted * 0.05 > 1 ? p->adapted * 0.05 : 1;
	if ((p->agreed > 0 && p->adapted >= p->agreed) ||
		(p->agreed <= 0 && now - p->cut_at > FORGET_S * DUR_S))
		p->adapted = 0;
}

dur_t pace_wait(struct pace *p, mono_t now)
{
	double rate, burst;

	grow(p, now);
	rate = pace_rate(p);
	if (now < p->pause)
		return p->pause - now;
	if (rate <= 0)
		return 0;
	/* A tenth of a second's worth may go at once: timers are no finer than that matters. */
	burst = rate / 10 > 1 ? rate / 10 : 1;
	p->tokens += (double)(now - p->last) / (double)DUR_S * rate;
	if (p->tokens > burst)
		p->tokens = burst;
	p->last = now;
	if (p->tokens >= 1)
		return 0;
	return (dur_t)((1 - p->tokens) / rate * (double)DUR_S) + 1;
}

void pace_take(struct pace *p, unsigned parts, mono_t now)
{
	if (pace_rate(p) > 0)
		p->tokens -= parts;
	p->count += parts;
	if (now - p->seen_at >= DUR_S) {
		p->seen = (double)p->count * (double)DUR_S / (double)(now - p->seen_at);
		p->seen_at = now;
		p->count = 0;
	}
}

void pace_throttled(struct pace *p, dur_t wished, mono_t now)
{
	double rate = pace_rate(p);
	mono_t until = now + (wished > 0 ? wished : DUR_S);

	if (p->cut_at && now - p->cut_at < CUT_EVERY_MS * DUR_MS)
		return;
	if (rate <= 0) {
		double elapsed = (double)(now - p->seen_at) / (double)DUR_S;

		rate = p->seen;
		if (elapsed > 0.01 && (double)p->count / elapsed > rate)
			rate = (double)p->count / elapsed;
	}
	p->cut_at = p->grown_at = now;
	p->adapted = rate / 2 > 1 ? rate / 2 : 1;
	p->tokens = 0;
	p->last = until;
	if (until > p->pause)
		p->pause = until;
}
