/* What every part of posternsim shares: time, chance, histograms, number patterns, and the list of
 * its subcommands. posternsim is one thread and one epoll loop per process; it stands on
 * gateway/base's strings and buffers only, so that it stays another party to the daemon.
 * Every name here begins with sim_, because the program is linked with the daemon's library.
 */
#ifndef POSTERN_SIM_H
#define POSTERN_SIM_H

#include "gateway/base/buf.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { /* exit statuses */
	SIM_OK = 0,
	SIM_FAILED = 1, /* an expectation was not met */
	SIM_USAGE = 2,  /* a bad option, or the environment */
};

#define SIM_US 1000ULL
#define SIM_MS 1000000ULL
#define SIM_S  1000000000ULL

/* One subcommand; argv[0] is its name. Returns the exit status. */
struct sim_command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
};
extern const struct sim_command sim_commands[]; /* main.c; ends with a NULL name */

int sim_smsc_main(int argc, char **argv);
int sim_esme_main(int argc, char **argv);
int sim_http_main(int argc, char **argv);
int sim_webhook_main(int argc, char **argv);
int sim_ceiling_main(int argc, char **argv);
int sim_prove_main(int argc, char **argv);
int sim_control_main(int argc, char **argv);
int sim_codecs_main(int argc, char **argv);
int sim_smtp_main(int argc, char **argv);
int sim_mail_main(int argc, char **argv);

uint64_t sim_mono(void); /* ns, monotonic */
uint64_t sim_wall(void); /* ns since 1970 */
uint64_t sim_cpu(void);  /* ns of CPU this process has used, user and system */

/* Chance, reproducible by its seed (xorshift64*). */
struct sim_rng {
	uint64_t s;
};
void sim_rng_seed(struct sim_rng *r, uint64_t seed);
uint64_t sim_rng_next(struct sim_rng *r);
double sim_rng_unit(struct sim_rng *r); /* 0 ≤ x < 1 */
static inline bool sim_rng_hit(struct sim_rng *r, double p)
{
	return p > 0 && sim_rng_unit(r) < p;
}

/* A duration that is fixed (lo == hi) or drawn evenly between two, in ns. */
struct sim_span {
	uint64_t lo, hi;
};
uint64_t sim_span_draw(const struct sim_span *s, struct sim_rng *r);

/* Latency histogram, ns in, 3 % resolution, 2 µs to 2 hours. */
enum { SIM_HIST_SUB = 32, SIM_HIST_CELLS = 40 * SIM_HIST_SUB };
struct sim_hist {
	uint64_t n, max, sum;
	uint32_t cell[SIM_HIST_CELLS];
};
void sim_hist_add(struct sim_hist *h, uint64_t ns);
uint64_t sim_hist_at(const struct sim_hist *h, double quantile); /* ns; 0 when empty */
/* {"n":…,"p50_ms":…,"p90_ms":…,"p99_ms":…,"p999_ms":…,"max_ms":…,"mean_ms":…} */
void sim_hist_json(struct buf *out, const struct sim_hist *h);

/* Appends the pattern with {n} (the number), {n:7} (zero-padded, last 7 digits), {r:7} (7 random
 * digits), {time} (unix ms) and {now} (RFC 3339) replaced. Anything else stays as it is. */
void sim_pattern(struct buf *out, struct str pattern, uint64_t n, struct sim_rng *r);

void sim_hex(struct buf *out, struct str bytes);
void sim_utf16be(struct buf *out, struct str utf8);

/* A file of lines to be written, buffered; path "": none, and *f_r is NULL. */
int sim_record_open(FILE **f_r, struct str path, struct err *e);
/* At the end; -1, and said on stderr, when not all of it could be written. */
int sim_record_close(FILE **fp, struct str path);
/* The counts at the end, on stdout and in a file, as far as asked for. */
void sim_stats_told(struct buf *stats, bool on_stdout, struct str file);

/* Says "posternsim: …" on stderr. */
void sim_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
