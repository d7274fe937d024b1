/* The registry of stats and their Prometheus text (exposition format 0.0.4). See stat.h.
 * Registering, removing and printing take the one lock; counting never does.
 */
#include "gateway/base/stat.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat_cell *registry; /* through link.next; link.prev of the first is NULL */
static size_t registry_count;

static dur_t bucket_bound(unsigned i)
{
	return (16 * DUR_US) << i;
}

static unsigned bucket_of(dur_t d)
{
	unsigned i = 0;

	while (i < STAT_BUCKETS - 1 && d > bucket_bound(i))
		i++;
	return i;
}

void stat_observe(struct stat_cell *s, dur_t d)
{
	struct stat_hist *h = s->hist;

	if (!h)
		return;
	if (d < 0)
		d = 0;
	atomic_fetch_add_explicit(&h->bucket[bucket_of(d)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, (uint64_t)d, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
}

dur_t stat_quantile(const struct stat_cell *s, double q)
{
	uint64_t count = 0, seen = 0, n[STAT_BUCKETS];

	if (!s->hist)
		return 0;
	for (unsigned i = 0; i < STAT_BUCKETS; i++)
		count += n[i] = atomic_load_explicit(&s->hist->bucket[i], memory_order_relaxed);
	if (count == 0)
		return 0;
	for (unsigned i = 0; i < STAT_BUCKETS; i++) {
		seen += n[i];
		if ((double)seen >= q * (double)count && seen)
			return bucket_bound(i);
	}
	return bucket_bound(STAT_BUCKETS - 1);
}

static void put_escaped(struct buf *b, const char *s, bool in_label)
{
	for (; *s; s++) {
		if (*s == '\\' || (in_label && *s == '"'))
			buf_printf(b, "\\%c", *s);
		else if (*s == '\n')
			buf_c(b, "\\n");
		else
			buf_char(b, *s);
	}
}

void stat_register(
	struct stat_cell *s, enum stat_kind kind, const char *name, const char *help, ...)
{
	struct buf labels = BUF_INIT;
	const char *key;
	va_list ap;

	CHECK(!s->labels);
	va_start(ap, help);
	while ((key = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);

		buf_printf(&labels, "%s%s=\"", labels.n ? "," : "", key);
		put_escaped(&labels, value ? value : "", true);
		buf_char(&labels, '"');
	}
	va_end(ap);
	s->name = name;
	s->help = help;
	s->kind = kind;
	s->labels = buf_cstr(&labels); /* moved: the buffer is not freed */
	if (kind == STAT_HISTOGRAM)
		s->hist = mem_new(struct stat_hist);
	pthread_mutex_lock(&registry_lock);
	s->link.prev = NULL;
	s->link.next = registry;
	if (registry)
		registry->link.prev = s;
	registry = s;
	registry_count++;
	pthread_mutex_unlock(&registry_lock);
}

void stat_unregister(struct stat_cell *s)
{
	if (!s->labels)
		return;
	pthread_mutex_lock(&registry_lock);
	if (s->link.prev)
		s->link.prev->link.next = s->link.next;
	else
		registry = s->link.next;
	if (s->link.next)
		s->link.next->link.prev = s->link.prev;
	registry_count--;
	pthread_mutex_unlock(&registry_lock);
	s->link.next = s->link.prev = NULL;
	mem_free(&s->labels);
	mem_free(&s->hist);
}

static int by_name(const void *a, const void *b)
{
	const struct stat_cell *const *x = a, *const *y = b;
	int c = strcmp((*x)->name, (*y)->name);

	return c ? c : strcmp((*x)->labels, (*y)->labels);
}

/* One sample: name, suffix, labels with perhaps one more, up to the space before the value. */
static void put_sample(struct buf *b, const struct stat_cell *s, const char *suffix, const char *le)
{
	buf_printf(b, "%s%s", s->name, suffix);
	if (s->labels[0] || le) {
		buf_printf(b, "{%s%s", s->labels, s->labels[0] && le ? "," : "");
		if (le)
			buf_printf(b, "le=\"%s\"", le);
		buf_char(b, '}');
	}
	buf_char(b, ' ');
}

static void put_histogram(struct buf *b, const struct stat_cell *s)
{
	uint64_t seen = 0;
	char le[32];

	for (unsigned i = 0; i < STAT_BUCKETS; i++) {
		struct buf t = BUF_INIT;

		if (i == STAT_BUCKETS - 1)
			buf_c(&t, "+Inf");
		else
			buf_printf(&t, "%.9g", (double)bucket_bound(i) / (double)DUR_S);
		str_copy(le, sizeof le, buf_view(&t));
		buf_free(&t);
		seen += atomic_load_explicit(&s->hist->bucket[i], memory_order_relaxed);
		put_sample(b, s, "_bucket", le);
		buf_printf(b, "%llu\n", (unsigned long long)seen);
	}
	put_sample(b, s, "_sum", NULL);
	buf_printf(b, "%.9g\n",
		(double)atomic_load_explicit(&s->hist->sum_ns, memory_order_relaxed) /
			(double)DUR_S);
	/* What the buckets said, not count: the two may differ by what was added meanwhile. */
	put_sample(b, s, "_count", NULL);
	buf_printf(b, "%llu\n", (unsigned long long)seen);
}

void stat_put_prometheus(struct buf *b)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	const struct stat_cell **all;
	size_t n = 0;

	pthread_mutex_lock(&registry_lock);
	all = mem_alloc(registry_count * sizeof(void *));
	for (const struct stat_cell *s = registry; s; s = s->link.next)
		all[n++] = s;
	qsort(all, n, sizeof(void *), by_name);
	for (size_t i = 0; i < n; i++) {
		const struct stat_cell *s = all[i];

		if (i == 0 || strcmp(all[i - 1]->name, s->name) != 0) {
			buf_printf(b, "# HELP %s ", s->name);
			put_escaped(b, s->help ? s->help : "", false);
			buf_printf(b, "\n# TYPE %s %s\n", s->name, kinds[s->kind]);
		}
		if (s->kind == STAT_HISTOGRAM) {
			put_histogram(b, s);
		} else {
			put_sample(b, s, "", NULL);
			buf_printf(b, "%llu\n", (unsigned long long)stat_get(s));
		}
	}
	pthread_mutex_unlock(&registry_lock);
	mem_free(&all);
}

bool stat_lookup(const char *name, const char *labels, uint64_t *v_r)
{
	bool found = false;

	pthread_mutex_lock(&registry_lock);
	for (const struct stat_cell *s = registry; s && !found; s = s->link.next) {
		if (strcmp(s->name, name) != 0 || strcmp(s->labels, labels ? labels : "") != 0)
			continue;
		found = true;
		*v_r = s->kind == STAT_HISTOGRAM ? atomic_load(&s->hist->count) : stat_get(s);
	}
	pthread_mutex_unlock(&registry_lock);
	return found;
}
