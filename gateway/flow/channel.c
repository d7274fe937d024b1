/* One configured way out: its mode, credit, breaker, timers and figures. Its home loop; what other
 * threads may read is atomic.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/waiter.h"
#include "gateway/flow/flow.h"

enum { PUMP_MOST = 512, EVACUATE_MOST = 500, SWEEP_MOST = 1000 };
#define SWEEP_EVERY    (2 * DUR_S)
#define EVACUATE_AGAIN (50 * DUR_MS) /* while there is more to move */

static void pump_run(struct letter *l);
static void reopen_run(struct letter *l);
static void timer_fired(struct timer *t);
static void sweep_fired(struct timer *t);

static void register_stats(struct flow_channel *c)
{
	struct channel_stats *s = &c->stats;
	const char *n = c->pub.name;

#define S(field, kind, name, help) \
	stat_register(&s->field, kind, "postern_channel_" name, help, "channel", n, NULL)
	S(accepted, STAT_COUNTER, "accepted_total", "Messages accepted for this channel.");
	S(sent, STAT_COUNTER, "sent_total", "Parts that the far side took.");
	S(delivered, STAT_COUNTER, "delivered_total", "Receipts that said delivered.");
	S(failed, STAT_COUNTER, "failed_total", "Messages that ended without being sent.");
	S(expired, STAT_COUNTER, "expired_total", "Messages whose validity ended in the queue.");
	S(retried, STAT_COUNTER, "retried_total", "Attempts that are to be repeated.");
	S(throttled, STAT_COUNTER, "throttled_total", "Answers that asked to slow down.");
	S(uncertain, STAT_COUNTER, "uncertain_total", "Attempts whose outcome is not known.");
	S(failed_over, STAT_COUNTER, "failed_over_total", "Messages given to the next channel.");
	S(receipts, STAT_COUNTER, "receipts_total", "Receipts that changed a message's state.");
	S(receipts_again, STAT_COUNTER, "receipts_repeated_total",
		"Receipts that said nothing new.");
	S(receipts_unknown, STAT_COUNTER, "receipts_unmatched_total",
		"Receipts that matched no message when they came.");
	S(mo, STAT_COUNTER, "subscriber_messages_total", "Messages from subscribers.");
	S(window, STAT_GAUGE, "window", "Parts that may be in flight.");
	S(in_flight, STAT_GAUGE, "in_flight", "Parts sent and not yet recorded.");
	S(waiting, STAT_GAUGE, "waiting_in_memory", "Messages of the queue that are in memory.");
	S(waiting_bytes, STAT_GAUGE, "waiting_in_memory_bytes", "What these take.");
	S(rate, STAT_GAUGE, "rate", "Rate in force in parts/s, 0: no limit.");
	S(up, STAT_GAUGE, "up", "1 when it can send.");
	S(took, STAT_HISTOGRAM, "answer_seconds", "From submitting to the far side's answer.");
	S(receipt_took, STAT_HISTOGRAM, "receipt_seconds", "From the answer to the receipt.");
#undef S
}

/* One that is not configured has no figures. */
static void unregister_stats(struct channel_stats *s)
{
	struct stat_cell *all = (struct stat_cell *)s;

	for (size_t i = 0; i < sizeof *s / sizeof *all; i++)
		stat_unregister(&all[i]);
}

/* The store's number of the channel, of the group whose ids it shares. */
static uint32_t ids_number(struct store *st, const struct channel_conf *conf, struct err *e)
{
	struct buf b = BUF_INIT;
	uint32_t n;

	if (!conf->group[0])
		return store_number(st, STORE_CHANNEL, conf->name, e);
	buf_printf(&b, "group:%s", conf->group);
	n = store_number(st, STORE_CHANNEL, buf_cstr(&b), e);
	buf_free(&b);
	return n;
}

