/* The offers plugin in the gateway: its state, and the units of work that its faces make.
 *
 *   offers.c         the plugin's struct: configuration, tables, news, subscribers, policy
 *   offers_intake.c  POST /v1/events
 *   offers_timers.c  chains, recurring tasks, what was left raw, what is old
 *   offers_deeds.c   what is done after a commit: cancels, commands for the platform
 *
 * What is marked "loop" belongs to host->loop, "writer" to the store's writer.
 */
#ifndef POSTERN_PLUGINS_OFFERS_OFFERS_H
#define POSTERN_PLUGINS_OFFERS_OFFERS_H

#include "gateway/http/client.h"
#include "plugins/offers/engine.h"
#include "plugins/plugin.h"

/* What is done of of_deed by itself: a platform that does not answer must not hold what is to be
 * taken back. */
struct lane {
	struct timer timer;
	struct offers *o;
	bool commands;        /* not cancels */
	bool sweeping, again; /* again: something came meanwhile */
};

/* Fields of events that were passed over, each told once in the log: "purchase.completed",
 * "data.totl: is \"total\" meant?". */
struct odd_field {
	char about[40], what[160];
	uint64_t n;
	wall_t last;
};
enum { ODD_FIELDS = 64 };

/* What time brings: chains' steps; recurring tasks, and points after them; what goes with who left.
 */
enum fire_stage { FIRE_CHAINS, FIRE_TASKS, FIRE_POINTS, FIRE_LEAVING, FIRE_STAGES };

struct offers {
	struct plugin_host *h;
	/* writer */
	struct db db;
	bool open;
	bool resting; /* what a crash left raw is still being worked on */
	struct odd_field odd[ODD_FIELDS];
	unsigned odd_n;
	/* any thread */
	_Atomic uint64_t second; /* of intake.rate: number of the second << 24 | events in it */
	struct letter nudge;     /* the writer tells the loop that timers or deeds were made */
	atomic_bool nudged;
	atomic_bool adopted; /* a nudge is about another configuration */
	/* loop */
	bool begun;
	struct timer fire, tidy, raw;
	bool raw_at_work;
	dur_t raw_in; /* so long after the last failure raw events are looked for again */
	bool firing, tidying;
	mono_t fails[FIRE_STAGES]; /* what failed is left alone until then */
	struct stuck stuck;        /* or it was one member's work: those are gone past */
	struct lane lanes[2];
	bool pass_again; /* all tables are to be looked through soon */
	mono_t passed;   /* when they were, 0: not yet */
	struct http_client *http;
	/* The platform takes no commands: so many tries since then. A line when it begins, one at
	 * its end. */
	unsigned long refused;
	mono_t refused_since; /* 0: it takes them, or none was asked yet */
	bool refused_once;
	struct stat_cell events, repeats, conflicts, late, failed, fired, stale, late_cancels,
		commands, commands_failed, purged, odd_fields;
};

/* One call with its unit of work; the first member of what is allocated for it. */
struct unit {
	struct plugin_call call; /* first */
	struct work w;
	/* what it left, for done() */
	struct work_cancel *cancels;
	size_t cancels_n;
	unsigned removed;
	wall_t next_due, now;
	bool deeds;
	unsigned stale, late_cancel;
	char why[200];    /* of a unit that was undone */
	int64_t firing;   /* the chain that it failed at, 0: none */
	struct hand hand; /* or whose recurring work; its name is hand_name */
	char hand_name[64];
};
/* In run(), which may come again: an empty unit. Then either end: what it leaves is kept. Returns
 * rc. */
struct work *unit_begin(struct unit *u, struct plugin_call *c);
int unit_end(struct unit *u, int rc);
/* In done(): timers and deeds that the unit made are seen to, but not its cancels. */
void unit_settled(struct offers *o, struct unit *u);
void unit_free(struct unit *u); /* what it left; not itself */
static inline struct offers *offers_of(struct plugin_host *h)
{
	return h->self;
}

/* `posternctl offers fields`: what was passed over. On a worker. */
int offers_fields(struct plugin_words *w, struct err *e);

/* ---- offers_intake.c ---- */
void intake_run(struct plugin_request *r, struct str body); /* HTTP */

/* ---- offers_timers.c; loop ---- */
void timers_begin(struct offers *o);
void timers_end(struct offers *o);
/* Edited steps may be for chains under way. */
void timers_adopted(struct offers *o);
/* An event was kept and not worked on: it is taken up within a minute. */
void timers_raw(struct offers *o);
void timers_due(struct offers *o, wall_t due, wall_t now); /* something is due then */

/* ---- offers_deeds.c; loop ---- */
void deeds_begin(struct offers *o);
void deeds_end(struct offers *o);
void deeds_soon(struct offers *o, dur_t in);
/* Cancels what a unit asked for, now; then done(arg, how many were taken back), unless it is NULL.
 * The rows of of_deed go with the next sweep. */
void deeds_cancel(struct offers *o, const struct work_cancel *v, size_t n,
	void (*done)(void *arg, unsigned cancelled), void *arg);

#endif
