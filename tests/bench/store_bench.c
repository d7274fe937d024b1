/* The store alone: lives of messages per second, CPU per message in the writer, memory.
 *
 *   make build/bench/store_bench
 *   build/bench/store_bench FILE [messages] [queued] [window] [lost]
 *
 * One thread keeps `window` messages in the air; each goes through accept, sent, receipt with a
 * note, noted; the writer forms batches as they come. queued: so many messages are put into the
 * file first and stay there. lost: one receipt in so many never comes (0: all come).
 * CACHE=MiB, SEQUENTIAL=1 (far ids that rise instead of random ones), DRAIN=1: each message
 * accepted goes to the end of the backlog, and the oldest of the backlog is read and sent instead.
 */
#include "gateway/base/log.h"
#include "gateway/base/mem.h"
#include "gateway/base/stat.h"
#include "gateway/store/store.h"

#include <dirent.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { CH = 1, OUT = 1, BACKLOG = 2, FILL = 16384, THREADS = 32, READ = 1000, READ_LOW = 4000 };

static struct store *s;
static struct loop *loop;
static uint64_t total, started, finished, lost_every, window;
static bool random_keys, draining;
static mono_t t0, t1;
static sem_t over, queued_over;

struct life {
	uint64_t n;
	struct message *msg;
	char key[24];
	struct place place;
	struct life *next;
};
struct my_op {
	struct store_op op;
	struct life *life;
};

static void begin_one(void);

static struct message *make(uint64_t n)
{
	struct draft d;
	struct message *m;
	char to[24], text[160];

	draft_init(&d);
	d.head.submitter = OUT;
	d.head.wants = WANT_DELIVERED | WANT_FAILED;
	d.head.priority = draining ? PRIORITY_NORMAL : (uint8_t)(n % PRIORITY_COUNT);
	d.head.sms =
		(struct sms_attrs){ .src_ton = 5, .dst_ton = 1, .dst_npi = 1, .registered = 1 };
	snprintf(to, sizeof to, "4670%07llu", (unsigned long long)(n % 10000000));
	memset(text, 'x', sizeof text);
	draft_put(&d, FIELD_FROM, STR("Shop"));
	draft_put(&d, FIELD_TO, str_of(to));
	draft_put(&d, FIELD_TEXT, str_n(text, sizeof text));
	m = draft_seal(&d);
	draft_free(&d);
	return m;
}

static struct store_op *op_new(enum op_kind k, struct life *l, void (*done)(struct store_op *))
{
	struct my_op *o = mem_new(struct my_op);

	o->op.kind = k;
	o->op.loop = loop;
	o->op.done = done;
	o->life = l;
	return &o->op;
}

static struct life *life_of(struct store_op *op)
{
	return ((struct my_op *)(void *)op)->life;
}

static void one_ended(void)
{
	if (++finished == total) {
		t1 = clock_mono();
		sem_post(&over);
	} else if (started < total) {
		begin_one();
	}
}

static void received(struct store_op *op)
{
	struct life *l = life_of(op);

	CHECK(op->receipt.applied);
	mem_free(&op);
	mem_free(&l);
}

static void sent(struct store_op *op)
{
	struct life *l = life_of(op);
	struct store_op *r;

	mem_free(&op);
	if (lost_every && l->n % lost_every == 0) {
		message_unref(&l->msg);
		mem_free(&l);
		one_ended();
		return;
	}
	r = op_new(OP_RECEIPT, l, received);
	r->receipt.in.channel = CH;
	r->receipt.in.keys = 1;
	str_copy(r->receipt.in.key[0], OUTCOME_ID, str_of(l->key));
	str_copy(r->receipt.in.to, OP_RECEIPT_TO, message_get(l->msg, FIELD_TO));
	r->receipt.in.state = STATE_DELIVERED;
	message_unref(&l->msg);
	store_do(s, r);
}

static void send_one(struct life *l)
{
	struct store_op *o = op_new(OP_SENT, l, sent);
	uint64_t h = l->n * 0x9e3779b97f4a7c15ull;

	snprintf(l->key, sizeof l->key, "%016llx",
		(unsigned long long)(random_keys ? h ^ h >> 29 : l->n));
	o->sent.id = l->msg->id;
	o->sent.msg = message_ref(l->msg);
	o->sent.place = l->place;
	o->sent.channel = CH;
	o->sent.parts = 1;
	o->sent.all = o->sent.awaits = true;
	o->sent.attempt = 1;
	str_copy(o->sent.far_id, OUTCOME_ID, str_of(l->key));
	str_copy(o->sent.key, OUTCOME_ID, str_of(l->key));
	store_do(s, o);
}