int channel_numbers(struct gateway *gw, const struct channel_conf *conf, struct err *e)
{
	struct store *st = gateway_store(gw);

	if (!store_number(st, STORE_CHANNEL, conf->name, e) || !ids_number(st, conf, e))
		return -1;
	if (conf->mo_to[0] && !store_number(st, STORE_SUBMITTER, conf->mo_to, e))
		return -1;
	for (size_t i = 0; i < conf->mo_routes_n; i++)
		if (!store_number(st, STORE_SUBMITTER, conf->mo_routes[i].account, e))
			return -1;
	return 0;
}

/* Whom subscribers' messages go to. All names have their numbers. */
static void resolve_mo(struct flow_channel *c)
{
	const struct channel_conf *conf = c->pub.conf;
	struct store *st = gateway_store(c->gw);
	struct err e;

	c->mo_outlet = conf->mo_to[0] ? store_number(st, STORE_SUBMITTER, conf->mo_to, &e) : 0;
	mem_free(&c->mo_outlets);
	if (conf->mo_routes_n)
		c->mo_outlets = mem_alloc(conf->mo_routes_n * sizeof *c->mo_outlets);
	for (size_t i = 0; i < conf->mo_routes_n; i++)
		c->mo_outlets[i] =
			store_number(st, STORE_SUBMITTER, conf->mo_routes[i].account, &e);
}

static void take_conf(struct flow_channel *c, const struct channel_conf *conf, struct settings *s)
{
	struct err e;

	c->pub.conf = conf;
	c->pub.specific = conf->specific;
	c->pub.country = s->country;
	c->pub.trunk = s->trunk;
	c->pub.mail = &s->mail;
	settings_swap(&c->settings, s);
	c->number = ids_number(gateway_store(c->gw), conf, &e);
	resolve_mo(c);
	pace_set(&c->pace, conf->rate);
}

struct flow_channel *channel_new(struct gateway *gw, const struct channel_conf *conf,
	struct settings *s, struct loop *loop, struct err *e)
{
	struct flow_channel *c;
	const struct protocol *p = protocol_by_name(str_of(conf->type));

	if (channel_numbers(gw, conf, e) != 0)
		return NULL;
	c = mem_new(struct flow_channel);
	c->gw = gw;
	c->pub = (struct channel){
		.name = mem_dup(str_of(conf->name)),
		.protocol = p,
		.loop = loop,
		.spool = gateway_spool(gw),
		.self = mem_alloc(p->channel_size),
		.number = store_number(gateway_store(gw), STORE_CHANNEL, conf->name, e),
	};
	c->pump.run = pump_run;
	c->reopen.run = reopen_run;
	c->timer.fire = timer_fired;
	c->sweep.fire = sweep_fired;
	c->breaker_wait = (struct backoff){ .first = DUR_S, .most = DUR_MIN, .factor = 2 };
	atomic_init(&c->mode, (int)channel_mode_kept(c));
	if (atomic_load(&c->mode) != CHANNEL_RUNS)
		log_warn("channel is still as the operator left it", F_STR("channel", conf->name),
			F_STR("mode", atomic_load(&c->mode) == CHANNEL_HELD ? "held" : "drains"));
	atomic_init(&c->down_since, clock_mono());
	pace_init(&c->pace, conf->rate, clock_mono());
	take_conf(c, conf, s);
	queue_init(c);
	register_stats(c);
	return c;
}

void channel_free(struct flow_channel **cp)
{
	struct flow_channel *c = *cp;

	queue_done(c);
	unregister_stats(&c->stats);
	settings_free(&c->next.settings);
	settings_free(&c->settings);
	mem_free(&c->pub.self);
	mem_free(&c->pub.name);
	mem_free(&c->mo_outlets);
	mem_free(cp);
}

/* ---- opening and closing ---- */
static int nothing(struct sql *db, struct store_op *op)
{
	return 0;
}

struct recording {
	struct store_op op; /* first */
	struct flow_channel *c;
	unsigned life;
};

static void recorded(struct store_op *op)
{
	struct recording *r = (struct recording *)op;
	struct flow_channel *c = r->c;

	if (r->life == c->life)
		c->ready = true;
	mem_free(&r);
	channel_pump(c);
}

