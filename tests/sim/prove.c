/* posternsim prove: holds the record of what was accepted (esme, http) against the record of what
 * an SMSC took (smsc --record), by the number that each message's text carries.
 * Acknowledged and never taken is lost; taken more often than acknowledged is repeated.
 */
#include "tests/sim/opt.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct prove_conf {
	struct str accepted, taken[8], marker;
	unsigned takens;
	uint64_t most_repeats, show;
	bool repeats_set, waiting_ok;
};

struct tally { /* by message number */
	uint16_t *n;
	uint64_t cap, top;
};

static void tally_add(struct tally *t, uint64_t number)
{
	if (number >= t->cap) {
		uint64_t cap = t->cap ? t->cap : 65536;
		while (cap <= number)
			cap *= 2;
		t->n = mem_grow(t->n, cap * sizeof(*t->n));
		memset(t->n + t->cap, 0, (cap - t->cap) * sizeof(*t->n));
		t->cap = cap;
	}
	if (t->n[number] < UINT16_MAX)
		t->n[number]++;
	if (number >= t->top)
		t->top = number + 1;
}

static unsigned tally_of(const struct tally *t, uint64_t number)
{
	return number < t->cap ? t->n[number] : 0;
}

static struct str column(struct str line, unsigned number)
{
	struct str word = STR_NONE;
	for (unsigned i = 0; i <= number; i++)
		if (!str_cut(&line, '\t', &word))
			return STR_NONE;
	return word;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number behind the marker in a text given in hex; zeros between (UTF-16) are passed by. */
static bool number_in(struct str hex, struct str marker, uint64_t *number_r)
{
	static struct buf text;
	buf_reset(&text);
	for (size_t i = 0; i + 1 < hex.n; i += 2) {
		int hi = nibble(hex.p[i]), lo = nibble(hex.p[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		if (hi || lo)
			buf_u8(&text, (uint8_t)(hi << 4 | lo));
	}
	ptrdiff_t at = str_find(buf_view(&text), marker);
	if (at < 0)
		return false;
	struct str s = str_skip(buf_view(&text), (size_t)at + marker.n);
	size_t n = 0;
	while (n < s.n && n < 18 && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return str_u64(str_n(s.p, n), number_r);
}

static int each_line(
	struct str path, void (*take)(void *of, struct str line), void *of, struct err *e)
{
	FILE *f = fopen(path.p, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	if (!f)
		return err_set(e, ERR_ENV, "%s: %s", path.p, strerror(errno));
	while ((n = getline(&line, &cap, f)) > 0)
		if (line[n - 1] == '\n') /* a torn last line was never completed */
			take(of, str_n(line, (size_t)n - 1));
	free(line);
	fclose(f);
	return 0;
}

struct proof {
	struct prove_conf conf;
	struct tally accepted, taken;
	uint64_t accepted_lines, taken_lines, refused_lines, unnumbered;
};

static void accepted_line(void *of, struct str line)
{
	struct proof *p = of;
	uint64_t n;
	if (!str_u64(column(line, 2), &n) || n > 1ULL << 32)
		return;
	p->accepted_lines++;
	if (str_is(column(line, 3), "0")) /* further parts carry no number */
		tally_add(&p->accepted, n);
}

static void taken_line(void *of, struct str line)
{
	struct proof *p = of;
	uint64_t n;
	if (!str_starts(column(line, 9), STR("taken"))) {
		p->refused_lines++;
		return;
	}
	p->taken_lines++;
	if (number_in(column(line, 10), p->conf.marker, &n) && n <= 1ULL << 32)
		tally_add(&p->taken, n);
	else
		p->unnumbered++;
}

static int conf_taken(void *conf, struct str v, struct err *e)
{
	struct prove_conf *c = conf;
	if (c->takens == sizeof(c->taken) / sizeof(c->taken[0]))
		return err_set(e, ERR_CONF, "too many");
	c->taken[c->takens++] = v;
	return 0;
}

static int conf_repeats(void *conf, struct str v, struct err *e)
{
	struct prove_conf *c = conf;
	c->repeats_set = true;
	return str_u64(v, &c->most_repeats) ? 0 : err_set(e, ERR_CONF, "wants a number");
}

#define AT(field) offsetof(struct prove_conf, field)
static const struct sim_opt prove_opts[] = {
	{ OPT_STR, "accepted", "FILE", "the record of esme or http", AT(accepted) },
	{ OPT_CALL, "taken", "FILE", "the record of smsc (repeatable)", .call = conf_taken },
	{ OPT_STR, "marker", "TEXT", "what stands before the number in the text (\"Message \")",
		AT(marker) },
	{ OPT_CALL, "most-repeats", "N", "exit 1 above so many repeats", .call = conf_repeats },
	{ OPT_U64, "show", "N", "name the first N that are lost or repeated (10)", AT(show) },
	{ .name = NULL },
};

static int prove_judge(struct proof *p)
{
	uint64_t messages = 0, lost = 0, repeats = 0, extra = 0, shown = 0;
	uint64_t top = p->accepted.top > p->taken.top ? p->accepted.top : p->taken.top;
	for (uint64_t i = 0; i < top; i++) {
		unsigned a = tally_of(&p->accepted, i), t = tally_of(&p->taken, i);
		messages += a > 0;
		extra += a == 0 && t > 0; /* taken, but the acknowledgement was lost on the way */
		lost += t < a ? a - t : 0;
		repeats += t > (a ? a : 1) ? t - (a ? a : 1) : 0;
		if ((t < a || (a && t > a)) && shown++ < p->conf.show)
			sim_say("prove: message %llu acknowledged %u times, taken %u times",
				(unsigned long long)i, a, t);
	}
	printf("{\"acknowledged\":%llu,\"taken\":%llu,\"refused\":%llu,\"lost\":%llu,\"repeats\":%"
	       "llu,"
	       "\"unacknowledged_taken\":%llu,\"unnumbered\":%llu}\n",
		(unsigned long long)messages, (unsigned long long)p->taken_lines,
		(unsigned long long)p->refused_lines, (unsigned long long)lost,
		(unsigned long long)repeats, (unsigned long long)extra,
		(unsigned long long)p->unnumbered);
	if (lost) {
		sim_say("prove: %llu acknowledged messages were never taken",
			(unsigned long long)lost);
		return SIM_FAILED;
	}
	if (p->conf.repeats_set && repeats > p->conf.most_repeats) {
		sim_say("prove: %llu repeats, at most %llu are allowed",
			(unsigned long long)repeats, (unsigned long long)p->conf.most_repeats);
		return SIM_FAILED;
	}
	return SIM_OK;
}

int sim_prove_main(int argc, char **argv)
{
	static struct proof p;
	struct err e = { 0 };
	p.conf = (struct prove_conf){ .marker = STR("Message "), .show = 10 };
	int r = sim_opt_parse(prove_opts,
		"prove --accepted FILE --taken FILE [options]: is all that was acknowledged "
		"delivered?",
		&p.conf, argc, argv, &e);
	if (r > 0)
		return SIM_OK;
	if (r == 0 && (!p.conf.accepted.n || !p.conf.takens))
		r = err_set(&e, ERR_CONF, "wants --accepted FILE and --taken FILE");
	if (r == 0)
		r = each_line(p.conf.accepted, accepted_line, &p, &e);
	for (unsigned i = 0; r == 0 && i < p.conf.takens; i++)
		r = each_line(p.conf.taken[i], taken_line, &p, &e);
	if (r < 0) {
		sim_say("prove: %s", e.text);
		return SIM_USAGE;
	}
	return prove_judge(&p);
}
