/* The mailbox: a stack that any thread pushes onto and one thread takes whole. See loop.h.
 *
 * Posting is one compare-and-swap; the eventfd is rung only by the letter that finds the box
 * empty, so a batch costs one system call. Taking is one exchange and a reversal, which restores
 * the order of posting. There is no ABA: nobody pops a single letter.
 */
#include "gateway/base/loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *mb)
{
	atomic_init(&mb->head, NULL);
	mb->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(mb->wake >= 0);
}

void mailbox_done(struct mailbox *mb)
{
	if (mb->wake >= 0)
		close(mb->wake);
	mb->wake = -1;
}

void mailbox_ring(struct mailbox *mb)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so it is rung already. */
	while (write(mb->wake, &one, sizeof one) < 0 && errno == EINTR)
		;
}

bool mailbox_push(struct mailbox *mb, struct letter *l)
{
	struct letter *head = atomic_load_explicit(&mb->head, memory_order_relaxed);

	do
		l->next = head;
	while (!atomic_compare_exchange_weak_explicit(
		&mb->head, &head, l, memory_order_release, memory_order_relaxed));
	return head == NULL;
}

void mailbox_post(struct mailbox *mb, struct letter *l)
{
	if (mailbox_push(mb, l))
		mailbox_ring(mb);
}

struct letter *mailbox_take(struct mailbox *mb)
{
	struct letter *l, *next, *out = NULL;

	if (mailbox_empty(mb))
		return NULL;
	for (l = atomic_exchange_explicit(&mb->head, NULL, memory_order_acquire); l; l = next) {
		next = l->next;
		l->next = out;
		out = l;
	}
	return out;
}

void mailbox_wait(struct mailbox *mb, dur_t at_most)
{
	mono_t until = clock_mono() + at_most;

	while (mailbox_empty(mb)) {
		struct pollfd pfd = { .fd = mb->wake, .events = POLLIN };
		dur_t left = until - clock_mono();
		uint64_t rung;

		if (left <= 0)
			return;
		/* Rounded up, or the last millisecond would spin; capped to fit poll's int. */
		if (left > DUR_HOUR)
			left = DUR_HOUR;
		if (poll(&pfd, 1, (int)((left + DUR_MS - 1) / DUR_MS)) > 0 &&
			read(mb->wake, &rung, sizeof rung) < 0)
			CHECK(errno == EAGAIN || errno == EINTR);
	}
}