/* What it sent in its last life must be on record before the queue is read again. */
static void await_records(struct flow_channel *c)
{
	struct recording *r = mem_new(struct recording);

	r->c = c;
	r->life = c->life;
	r->op.kind = OP_CALL;
	r->op.loop = c->pub.loop;
	r->op.done = recorded;
	r->op.call.run = nothing;
	store_do(gateway_store(c->gw), &r->op);
}

void channel_open(struct flow_channel *c)
{
	struct err e = { 0 };

	c->opened = true;
	c->closing = false;
	c->ready = c->life++ == 0;
	if (!c->ready)
		await_records(c);
	timer_in(c->pub.loop, &c->sweep, SWEEP_EVERY);
	if (c->pub.protocol->open(&c->pub, &e) != 0) {
		/* It degrades itself, not the daemon: it keeps its queue and says why. */
		str_copy(c->why, sizeof c->why, str_of(e.text));
		log_error("channel cannot open", F_STR("channel", c->pub.name), F_ERR(&e));
	}
	channel_pump(c);
}

static void shut(struct flow_channel *c, dur_t grace)
{
	c->closing = true;
	timer_cancel(c->pub.loop, &c->timer);
	timer_cancel(c->pub.loop, &c->sweep);
	queue_forget(c);
	c->pub.protocol->close(&c->pub, grace);
}

/* Not from within channel_closed(): the protocol may have a last word to itself behind that. */
static void reopen_run(struct letter *l)
{
	struct flow_channel *c = CONTAINER(l, struct flow_channel, reopen);
	const struct protocol *p;

	c->reopen_due = false;
	if (!c->next.conf || c->opened)
		return;
	p = protocol_by_name(str_of(c->next.conf->type));
	if (p != c->pub.protocol) {
		c->pub.protocol = p;
		mem_free(&c->pub.self);
		c->pub.self = mem_alloc(p->channel_size);
	}
	take_conf(c, c->next.conf, c->next.settings);
	c->next.conf = NULL;
	settings_free(&c->next.settings);
	queue_reset(c);
	c->breaker = BREAKER_CLOSED;
	backoff_reset(&c->breaker_wait);
	c->why[0] = '\0';
	channel_open(c);
}

static void reopen_soon(struct flow_channel *c)
{
	if (c->reopen_due || !c->next.conf || c->opened)
		return;
	c->reopen_due = true;
	loop_later(c->pub.loop, &c->reopen);
}

static void open_next(struct flow_channel *c, const struct channel_conf *conf, struct settings *s)
{
	c->next.conf = conf;
	settings_swap(&c->next.settings, conf ? s : NULL);
	reopen_soon(c);
}

void channel_closed(struct channel *pub)
{
	struct flow_channel *c = flow_channel(pub);
	struct waiter *w = c->closed_waiter;

	CHECK(c->outstanding == 0);
	c->opened = c->closing = false;
	c->window = 0;
	channel_judge(c);
	queue_forget(c);
	queue_reset(c);
	reopen_soon(c);
	if (atomic_load(&c->retired))
		unregister_stats(&c->stats);
	c->closed_waiter = NULL;
	if (w)
		waiter_signal(w);
}

/* May the new settings be taken over by what is open? */
static bool adopts(struct flow_channel *c, const struct channel_conf *conf)
{
	const struct channel_conf *old = c->pub.conf;
	const struct protocol *p = c->pub.protocol;

	if (!c->opened || c->closing || strcmp(p->name, conf->type) != 0 ||
		conf->connections != old->connections || conf->window != old->window ||
		strcmp(conf->group, old->group) != 0)
		return false;
	return conf_equal(p->channel_conf, conf->specific, old->specific) ||
	       (p->adopt && p->adopt(&c->pub, conf->specific) == 0);
}

void channel_take(struct flow_channel *c, const struct channel_conf *conf, struct settings *s)
{
	if (atomic_exchange(&c->retired, false) && !c->stats.sent.labels)
		register_stats(c);
	if (adopts(c, conf)) {
		take_conf(c, conf, s);
		channel_pump(c);
		return;
	}
	open_next(c, conf, s);
	if (c->opened && !c->closing)
		shut(c, s->shutdown_grace);
}

