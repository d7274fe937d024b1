/* The queue of one channel: a window in memory over what is on disk. The channel's loop.
 *
 * The store gives due times and ids in commit order, and offers come in commit order too, so one
 * cursor per lane tells what is in memory or done with (keys up to it) from what is on disk alone
 * (keys beyond). A committed message enters memory directly only if nothing on disk stands before
 * it; otherwise it stays on disk and a load brings it. So memory is bounded, order is kept, and
 * nothing is loaded twice or forgotten.
 */
#include "gateway/base/log.h"
#include "gateway/flow/flow.h"

enum { SHARE_HIGH = 16, SHARE_NORMAL = 4, SHARE_BULK = 1, LANE_LEAST = 1024, LANE_MOST = 8192 };

static void load_done(struct store_load *l);

void queue_init(struct flow_channel *c)
{
	unsigned want = (unsigned)(c->pub.conf->window * c->pub.conf->connections) * 4;

	c->high = want < LANE_LEAST ? LANE_LEAST : want > LANE_MOST ? LANE_MOST : want;
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		struct lane *lane = &c->lane[i];

		list_init(&lane->waiting);
		lane->ch = c;
		lane->more = true; /* whatever the last run left */
	}
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
	f->state = FLIGHT_WAITS;
}

void queue_offer(struct flow_channel *c, struct message *m, const struct place *p, unsigned attempt,
	uint8_t parts)
{
	wall_t now = gateway_due_now(c->gw);
	struct lane *lane;

	/* Accepted by the routes of before a reload that opened this channel anew: the new one may
	 * have looked at the disk already. */
	if (c->closing && gateway_channel(c->gw, c->pub.number))
		c = gateway_channel(c->gw, c->pub.number);
	lane = &c->lane[p->priority];
	if (key_cmp(p->due, m->id, lane->cur_due, lane->cur_id) <= 0) {
		message_unref(&m); /* a load has brought it already */
		return;
	}
	if (p->due > now) {
		earlier(&lane->next_due, p->due);
		earlier(&lane->added_due, p->due);
		message_unref(&m);
		channel_pump(c); /* sets the timer */
		return;
	}
	if (lane->more || lane->loading || lane->n >= c->high ||
		(lane->next_due && p->due >= lane->next_due)) {
		lane->more = lane->dirty = true;
		message_unref(&m);
		channel_pump(c);
		return;
	}
	lane_insert(lane, flight_new(c, m, p, attempt, parts));
	lane->cur_due = p->due;
	lane->cur_id = m->id;
	channel_pump(c);
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
			lane->share--;
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

wall_t queue_next_due(const struct flow_channel *c)
{
	wall_t next = 0;

	for (int i = 0; i < PRIORITY_COUNT; i++)
		if (c->lane[i].next_due)
			earlier(&next, c->lane[i].next_due);
	return next;
}

void queue_refill(struct flow_channel *c)
{
	wall_t now = gateway_due_now(c->gw);

	for (int i = 0; i < PRIORITY_COUNT; i++) {
		struct lane *lane = &c->lane[i];
		struct store_load *l = &lane->load;

		if (lane->next_due && lane->next_due <= now)
			lane->more = true;
		if (!lane->more || lane->loading || lane->n > c->high / 2)
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
		};
		store_load(gateway_store(c->gw), l);
	}
}

static void load_row(struct flow_channel *c, struct lane *lane, struct queue_row *r)
{
	struct flight *f;

	if (key_cmp(r->place.due, r->msg->id, lane->cur_due, lane->cur_id) <= 0) {
		message_unref(&r->msg);
		return;
	}
	lane->cur_due = r->place.due;
	lane->cur_id = r->msg->id;
	if (channel_cancelling(c, r->msg->id)) {
		message_unref(&r->msg);
		return;
	}
	f = flight_new(c, r->msg, &r->place, r->attempt, r->parts);
	r->msg = NULL;
	f->marked = r->marked;
	f->d.concat_ref = r->concat_ref;
	memcpy(f->d.parts_sent, r->parts_sent, sizeof f->d.parts_sent);
	f->d.repeated = gateway_was_in_flight(c->gw, f->d.msg->id);
	lane_insert(lane, f);
}

static void load_done(struct store_load *l)
{
	struct lane *lane = CONTAINER(l, struct lane, load);
	struct flow_channel *c = lane->ch;
	bool closed = c->closing;

	lane->loading = false;
	for (unsigned i = 0; i < l->n; i++) {
		if (closed)
			message_unref(&l->rows[i].msg);
		else
			load_row(c, lane, &l->rows[i]);
	}
	if (l->end) {
		lane->more = lane->dirty;
		lane->next_due = l->next_due;
		if (lane->added_due)
			earlier(&lane->next_due, lane->added_due);
	}
	store_load_free(l);
	if (!closed)
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
