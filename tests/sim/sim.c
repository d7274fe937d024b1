/* Time, chance, histograms and patterns: the small things all of posternsim uses. */
#include "tests/sim/sim.h"
#include "gateway/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

uint64_t sim_mono(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SIM_S + (uint64_t)t.tv_nsec;
}

uint64_t sim_wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SIM_S + (uint64_t)t.tv_nsec;
}

uint64_t sim_cpu(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SIM_S +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * SIM_US;
}

void sim_rng_seed(struct sim_rng *r, uint64_t seed)
{
	r->s = seed * 0x9E3779B97F4A7C15ULL + 0x1234567;
	if (r->s == 0)
		r->s = 1;
}

uint64_t sim_rng_next(struct sim_rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 0x2545F4914F6CDD1DULL;
}

double sim_rng_unit(struct sim_rng *r)
{
	return (double)(sim_rng_next(r) >> 11) / (double)(1ULL << 53);
}

uint64_t sim_span_draw(const struct sim_span *s, struct sim_rng *r)
{
	if (s->hi <= s->lo)
		return s->lo;
	return s->lo + (uint64_t)(sim_rng_unit(r) * (double)(s->hi - s->lo));
}

/* A cell is a power of two of microseconds cut into 32; values below 32 µs are exact. */
static unsigned hist_cell(uint64_t us)
{
	if (us < SIM_HIST_SUB)
		return (unsigned)us;
	unsigned top = 63 - (unsigned)__builtin_clzll(us); /* ≥ 5 */
	unsigned cell =
		(top - 4) * SIM_HIST_SUB + (unsigned)((us >> (top - 5)) & (SIM_HIST_SUB - 1));
	return cell < SIM_HIST_CELLS ? cell : SIM_HIST_CELLS - 1;
}

static uint64_t hist_value(unsigned cell) /* upper edge, ns */
{
	if (cell < SIM_HIST_SUB)
		return (uint64_t)(cell + 1) * SIM_US;
	unsigned top = cell / SIM_HIST_SUB + 4, sub = cell % SIM_HIST_SUB;
	return (((uint64_t)SIM_HIST_SUB + sub + 1) << (top - 5)) * SIM_US;
}

void sim_hist_add(struct sim_hist *h, uint64_t ns)
{
	h->cell[hist_cell(ns / SIM_US)]++;
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
}

uint64_t sim_hist_at(const struct sim_hist *h, double quantile)
{
	uint64_t want = (uint64_t)((double)h->n * quantile), seen = 0;
	for (unsigned i = 0; i < SIM_HIST_CELLS && h->n; i++) {
		seen += h->cell[i];
		if (seen > want || seen == h->n)
			return hist_value(i) < h->max ? hist_value(i) : h->max;
	}
	return h->max;
}

void sim_hist_json(struct buf *out, const struct sim_hist *h)
{
	buf_printf(out,
		"{\"n\":%llu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,"
		"\"max_ms\":%.3f,\"mean_ms\":%.3f}",
		(unsigned long long)h->n, (double)sim_hist_at(h, 0.5) / 1e6,
		(double)sim_hist_at(h, 0.9) / 1e6, (double)sim_hist_at(h, 0.99) / 1e6,
		(double)sim_hist_at(h, 0.999) / 1e6, (double)h->max / 1e6,
		h->n ? (double)h->sum / (double)h->n / 1e6 : 0.0);
}

static void put_digits(struct buf *out, uint64_t v, unsigned width)
{
	char tmp[20];
	unsigned n = 0;
	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (n < sizeof(tmp) && (width ? n < width : v != 0));
	char *to = buf_extend(out, n);
	while (n)
		*to++ = tmp[--n];
}

void sim_pattern(struct buf *out, struct str pattern, uint64_t n, struct sim_rng *r)
{
	while (pattern.n) {
		ptrdiff_t open = str_index(pattern, '{');
		if (open < 0)
			break;
		buf_add(out, pattern.p, (size_t)open);
		pattern = str_skip(pattern, (size_t)open);
		ptrdiff_t close = str_index(pattern, '}');
		if (close < 0)
			break;
		struct str word = str_n(pattern.p + 1, (size_t)close - 1), name;
		uint64_t width = 0;
		bool known = str_cut(&word, ':', &name) && (word.n == 0 || str_u64(word, &width)) &&
			     width <= 19;
		if (known && str_is(name, "n"))
			put_digits(out, n, (unsigned)width);
		else if (known && str_is(name, "r"))
			put_digits(out, sim_rng_next(r), width ? (unsigned)width : 1);
		else if (known && str_is(name, "time"))
			put_digits(out, sim_wall() / SIM_MS, (unsigned)width);
		else if (known && str_is(name, "now"))
			clock_put_rfc3339(out, (wall_t)sim_wall());
		else
			close = 0, buf_char(out, '{'); /* a brace like any other */
		pattern = str_skip(pattern, (size_t)close + 1);
	}
	buf_str(out, pattern);
}

void sim_hex(struct buf *out, struct str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *to = buf_extend(out, bytes.n * 2);
	for (size_t i = 0; i < bytes.n; i++) {
		*to++ = digits[(uint8_t)bytes.p[i] >> 4];
		*to++ = digits[(uint8_t)bytes.p[i] & 15];
	}
}

void sim_utf16be(struct buf *out, struct str utf8)
{
	for (int32_t c; (c = str_utf8_next(&utf8)) != -1;) {
		if (c >= 0x10000) {
			buf_be16(out, (uint16_t)(0xD800 + ((c - 0x10000) >> 10)));
			c = 0xDC00 + ((c - 0x10000) & 0x3ff);
		}
		buf_be16(out, c < 0 ? '?' : (uint16_t)c);
	}
}

int sim_record_open(FILE **f_r, struct str path, struct err *e)
{
	*f_r = NULL;
	if (!path.n)
		return 0;
	*f_r = fopen(path.p, "we");
	if (!*f_r)
		return err_set(e, ERR_ENV, "%s: %s", path.p, strerror(errno));
	setvbuf(*f_r, NULL, _IOFBF, 1 << 20);
	return 0;
}

int sim_record_close(FILE **fp, struct str path)
{
	FILE *f = *fp;
	*fp = NULL;
	if (!f || fclose(f) == 0)
		return 0;
	sim_say("%s: %s", path.p, strerror(errno));
	return -1;
}

void sim_stats_told(struct buf *stats, bool on_stdout, struct str file)
{
	FILE *f;
	if (on_stdout)
		printf("%s\n", buf_cstr(stats));
	if (!file.n)
		return;
	f = fopen(file.p, "we");
	if (!f || fprintf(f, "%s\n", buf_cstr(stats)) < 0 || fclose(f) != 0)
		sim_say("%s: %s", file.p, strerror(errno));
}

void sim_say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	flockfile(stderr);
	fputs("posternsim: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	funlockfile(stderr);
	va_end(ap);
}
