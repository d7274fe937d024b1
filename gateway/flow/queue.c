/* The queue of one channel: a window in memory over what is on disk. The channel's loop.
 *
 * The store gives due times and ids in commit order, and offers come in commit order too, so one
 * cursor per lane tells what is in memory or done with (keys up to it) from what is on disk alone
 * (keys beyond). A committed message enters memory directly only if nothing on disk stands before
 * it; otherwise it stays on disk and a load brings it. So memory is bounded, order is kept, and
 * nothing is loaded twice or forgotten.
 *
 * What has a due time of its own (a schedule, a retry) always goes by the disk, even if that time
 * has come by when it is offered: between its commit and its offer others were committed with
 * smaller keys, which are offered after it.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/flow/flow.h"

enum { SHARE_HIGH = 16, SHARE_NORMAL = 4, SHARE_BULK = 1, LANE_LEAST = 1024, LANE_MOST = 8192 };
#define AGAIN_IN DUR_MS

static void load_done(struct store_load *l);
static bool is_barred(struct flow_channel *c, const struct place *p, uint64_t id);

static void lane_reset(struct lane *lane)
{
	lane->cur_due = 0;
	lane->cur_id = 0;
	lane->more = true; /* whatever is there */
	lane->dirty = false;
	lane->stale = lane->loading;
	lane->next_due = lane->added_due = 0;
	lane->not_before = 0;
	lane->share = 0;
}

void queue_init(struct flow_channel *c)
{
	list_init(&c->barred);
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		list_init(&c->lane[i].waiting);
		c->lane[i].ch = c;
	}
	queue_reset(c);
}

void queue_reset(struct flow_channel *c)
{
	unsigned want = (unsigned)(c->pub.conf->window * c->pub.conf->connections) * 4;

	c->high = want < LANE_LEAST ? LANE_LEAST : want > LANE_MOST ? LANE_MOST : want;
	for (int i = 0; i < PRIORITY_COUNT; i++)
		lane_reset(&c->lane[i]);
}

static int key_cmp(wall_t due_a, uint64_t id_a, wall_t due_b, uint64_t id_b)
{
	if (due_a != due_b)
		return due_a < due_b ? -1 : 1;
	return (id_a > id_b) - (id_a < id_b);
}

static void earlier(wall_t *t, wall_t due)
{
	if (*t == 0 || due < *t)
		*t = due;
}

/* Keeps the lane sorted; nearly always the place is the end. */
static void lane_insert(struct lane *lane, struct flight *f)
{
	struct list *at = &lane->waiting;

	while (at->prev != &lane->waiting) {
		struct flight *before = CONTAINER(at->prev, struct flight, link);

		if (key_cmp(before->place.due, before->d.msg->id, f->place.due, f->d.msg->id) <= 0)
			break;
		at = at->prev;
	}
	list_insert_before(at, &f->link);
	lane->n++;
	f->bytes = sizeof *f + message_bytes(f->d.msg);
	lane->bytes += f->bytes;
	f->state = FLIGHT_WAITS;
}

/* Each priority has its own, so that much of a low one does not keep a high one out. */
static uint64_t lane_bytes(const struct flow_channel *c)
{
	return c->pub.conf->queue_memory / PRIORITY_COUNT;
}

/* No room for one more. One alone always has, or it would never go. */
static bool is_full(const struct flow_channel *c, const struct lane *lane, const struct message *m)
{
	return lane->n >= c->high ||
	       (lane->n && lane->bytes + sizeof(struct flight) + message_bytes(m) > lane_bytes(c));
}

/* Room for a load that is worth it. */
static bool is_low(const struct flow_channel *c, const struct lane *lane)
{
	return lane->n <= c->high / 2 && lane->bytes <= lane_bytes(c) / 2;
}

/* Left on disk: a load is to bring it. */
static void leave(struct lane *lane, struct message *m)
{
	lane->more = lane->dirty = true;
	message_unref(&m);
}