void channel_retire(struct flow_channel *c)
{
	atomic_store(&c->retired, true);
	open_next(c, NULL, NULL);
	log_warn("channel removed", F_STR("channel", c->pub.name),
		F_STR("note", "what waits for it stays on disk until it is requeued"));
	if (!c->opened)
		unregister_stats(&c->stats);
	else if (!c->closing)
		shut(c, c->settings->shutdown_grace);
}

void channel_stop(struct flow_channel *c, dur_t grace, struct waiter *w)
{
	open_next(c, NULL, NULL);
	timer_cancel(c->pub.loop, &c->sweep);
	if (!c->opened) {
		waiter_signal(w);
		return;
	}
	c->closed_waiter = w;
	if (!c->closing)
		shut(c, grace);
}

/* ---- whether it can send ---- */
void channel_judge(struct flow_channel *c)
{
	bool usable = c->window && c->breaker != BREAKER_OPEN;

	if (usable)
		atomic_store(&c->down_since, 0);
	else if (!atomic_load(&c->down_since))
		atomic_store(&c->down_since, loop_now(c->pub.loop));
	stat_set(&c->stats.up, c->window && c->breaker == BREAKER_CLOSED);
}

void channel_window(struct channel *pub, unsigned parts, const struct err *why)
{
	struct flow_channel *c = flow_channel(pub);
	bool was = c->window != 0;

	c->window = parts;
	stat_set(&c->stats.window, parts);
	if (c->breaker == BREAKER_CLOSED)
		str_copy(c->why, sizeof c->why, why ? str_of(why->text) : STR_NONE);
	channel_judge(c);
	if (was != (parts != 0)) {
		if (parts)
			log_info("channel up", F_STR("channel", pub->name), F_U64("window", parts));
		else if (c->closing)
			log_info("channel closes", F_STR("channel", pub->name));
		else
			log_warn("channel down", F_STR("channel", pub->name), F_STR("why", c->why));
	}
	if (parts)
		channel_pump(c);
}

void channel_congestion(struct channel *pub, unsigned percent)
{
	struct flow_channel *c = flow_channel(pub);

	if (percent > 90)
		pace_throttled(&c->pace, 0, loop_now(pub->loop));
}

void channel_set_mode(struct flow_channel *c, enum channel_mode m)
{
	atomic_store(&c->mode, (int)m);
	channel_pump(c);
}

/* ---- sending what may go ---- */
void channel_pump(struct flow_channel *c)
{
	if (c->pump_due)
		return;
	c->pump_due = true;
	loop_later(c->pub.loop, &c->pump);
}

static bool breaker_lets(struct flow_channel *c, mono_t now, mono_t *wake)
{
	switch (c->breaker) {
	case BREAKER_CLOSED:
		return true;
	case BREAKER_OPEN:
		if (now < c->breaker_until) {
			if (!*wake || c->breaker_until < *wake)
				*wake = c->breaker_until;
			return false;
		}
		/* Routes choose it again from now on, or nothing would come to be tried with. */
		c->breaker = BREAKER_TRIAL;
		channel_judge(c);
		return c->outstanding == 0;
	default:
		return c->outstanding == 0; /* one at a time until one passes */
	}
}

static unsigned parts_to_send(const struct flight *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->d.parts; i++)
		n += !delivery_part_sent(&f->d, i);
	return n;
}

/* Submits while credit, pace and breaker allow; *wake is when to come again, 0: when told. */
static void send_what_may_go(struct flow_channel *c, mono_t now, mono_t *wake)
{
	for (int i = 0; i < PUMP_MOST; i++) {
		struct flight *f;
		dur_t wait;

		if (c->window == 0 || c->in_flight >= c->window || !breaker_lets(c, now, wake))
			return;
		f = queue_next(c);
		if (!f)
			return;
		if (c->in_flight && c->in_flight + parts_to_send(f) > c->window)
			return;
		wait = pace_wait(&c->pace, now);
		if (wait) {
			if (!*wake || now + wait < *wake)
				*wake = now + wait;
			return;
		}
		flight_submit(c, f);
	}
	*wake = now; /* fairness: others first, then on */
}