/* ---- the oldest first ---- */
static struct {
	struct life *first, **end; /* read and not yet sent */
	unsigned n, wanted;        /* wanted: accepted, but there was nothing to send */
	bool reading;
	struct store_load load;
	uint64_t number;
} drain;

static void drain_read(void);

static void drain_go(void)
{
	while (drain.wanted && drain.first) {
		struct life *l = drain.first;

		drain.first = l->next;
		if (!drain.first)
			drain.end = &drain.first;
		drain.n--;
		drain.wanted--;
		send_one(l);
	}
	if (drain.n < READ_LOW && !drain.reading)
		drain_read();
}

static void drain_got(struct store_load *ld)
{
	drain.reading = false;
	for (unsigned i = 0; i < ld->n; i++) {
		struct life *l = mem_new(struct life);

		l->n = ++drain.number;
		l->msg = ld->rows[i].msg;
		l->place = ld->rows[i].place;
		ld->after_due = l->place.due;
		ld->after_id = l->msg->id;
		*drain.end = l;
		drain.end = &l->next;
		drain.n++;
	}
	store_load_free(ld);
	drain_go();
}

static void drain_read(void)
{
	drain.reading = true;
	drain.load.kind = LOAD_QUEUE;
	drain.load.loop = loop;
	drain.load.done = drain_got;
	drain.load.channel = CH;
	drain.load.priority = PRIORITY_NORMAL;
	drain.load.until = store_now(s);
	drain.load.most = READ;
	store_load(s, &drain.load);
}

static void accepted(struct store_op *op)
{
	struct life *l = life_of(op);

	CHECK(op->fault == STORE_OK);
	l->place = op->accept.place;
	mem_free(&op);
	if (!draining) {
		send_one(l);
		return;
	}
	message_unref(&l->msg);
	mem_free(&l);
	drain.wanted++;
	drain_go();
}

static void noted(struct store_op *op)
{
	mem_free(&op);
	one_ended();
}

static void note_here(struct letter *letter)
{
	struct note *n = CONTAINER(letter, struct note, letter);
	struct store_op *o = op_new(OP_NOTED, NULL, noted);

	o->noted.outlet = n->outlet;
	o->noted.seq = n->seq;
	note_free(&n);
	store_do(s, o);
}

static void sink(void *ctx, struct note *n)
{
	n->letter.run = note_here;
	loop_post(loop, &n->letter);
}

static void begin_one(void)
{
	struct life *l = mem_new(struct life);
	struct store_op *op = op_new(OP_ACCEPT, l, accepted);

	l->n = ++started;
	l->msg = make(l->n);
	op->accept.msg = l->msg;
	op->accept.channel = CH;
	op->accept.state = STATE_QUEUED;
	op->accept.parts = 1;
	store_do(s, op);
}

static void begin_all(struct letter *l)
{
	for (uint64_t i = 0; i < window && started < total; i++)
		begin_one();
}

/* ---- the backlog ----------------------------------------------------------------------------- */

static uint64_t queued_left, queued_to_make;

static void queue_one(void);

static void queued(struct store_op *op)
{
	CHECK(op->fault == STORE_OK);
	message_unref(&op->accept.msg);
	mem_free(&op);
	if (--queued_left == 0)
		sem_post(&queued_over);
	else if (queued_to_make)
		queue_one();
}

static void queue_one(void)
{
	struct store_op *op = op_new(OP_ACCEPT, NULL, queued);

	op->accept.msg = make(queued_to_make--);
	op->accept.channel = draining || queued_to_make % 2 ? CH : BACKLOG;
	op->accept.state = STATE_QUEUED;
	op->accept.parts = 1;
	store_do(s, op);
}

static void queue_all(struct letter *l)
{
	for (int i = 0; i < FILL && queued_to_make; i++)
		queue_one();
}

/* ---- figures --------------------------------------------------------------------------------- */

