/* The gateway's own parts: gateway.c (made, started, stopped), reload.c, describe.c, strays.c. */
#ifndef POSTERN_FLOW_GATEWAY_PRIVATE_H
#define POSTERN_FLOW_GATEWAY_PRIVATE_H

#include "gateway/base/waiter.h"
#include "gateway/flow/flow.h"

enum { NUMBERS_MOST = 1 << 16, LOOPS_MOST = 64, WORKERS = 3, EVIDENCE_KINDS = 7 };

struct strays;
struct gateway {
	struct settings *first;    /* those of the start: the store and the state directory's */
	struct settings *settings; /* in force; main and reload only, others ask the plan */
	unsigned generation;       /* written between loop calls, read on loops */
	struct spool *spool;       /* <state>/spool */
	struct store *store;       /* NULL once closed */
	struct inflight *inflight;
	struct loop *loops[LOOPS_MOST];
	unsigned loops_n, next_loop;
	_Atomic(struct plan *) plan;
	_Atomic bool ready, stopping;
	/* by the store's numbers; written under reload only, read by every loop */
	_Atomic(struct flow_channel *) channel[NUMBERS_MOST];
	_Atomic(struct flow_account *) account[NUMBERS_MOST];
	struct flow_channel *fallback;
	_Atomic unsigned names_top; /* highest number in use */
	/* Threads that are no loops and look at the plan or the settings, by turns. */
	_Atomic unsigned turn, inside[2];
	sem_t listing; /* listeners: the array, and that none is freed while it is looked at */
	struct flow_listener **listeners;
	size_t listeners_n;
	struct strays *strays;
	struct flow_plugin **plugins; /* made at the start, fixed */
	size_t plugins_n;
	struct stat_cell lag[LOOPS_MOST], info, uptime;
	struct stat_cell evidence[EVIDENCE_KINDS], evidence_lost;
	mono_t started;
	int lock_fd; /* <state>/lock: one gateway per state directory */
	struct timer depth_timer;
	struct letter depth_letter;
};

extern const struct protocol protocol_fallback;

/* gateway.c, for reload.c */
struct flow_channel *gateway_add_channel(
	struct gateway *g, const struct channel_conf *conf, struct settings *s, struct err *e);
int gateway_add_listener(
	struct gateway *g, const struct listener_conf *conf, struct settings *s, struct err *e);
/* Closes it, at most for the grace, and forgets it. */
void gateway_end_listener(struct gateway *g, struct flow_listener *l, dur_t grace);
struct flow_channel *gateway_channel_any(struct gateway *g, const char *name); /* retired, too */
void gateway_listing(struct gateway *g, bool begins);

/* evidence.c */
void evidence_stats(struct gateway *g, bool on);

/* strays.c: what no channel of these settings looks after */
struct strays *strays_new(struct gateway *g);
void strays_free(struct strays **sp);
void strays_tick(struct strays *s); /* every second, on the first loop */

#endif