static void pump_run(struct letter *l)
{
	struct flow_channel *c = CONTAINER(l, struct flow_channel, pump);
	int mode = atomic_load(&c->mode);
	mono_t now = loop_now(c->pub.loop), wake = 0, again;
	wall_t due;

	c->pump_due = false;
	if (c->closing || !c->opened)
		return;
	if (mode == CHANNEL_RUNS || mode == CHANNEL_DRAINS)
		send_what_may_go(c, now, &wake);
	queue_refill(c);
	again = queue_wake(c);
	if (again && (!wake || again < wake))
		wake = again;
	due = queue_next_due(c);
	if (due) {
		dur_t in = due - gateway_due_now(c->gw);

		in = in < DUR_MS ? DUR_MS : in < DUR_DAY ? in : DUR_DAY;
		if (!wake || now + in < wake)
			wake = now + in;
	}
	stat_set(&c->stats.waiting, queue_waiting(c));
	stat_set(&c->stats.waiting_bytes, queue_bytes(c));
	if (wake)
		timer_set(c->pub.loop, &c->timer, wake);
	else
		timer_cancel(c->pub.loop, &c->timer);
}

static void timer_fired(struct timer *t)
{
	channel_pump(CONTAINER(t, struct flow_channel, timer));
}

/* ---- what time does to messages ---- */
static void overdue_done(struct store_load *l)
{
	struct flow_channel *c = CONTAINER(l, struct flow_channel, overdue);

	c->overdue_busy = false;
	for (unsigned i = 0; i < l->n && c->opened && !c->closing; i++) {
		struct store_op *op = store_op_new(OP_FINAL, NULL, NULL);

		op->final.id = l->ids[i].id;
		op->final.state = STATE_UNKNOWN;
		op->final.reason = REASON_NO_RECEIPT;
		op->final.only_if_sent = true;
		store_do(gateway_store(c->gw), op);
	}
	store_load_free(l);
	if (l->end)
		l->after_key[0] = '\0';
}

static void expired_done(struct store_load *l)
{
	struct flow_channel *c = CONTAINER(l, struct flow_channel, expired);

	c->expired_busy = false;
	for (unsigned i = 0; i < l->n && c->opened && !c->closing; i++) {
		struct store_op *op;
		struct flight *f;

		if (l->ids[i].late) {
			op = store_op_new(OP_LATE, NULL, NULL);
			op->late.id = l->ids[i].id;
			store_do(gateway_store(c->gw), op);
			continue;
		}
		f = queue_find(c, l->ids[i].id);
		if (f) {
			struct outcome o = outcome_of(REASON_EXPIRED);

			queue_remove(c, f);
			flight_final(c, f, STATE_EXPIRED, &o);
			continue;
		}
		if (queue_passed(c, &l->ids[i].place, l->ids[i].id))
			continue; /* in flight: its answer decides */
		op = store_op_new(OP_FINAL, NULL, NULL);
		op->final.id = l->ids[i].id;
		op->final.place = l->ids[i].place;
		op->final.state = STATE_EXPIRED;
		op->final.reason = REASON_EXPIRED;
		op->final.only_if_queued = true;
		store_do(gateway_store(c->gw), op);
		stat_inc(&c->stats.expired);
	}
	store_load_free(l);
	if (l->end) {
		l->priority = 0;
		l->after_due = 0;
		l->after_id = 0;
		if (c->opened && !c->closing && l->late_until > c->late_from)
			c->late_from = l->late_until;
	}
}

wall_t channel_late(const struct flow_channel *c)
{
	dur_t notice = gateway_settings(c->gw)->mail.delay_notice;

	return notice ? gateway_due_now(c->gw) - notice : 0;
}

static void start_sweep(struct flow_channel *c, struct store_load *l, enum load_kind kind,
	uint32_t channel, wall_t until, void (*done)(struct store_load *))
{
	l->kind = kind;
	l->loop = c->pub.loop;
	l->done = done;
	l->channel = channel;
	l->until = until;
	l->most = SWEEP_MOST;
	store_load(gateway_store(c->gw), l);
}