static double cpu_of(const char *tid)
{
	unsigned long long run = 0;
	char path[80];
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", tid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%llu", &run) != 1)
		run = 0;
	if (f)
		fclose(f);
	return (double)run / 1e9;
}

/* In order of creation: main, writer, reader, keeper, loop. */
static unsigned threads(char tid[][16])
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)) && n < THREADS)
		if (e->d_name[0] != '.')
			snprintf(tid[n++], 16, "%.15s", e->d_name);
	if (d)
		closedir(d);
	return n;
}

static unsigned long status(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kb = 0;
	char line[200];

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, what, strlen(what)) == 0)
			kb = strtoul(line + strlen(what), NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static uint64_t stat_of(const char *name)
{
	uint64_t v = 0;

	stat_lookup(name, "", &v);
	return v;
}

static double seconds(dur_t d)
{
	return (double)d / 1e9;
}

static void measure(void)
{
	static struct letter go = { .run = begin_all };
	uint64_t ops = stat_of("postern_store_operations_total");
	uint64_t commits = stat_of("postern_store_commits_total");
	char tid[THREADS][16];
	double cpu[THREADS];
	unsigned n = threads(tid);

	for (unsigned i = 0; i < n; i++)
		cpu[i] = cpu_of(tid[i]);
	t0 = clock_mono();
	loop_post(loop, &go);
	sem_wait(&over);
	for (unsigned i = 0; i < n; i++)
		cpu[i] = (cpu_of(tid[i]) - cpu[i]) * 1e6 / (double)total;
	ops = stat_of("postern_store_operations_total") - ops;
	commits = stat_of("postern_store_commits_total") - commits;
	printf("%llu messages in %.2f s: %.0f/s, %.0f operations a commit, log %.1f MiB\n",
		(unsigned long long)total, seconds(t1 - t0), (double)total / seconds(t1 - t0),
		(double)ops / (double)commits,
		(double)stat_of("postern_store_wal_bytes") / 1048576);
	printf("CPU us a message: writer %.1f, reader %.1f, keeper %.1f, this load %.1f\n", cpu[1],
		cpu[2], cpu[3], cpu[n - 1]);
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct store_conf conf = { .engine = "sqlite",
		.retention = 30 * DUR_DAY,
		.dedupe_window = DUR_DAY,
		.orphan_wait = DUR_MIN };
	struct letter fill = { .run = queue_all };
	struct err e = { 0 };
	bool unclean;
	mono_t start;

	if (argc < 2) {
		fprintf(stderr, "usage: store_bench FILE [messages] [queued] [window] [lost]\n");
		return 2;
	}
	conf.path = argv[1];
	conf.cache = getenv("CACHE") ? strtoull(getenv("CACHE"), NULL, 10) << 20 : 0;
	total = number(argc, argv, 2, 200000);
	queued_left = queued_to_make = number(argc, argv, 3, 0);
	window = number(argc, argv, 4, 2000);
	lost_every = number(argc, argv, 5, 0);
	random_keys = !getenv("SEQUENTIAL");
	draining = getenv("DRAIN");
	drain.end = &drain.first;
	sem_init(&over, 0, 0);
	sem_init(&queued_over, 0, 0);
	log_set_level(LOG_INFO);
	start = clock_mono();
	s = store_open(&conf, &unclean, &e);
	if (!s) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	printf("open in %.3f s\n", seconds(clock_mono() - start));
	CHECK(store_number(s, STORE_SUBMITTER, "bench", &e) == OUT);
	CHECK(store_number(s, STORE_CHANNEL, "bench", &e) == CH);
	store_set_note_sink(s, sink, NULL);
	loop = loop_new("bench");
	CHECK(loop_start(loop, &e) == 0);
	if (queued_left) {
		uint64_t n = queued_left;

		start = clock_mono();
		loop_post(loop, &fill);
		sem_wait(&queued_over);
		printf("queued %llu in %.1f s\n", (unsigned long long)n,
			seconds(clock_mono() - start));
	}
	if (total)
		measure();
	printf("memory now %lu MiB, most %lu MiB\n", status("VmRSS:") / 1024,
		status("VmHWM:") / 1024);
	loop_stop(loop);
	loop_join(loop);
	loop_free(&loop);
	start = clock_mono();
	store_close(&s);
	printf("closed in %.3f s\n", seconds(clock_mono() - start));
	return 0;
}