void queue_offer(struct flow_channel *c, struct message *m, const struct place *p, unsigned attempt,
	uint8_t parts, enum offer how)
{
	struct lane *lane = &c->lane[p->priority];

	if (!c->opened || c->closing) {
		message_unref(&m); /* the queue is read from its beginning when it opens again */
		return;
	}
	if (queue_passed(c, p, m->id)) {
		message_unref(&m); /* a load has brought it already */
		return;
	}
	if (how == OFFER_LATER) {
		earlier(&lane->next_due, p->due);
		earlier(&lane->added_due, p->due);
		message_unref(&m);
	} else if (how == OFFER_DISK || lane->more || lane->loading || is_full(c, lane, m) ||
		   (lane->next_due && p->due >= lane->next_due)) {
		leave(lane, m);
	} else {
		lane->cur_due = p->due;
		lane->cur_id = m->id;
		if (is_barred(c, p, m->id)) /* an order saw it on disk before we heard of it */
			message_unref(&m);
		else
			lane_insert(lane, flight_new(c, m, p, attempt, parts));
	}
	channel_pump(c);
}

bool queue_passed(const struct flow_channel *c, const struct place *p, uint64_t id)
{
	const struct lane *lane = &c->lane[p->priority];

	return key_cmp(p->due, id, lane->cur_due, lane->cur_id) <= 0;
}

void queue_put_back(struct flow_channel *c, struct flight *f)
{
	lane_insert(&c->lane[f->place.priority], f);
}

void queue_remove(struct flow_channel *c, struct flight *f)
{
	struct lane *lane = &c->lane[f->place.priority];

	list_remove(&f->link);
	lane->n--;
	lane->bytes -= f->bytes;
}

void queue_take(struct flow_channel *c, struct flight *f)
{
	struct lane *lane = &c->lane[f->place.priority];

	if (lane->share)
		lane->share--;
	queue_remove(c, f);
}

/* High goes first, but each round of turns leaves some to the others. */
struct flight *queue_next(struct flow_channel *c)
{
	static const unsigned shares[PRIORITY_COUNT] = { SHARE_HIGH, SHARE_NORMAL, SHARE_BULK };
	bool some = false;

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < PRIORITY_COUNT; i++) {
			struct lane *lane = &c->lane[i];

			if (list_empty(&lane->waiting))
				continue;
			some = true;
			if (lane->share == 0)
				continue;
			return list_first(&lane->waiting, struct flight, link);
		}
		if (!some)
			return NULL;
		for (int i = 0; i < PRIORITY_COUNT; i++)
			c->lane[i].share = shares[i];
	}
	return NULL;
}

struct flight *queue_find(struct flow_channel *c, uint64_t id)
{
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		list_each (it, &c->lane[i].waiting) {
			struct flight *f = CONTAINER(it, struct flight, link);

			if (f->d.msg->id == id)
				return f;
		}
	}
	return NULL;
}

unsigned queue_waiting(const struct flow_channel *c)
{
	return c->lane[0].n + c->lane[1].n + c->lane[2].n;
}

uint64_t queue_bytes(const struct flow_channel *c)
{
	return c->lane[0].bytes + c->lane[1].bytes + c->lane[2].bytes;
}

wall_t queue_next_due(const struct flow_channel *c)
{
	wall_t next = 0;

	for (int i = 0; i < PRIORITY_COUNT; i++)
		if (c->lane[i].next_due)
			earlier(&next, c->lane[i].next_due);
	return next;
}

mono_t queue_wake(const struct flow_channel *c)
{
	mono_t wake = 0;

	for (int i = 0; i < PRIORITY_COUNT && c->ready && c->opened; i++) {
		const struct lane *lane = &c->lane[i];

		if (lane->more && !lane->loading && is_low(c, lane) && lane->not_before &&
			(!wake || lane->not_before < wake))
			wake = lane->not_before;
	}
	return wake;
}

void queue_refill(struct flow_channel *c)
{
	wall_t now;

	if (!c->ready || !c->opened || c->closing)
		return;
	now = gateway_due_now(c->gw);
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		struct lane *lane = &c->lane[i];
		struct store_load *l = &lane->load;
		uint64_t bytes = lane_bytes(c);

		if (lane->next_due && lane->next_due <= now)
			lane->more = true;
		if (!lane->more || lane->loading || !is_low(c, lane) ||
			loop_now(c->pub.loop) < lane->not_before)
			continue;
		lane->loading = true;
		lane->dirty = false;
		lane->added_due = 0;
		*l = (struct store_load){
			.kind = LOAD_QUEUE,
			.loop = c->pub.loop,
			.done = load_done,
			.channel = c->pub.number,
			.priority = (uint8_t)i,
			.after_due = lane->cur_due,
			.after_id = lane->cur_id,
			.until = now,
			.most = c->high - lane->n,
			.bytes_most = bytes > lane->bytes ? bytes - lane->bytes : 1,
		};
		store_load(gateway_store(c->gw), l);
	}
}

