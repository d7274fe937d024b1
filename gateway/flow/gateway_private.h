/* The gateway's own parts: gateway.c (made, started, stopped), reload.c, describe.c. */
#ifndef POSTERN_FLOW_GATEWAY_PRIVATE_H
#define POSTERN_FLOW_GATEWAY_PRIVATE_H

#include "gateway/flow/flow.h"

struct waiter;

enum { NUMBERS_MOST = 1 << 16, LOOPS_MOST = 64, WORKERS = 3 };

struct gateway {
	struct settings *settings;
	struct settings *before; /* the ones before these: objects may still look at them */
	unsigned generation;
	struct store *store;
	struct inflight *inflight;
	struct loop *loops[LOOPS_MOST];
	unsigned loops_n, next_loop;
	_Atomic(struct plan *) plan;
	struct plan *old_plan;
	_Atomic bool ready, stopping;
	bool unsettled; /* stopped with operations on their way */
	/* by the store's numbers; written under reload only, read by every loop */
	_Atomic(struct flow_channel *) channel[NUMBERS_MOST];
	_Atomic(struct flow_account *) account[NUMBERS_MOST];
	struct flow_channel *fallback;
	_Atomic unsigned names_top; /* highest number in use */
	struct flow_listener **listeners;
	size_t listeners_n;
	struct stat_cell lag[LOOPS_MOST], info, uptime;
	mono_t started;
	int lock_fd; /* <state>/lock: one gateway per state directory */
	struct timer depth_timer;
	struct letter depth_letter;
};

extern const struct protocol protocol_fallback;
extern const struct account_conf steps_account; /* of the attempts of fallbacks */

/* loop NULL: one of its choice. */
struct flow_channel *gateway_add_channel(struct gateway *g, const struct channel_conf *conf,
	struct settings *s, struct loop *loop, struct err *e);
struct flow_listener *gateway_make_listener(struct gateway *g, const struct protocol *p,
	const struct listener_conf *conf, struct settings *s);
void gateway_drop_listener(struct gateway *g, struct flow_listener *l); /* closed */
int gateway_open_listener(struct flow_listener *l, struct err *e);      /* waits for its loop */
void gateway_open_channel(void *channel);                               /* for loop_call() */
/* Closes several objects at once and waits for each, at most the grace and a little more. */
void gateway_shut(struct gateway *g, struct flow_channel **cs, size_t cn, struct flow_listener **ls,
	size_t ln, dur_t grace);
/* After this every loop has ended the turn in which it may have looked at an old plan. */
void gateway_loops_grace(struct gateway *g);
/* Returns when everything that was given to the store before is on disk. */
void gateway_barrier(struct gateway *g);

#endif