static void sweep_fired(struct timer *t)
{
	struct flow_channel *c = CONTAINER(t, struct flow_channel, sweep);
	mono_t now = loop_now(c->pub.loop), since = atomic_load(&c->down_since);
	wall_t wall = clock_wall();

	if (c->closing)
		return;
	timer_in(c->pub.loop, &c->sweep, SWEEP_EVERY);
	stat_set(&c->stats.rate, (uint64_t)pace_rate(&c->pace));
	if (!c->overdue_busy) {
		c->overdue_busy = true;
		start_sweep(c, &c->overdue, LOAD_OVERDUE, c->number,
			wall - c->pub.conf->receipt_wait, overdue_done);
	}
	if (!c->expired_busy) {
		c->expired_busy = true;
		if (!c->expired.priority && !c->expired.after_due && !c->expired.after_id) {
			c->expired.late_from = c->late_from;
			c->expired.late_until = channel_late(c);
		}
		start_sweep(c, &c->expired, LOAD_EXPIRED, c->pub.number, wall, expired_done);
	}
	if (since && now - since >= c->pub.conf->failover_after &&
		atomic_load(&c->mode) == CHANNEL_RUNS && channel_evacuate(c, EVACUATE_MOST) != 0) {
		timer_in(c->pub.loop, &c->sweep, EVACUATE_AGAIN);
		channel_pump(c); /* more of it from the disk */
	}
}

/* ---- for people ---- */
static const char *health_word(const struct flow_channel *c)
{
	switch (atomic_load(&c->mode)) {
	case CHANNEL_HELD:
		return "held";
	case CHANNEL_DRAINS:
		return "draining";
	default:
		if (c->breaker != BREAKER_CLOSED)
			return "stopped";
		return c->window ? "up" : "down";
	}
}

void channel_describe(struct flow_channel *c, struct buf *b)
{
	buf_c(b, "{\"name\":");
	buf_json(b, str_of(c->pub.name));
	buf_printf(b, ",\"type\":\"%s\",\"health\":\"%s\",\"why\":", c->pub.protocol->name,
		health_word(c));
	buf_json(b, str_of(c->why));
	buf_printf(b,
		",\"window\":%u,\"in_flight\":%u,\"in_memory\":%u,\"rate\":%.1f,\"agreed_rate\":%."
		"1f",
		c->window, c->in_flight, queue_waiting(c), pace_rate(&c->pace), c->pace.agreed);
	buf_printf(b,
		",\"accepted\":%lu,\"sent\":%lu,\"delivered\":%lu,\"failed\":%lu,\"expired\":%lu,"
		"\"retried\":%lu,\"throttled\":%lu,\"uncertain\":%lu,\"failed_over\":%lu,"
		"\"receipts\":%lu,\"receipts_unmatched\":%lu,\"receipts_repeated\":%lu,\"mo\":%lu",
		stat_get(&c->stats.accepted), stat_get(&c->stats.sent),
		stat_get(&c->stats.delivered), stat_get(&c->stats.failed),
		stat_get(&c->stats.expired), stat_get(&c->stats.retried),
		stat_get(&c->stats.throttled), stat_get(&c->stats.uncertain),
		stat_get(&c->stats.failed_over), stat_get(&c->stats.receipts),
		stat_get(&c->stats.receipts_unknown), stat_get(&c->stats.receipts_again),
		stat_get(&c->stats.mo));
	buf_printf(b, ",\"answer_p50_ms\":%.1f,\"answer_p99_ms\":%.1f",
		(double)stat_quantile(&c->stats.took, 0.5) / 1e6,
		(double)stat_quantile(&c->stats.took, 0.99) / 1e6);
	if (c->pub.protocol->describe) {
		buf_c(b, ",\"far_side\":{");
		c->pub.protocol->describe(&c->pub, b);
		buf_char(b, '}');
	}
	buf_char(b, '}');
}