/* ---- rows that loads leave alone ---- */
struct barred *queue_bar(struct flow_channel *c, const struct place *p, uint64_t id)
{
	struct barred *b = mem_new(struct barred);

	b->id = id;
	b->place = *p;
	list_append(&c->barred, &b->link);
	return b;
}

static void barred_free(struct barred *b)
{
	list_remove(&b->link);
	mem_free(&b);
}

bool queue_unbar(struct flow_channel *c, struct barred *b, bool stays)
{
	struct lane *lane = &c->lane[b->place.priority];
	bool skipped = b->skipped;

	/* The load under way may have read the row as it was. */
	if (lane->loading && stays && !skipped)
		lane->stale = true;
	if (lane->loading && !stays)
		b->over = true;
	else
		barred_free(b);
	return skipped;
}

static bool is_barred(struct flow_channel *c, const struct place *p, uint64_t id)
{
	list_each (it, &c->barred) {
		struct barred *b = CONTAINER(it, struct barred, link);

		if (b->id != id || b->place.due != p->due || b->place.priority != p->priority)
			continue;
		b->skipped = true;
		return true;
	}
	return false;
}

static void barred_end(struct flow_channel *c, const struct lane *lane)
{
	list_each_safe (it, &c->barred) {
		struct barred *b = CONTAINER(it, struct barred, link);

		if (b->over && &c->lane[b->place.priority] == lane)
			barred_free(b);
	}
}

/* ---- loads ---- */
static void load_row(struct flow_channel *c, struct lane *lane, struct queue_row *r)
{
	struct flight *f;

	if (queue_passed(c, &r->place, r->msg->id)) {
		message_unref(&r->msg);
		return;
	}
	lane->cur_due = r->place.due;
	lane->cur_id = r->msg->id;
	if (is_barred(c, &r->place, r->msg->id)) {
		message_unref(&r->msg);
		return;
	}
	f = flight_new(c, r->msg, &r->place, r->attempt, r->parts);
	r->msg = NULL;
	f->marked = f->crashed = r->marked;
	f->d.repeated |= r->marked;
	f->d.concat_ref = r->concat_ref;
	memcpy(f->d.parts_sent, r->parts_sent, sizeof f->d.parts_sent);
	lane_insert(lane, f);
}

/* What was read is no longer wanted: the queue was reset meanwhile, or its channel closes. */
static void load_dropped(struct lane *lane, struct store_load *l)
{
	for (unsigned i = 0; i < l->n; i++)
		message_unref(&l->rows[i].msg);
	lane->stale = false;
	lane->more = true;
}

static void load_done(struct store_load *l)
{
	struct lane *lane = CONTAINER(l, struct lane, load);
	struct flow_channel *c = lane->ch;
	bool wanted = !lane->stale && c->opened && !c->closing;

	lane->loading = false;
	if (!wanted)
		load_dropped(lane, l);
	for (unsigned i = 0; wanted && i < l->n; i++)
		load_row(c, lane, &l->rows[i]);
	if (wanted && l->end) {
		lane->more = lane->dirty;
		lane->next_due = l->next_due;
		if (lane->added_due)
			earlier(&lane->next_due, lane->added_due);
		/* the commit under way stands before what is due */
		if (l->n == 0 && !lane->more)
			lane->not_before = loop_now(c->pub.loop) + AGAIN_IN;
	}
	barred_end(c, lane);
	store_load_free(l);
	channel_pump(c);
}

void queue_forget(struct flow_channel *c)
{
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		list_each_safe (it, &c->lane[i].waiting) {
			struct flight *f = CONTAINER(it, struct flight, link);

			queue_remove(c, f);
			flight_free(&f);
		}
	}
}

void queue_done(struct flow_channel *c)
{
	queue_forget(c);
	list_each_safe (it, &c->barred)
		barred_free(CONTAINER(it, struct barred, link));
}
