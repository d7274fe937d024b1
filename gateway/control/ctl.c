/* posternctl: the operator's command. Sends one request over the control socket and puts the answer
 * into words (or, with --json, leaves it as it is). Exit status: 0 done, 1 refused, 2 no daemon.
 */
#include "gateway/base/buf.h"
#include "gateway/base/mem.h"
#include "gateway/base/spool.h"
#include "gateway/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { EXIT_REFUSED = 1, EXIT_NO_DAEMON = 2 };

static bool as_json, on_terminal;

static void usage(FILE *to)
{
	fputs("usage: posternctl [-s SOCKET] [--json] VERB …\n"
	      "  status                              the gateway, its listeners, accounts, "
	      "channels\n"
	      "  channels                            every way out in a line\n"
	      "  channel NAME                        one of them\n"
	      "  channel hold|resume|drain NAME      stop sending, send again, send but take no "
	      "more\n"
	      "  queue NAME                          what waits for a channel\n"
	      "  message ID                          its whole history\n"
	      "  messages [--to N] [--from N] [--state S] [--since 2h|TIME] [--until …]\n"
	      "           [--channel C] [--submitter A] [--media M] [--limit N] [--before ID]\n"
	      "  send to=… text=… [media=…] [from=…] [channel=…]   a test message\n"
	      "  cancel ID                           take back what is not sent yet\n"
	      "  requeue ID [--channel C]            what is held, or another way\n"
	      "  backup FILE                         a copy of the store, taken while it runs\n"
	      "  restore FILE STATE                  put a backup in place (daemon stopped)\n"
	      "  reload [--dry-run]                  read the configuration again\n"
	      "  log [error|warn|info|debug]         level of the log\n"
	      "  metrics                             what GET /metrics says\n"
	      "Plugins add verbs of their own (offers, events, members, suppressions). An argument "
	      "@FILE "
	      "is\n"
	      "passed with the file's whole path: the daemon reads it.\n",
		to);
}

static int usage_fault(const char *what, const char *which)
{
	fprintf(stderr, "posternctl: %s \"%s\"\n", what, which);
	usage(stderr);
	return EXIT_REFUSED;
}

/* ---- talking to the daemon ---- */
static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (str_copy(sa.sun_path, sizeof sa.sun_path, str_of(path)) >= sizeof sa.sun_path) {
		fprintf(stderr, "posternctl: %s: a socket's path has at most %zu bytes\n", path,
			sizeof sa.sun_path - 1);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		fprintf(stderr, "posternctl: %s: %s%s\n", path, strerror(errno),
			errno == EACCES ? " (you must be in the group postern)"
			: errno == ENOENT || errno == ECONNREFUSED
				? " (is postern running? -s names another socket)"
				: "");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void show_progress(double share)
{
	enum { WIDTH = 40 };
	int full = (int)(share * WIDTH);

	if (!on_terminal)
		return;
	fputs("\r[", stderr);
	for (int i = 0; i < WIDTH; i++)
		fputc(i < full ? '#' : '.', stderr);
	fprintf(stderr, "] %3.0f %%", share * 100);
	if (share >= 1)
		fputc('\n', stderr);
}

/* The answer's object {"ok":…} or {"error":…}; NULL when the connection broke. */
static json_t *ask(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct buf in = BUF_INIT;
	json_t *answer = NULL;
	size_t len = strlen(text), at = 0;

	text[len] = '\n'; /* the NUL's place */
	while (at <= len) {
		ssize_t n = write(fd, text + at, len + 1 - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	free(text);
	while (!answer) {
		ptrdiff_t end;
		ssize_t n;

		while (!answer && (end = str_index(buf_view(&in), '\n')) >= 0) {
			json_t *line = json_loadb(in.p, (size_t)end, JSON_DECODE_ANY, NULL);
			const json_t *progress = json_object_get(line, "progress");

			if (progress) {
				show_progress(json_number_value(progress));
				json_decref(line);
			} else {
				answer = line;
			}
			buf_drop(&in, (size_t)end + 1);
		}
		if (answer)
			break;
		buf_reserve(&in, 65536);
		n = read(fd, in.p + in.n, 65536);
		if (n <= 0)
			break;
		in.n += (size_t)n;
	}
	buf_free(&in);
	return answer;
}

/* ---- words ---- */
static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_real(v) ? (long)json_real_value(v) : (long)json_integer_value(v);
}

static const char *colour(const char *word)
{
	if (!on_terminal)
		return "";
	if (!strcmp(word, "up") || !strcmp(word, "delivered") || !strcmp(word, "read") ||
		!strcmp(word, "ok"))
		return "\033[32m";
	if (!strcmp(word, "down") || !strcmp(word, "stopped") || !strcmp(word, "undeliverable") ||
		!strcmp(word, "rejected") || !strcmp(word, "full") || !strcmp(word, "broken"))
		return "\033[31m";
	return "\033[33m";
}

static const char *plain(void)
{
	return on_terminal ? "\033[0m" : "";
}

static long queued(const json_t *ch)
{
	const json_t *q = json_object_get(ch, "queued");

	return number_of(q, "high") + number_of(q, "normal") + number_of(q, "bulk");
}

static void show_channels(const json_t *list)
{
	size_t i;
	json_t *c;

	printf("%-20s %-8s %-9s %9s %11s %10s %10s %9s  %s\n", "CHANNEL", "TYPE", "HEALTH",
		"QUEUED", "IN FLIGHT", "SENT", "DELIVERED", "FAILED", "");
	json_array_foreach(list, i, c)
	{
		const char *h = text_of(c, "health");
		char flight[32];

		snprintf(flight, sizeof flight, "%ld/%ld", number_of(c, "in_flight"),
			number_of(c, "window"));
		printf("%-20s %-8s %s%-9s%s %9ld %11s %10ld %10ld %9ld  %s\n", text_of(c, "name"),
			text_of(c, "type"), colour(h), h, plain(), queued(c), flight,
			number_of(c, "sent"), number_of(c, "delivered"),
			number_of(c, "failed") + number_of(c, "expired"), text_of(c, "why"));
	}
}

static void show_channel(const json_t *c)
{
	static const char *const counts[] = { "accepted", "sent", "delivered", "failed", "expired",
		"retried", "throttled", "uncertain", "failed_over", "receipts",
		"receipts_unmatched", "receipts_repeated", "mo" };
	const json_t *q = json_object_get(c, "queued"), *far = json_object_get(c, "far_side");
	const char *h = text_of(c, "health");

	printf("%s (%s) is %s%s%s%s%s\n", text_of(c, "name"), text_of(c, "type"), colour(h), h,
		plain(), *text_of(c, "why") ? ": " : "", text_of(c, "why"));
	printf("  waits     %ld high, %ld normal, %ld bulk; the oldest for %ld s\n",
		number_of(q, "high"), number_of(q, "normal"), number_of(q, "bulk"),
		number_of(c, "oldest_s"));
	printf("  in flight %ld of %ld parts; %ld messages in memory\n", number_of(c, "in_flight"),
		number_of(c, "window"), number_of(c, "in_memory"));
	printf("  rate      %.1f parts/s (0: no limit), agreed %.1f\n",
		json_number_value(json_object_get(c, "rate")),
		json_number_value(json_object_get(c, "agreed_rate")));
	printf("  answers   half within %.1f ms, 99 %% within %.1f ms\n",
		json_number_value(json_object_get(c, "answer_p50_ms")),
		json_number_value(json_object_get(c, "answer_p99_ms")));
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		printf("  %-18s %ld\n", counts[i], number_of(c, counts[i]));
	if (far && json_object_size(far)) {
		char *text = json_dumps(far, JSON_INDENT(2));

		printf("  far side %s\n", text);
		free(text);
	}
}

static void show_status(const json_t *s)
{
	const char *store = text_of(s, "store");
	size_t i;
	json_t *v;

	printf("postern %s on %s: %s, store %s%s%s\n\n", text_of(s, "version"), text_of(s, "node"),
		json_is_true(json_object_get(s, "stopping")) ? "stopping"
		: json_is_true(json_object_get(s, "ready"))  ? "ready"
							     : "starting",
		colour(store), store, plain());
	printf("%-20s %-8s %s\n", "LISTENER", "TYPE", "");
	json_array_foreach(json_object_get(s, "listeners"), i, v)
		printf("%-20s %-8s %s\n", text_of(v, "name"), text_of(v, "type"),
			json_is_true(json_object_get(v, "open")) ? "open" : "closed");
	printf("\n%-28s %8s %10s %9s %10s %10s\n", "ACCOUNT", "SESSIONS", "ACCEPTED", "REFUSED",
		"TOLD", "TO TELL");
	json_array_foreach(json_object_get(s, "accounts"), i, v)
		printf("%-28s %8ld %10ld %9ld %10ld %10ld\n", text_of(v, "name"),
			number_of(v, "sessions"), number_of(v, "accepted"), number_of(v, "refused"),
			number_of(v, "told"), number_of(v, "waiting"));
	puts("");
	show_channels(json_object_get(s, "channels"));
}

static void show_history(const json_t *m)
{
	size_t i;
	json_t *h;

	json_array_foreach(json_object_get(m, "history"), i, h)
	{
		printf("  %s  %s", text_of(h, "at"), text_of(h, "what"));
		if (*text_of(h, "channel"))
			printf(" by %s", text_of(h, "channel"));
		if (*text_of(h, "remote_id"))
			printf(", there called %s", text_of(h, "remote_id"));
		if (*text_of(h, "reason_text"))
			printf(": %s", text_of(h, "reason_text"));
		if (*text_of(h, "words"))
			printf(" (%s)", text_of(h, "words"));
		if (*text_of(h, "error"))
			printf(" [error %s]", text_of(h, "error"));
		puts("");
	}
}

static void show_message(const json_t *m)
{
	const char *state = text_of(m, "state");
	size_t i;
	json_t *p;

	printf("message %s is %s%s%s", text_of(m, "id"), colour(state), state, plain());
	if (*text_of(m, "reason_text"))
		printf(" (%s%s%s)", text_of(m, "reason_text"), *text_of(m, "words") ? ": " : "",
			text_of(m, "words"));
	if (*text_of(m, "waits_for"))
		printf(", waits for the %s%s%s", text_of(m, "waits_for"),
			*text_of(m, "due_at") ? " until " : "", text_of(m, "due_at"));
	printf("\n  %s from %s to %s, priority %s, by %s", text_of(m, "media"),
		*text_of(m, "from") ? text_of(m, "from") : "-", text_of(m, "to"),
		text_of(m, "priority"), text_of(m, "submitter"));
	if (*text_of(m, "client_id"))
		printf(" as %s", text_of(m, "client_id"));
	printf("\n  valid until %s, %ld part(s), %ld attempt(s)\n", text_of(m, "expires_at"),
		number_of(m, "parts"), number_of(m, "attempts"));
	json_array_foreach(json_object_get(m, "part_list"), i, p)
		printf("  part %ld: %s%s%s%s\n", number_of(p, "part"), text_of(p, "state"),
			*text_of(p, "remote_id") ? ", there called " : "", text_of(p, "remote_id"),
			text_of(p, "error"));
	show_history(m);
}

static void show_messages(const json_t *list)
{
	size_t i;
	json_t *m;

	json_array_foreach(list, i, m)
	{
		const char *state = text_of(m, "state");

		printf("%-19s %s  %s%-13s%s %-6s %-16s > %-16s %s\n", text_of(m, "id"),
			text_of(m, "accepted_at"), colour(state), state, plain(),
			text_of(m, "media"), text_of(m, "from"), text_of(m, "to"),
			text_of(m, "channel"));
	}
	if (json_array_size(list) == 0)
		puts("no messages");
}

static void print_reload(const json_t *ok)
{
	const char *changes = text_of(ok, "changes");
	bool dry = json_is_true(json_object_get(ok, "dry_run"));

	if (*changes)
		printf("%s%s", dry ? "would change:\n" : "reloaded\n", changes);
	else
		puts(dry ? "nothing would change" : "reloaded\nnothing changed");
}

static void show(const char *verb, bool list, const json_t *ok)
{
	if (!strcmp(verb, "status"))
		show_status(ok);
	else if (!strcmp(verb, "channels"))
		show_channels(ok);
	else if (list)
		show_channel(ok);
	else if (!strcmp(verb, "message"))
		show_message(ok);
	else if (!strcmp(verb, "messages"))
		show_messages(ok);
	else if (!strcmp(verb, "cancel"))
		printf("message %s is cancelled\n", text_of(ok, "cancelled"));
	else if (!strcmp(verb, "requeue"))
		printf("message %s waits again\n", text_of(ok, "requeued"));
	else if (!strcmp(verb, "backup"))
		printf("written to %s\n", text_of(ok, "backup"));
	else if (!strcmp(verb, "log"))
		printf("log level %s\n", text_of(ok, "level"));
	else if (!strcmp(verb, "send"))
		printf("accepted as %s\n", text_of(ok, "id"));
	else if (json_is_string(ok)) /* metrics, verbs of plugins */
		fputs(json_string_value(ok), stdout);
	else if (!strcmp(verb, "reload"))
		print_reload(ok);
}

/* ---- restore: without the daemon ---- */
static int copy_file(const char *from, const char *to, const struct stat *owner)
{
	static char block[1 << 16];
	FILE *in = fopen(from, "re"), *out = in ? fopen(to, "we") : NULL;
	size_t n;
	int bad;

	if (!out) {
		fprintf(stderr, "posternctl: %s: %s\n", in ? to : from, strerror(errno));
		if (in)
			fclose(in);
		return -1;
	}
	while ((n = fread(block, 1, sizeof block, in)) > 0)
		if (fwrite(block, 1, n, out) != n)
			break;
	bad = ferror(in) || ferror(out) || fflush(out) != 0 || fsync(fileno(out)) != 0 ||
	      fchmod(fileno(out), 0640) != 0;
	if (geteuid() == 0) /* the daemon runs as whom the directory belongs to */
		bad |= fchown(fileno(out), owner->st_uid, owner->st_gid) != 0;
	fclose(in);
	bad |= fclose(out) != 0;
	if (!bad)
		return 0;
	fprintf(stderr, "posternctl: %s: %s\n", to, strerror(errno));
	unlink(to);
	return -1;
}

/* The lock that the daemon has on its state directory; ours until we end, so that none starts. */
static int take_lock(int dir, const char *state)
{
	int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0; /* no daemon was ever here */
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	fprintf(stderr, "posternctl: %s/lock: %s\n", state,
		errno == EWOULDBLOCK ? "postern runs here: stop it first" : strerror(errno));
	return -1;
}

/* The big bodies of a backup, where it has any, into the spool. */
static int restore_bodies(
	const char *file, const char *state, const struct stat *owner, struct err *e)
{
	char from[4096], to[4096], part[4096];
	struct dirent *f;
	DIR *d;
	int r = 0;

	snprintf(from, sizeof from, "%s.spool", file);
	d = opendir(from);
	if (!d)
		return 0;
	snprintf(to, sizeof to, "%s/spool", state);
	if (mkdir(to, 0750) == 0 && geteuid() == 0 && chown(to, owner->st_uid, owner->st_gid) != 0)
		r = -1;
	while (r == 0 && (f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		snprintf(from, sizeof from, "%s.spool/%s", file, f->d_name);
		snprintf(to, sizeof to, "%s/spool/%s", state, f->d_name);
		/* a name with a dot is none until it is whole (base/spool.h) */
		snprintf(part, sizeof part, "%s/spool/.%s", state, f->d_name);
		if (access(to, F_OK) != 0 &&
			(copy_file(from, part, owner) != 0 || rename(part, to) != 0))
			r = -1;
	}
	closedir(d);
	snprintf(to, sizeof to, "%s/spool", state);
	return r == 0 ? spool_sync(to, e) : -1;
}

static int restore(const char *file, const char *state)
{
	int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char copy[4096];
	struct stat owner;
	struct err e = { 0 };

	if (dir < 0 || fstat(dir, &owner) != 0) {
		fprintf(stderr, "posternctl: %s: %s\n", state, strerror(errno));
		return EXIT_REFUSED;
	}
	if (store_restore_check(file, &e) != 0) {
		fprintf(stderr, "posternctl: %s\n", e.text);
		return EXIT_REFUSED;
	}
	snprintf(copy, sizeof copy, "%s/postern.db.restoring", state);
	if (take_lock(dir, state) != 0)
		return EXIT_REFUSED;
	if (restore_bodies(file, state, &owner, &e) != 0) {
		fprintf(stderr, "posternctl: the big bodies were not put in place%s%s\n",
			e.kind ? ": " : "", e.kind ? e.text : "");
		return EXIT_REFUSED;
	}
	if (copy_file(file, copy, &owner) != 0)
		return EXIT_REFUSED;
	/* The old file's log must not meet the new file. */
	unlinkat(dir, "postern.db-wal", 0);
	unlinkat(dir, "postern.db-shm", 0);
	if (renameat(dir, "postern.db.restoring", dir, "postern.db") != 0 || fsync(dir) != 0) {
		fprintf(stderr, "posternctl: %s/postern.db: %s\n", state, strerror(errno));
		return EXIT_REFUSED;
	}
	printf("%s/postern.db is now the backup; start postern\n", state);
	return 0;
}

/* ---- command line ---- */
/* `members import FILE`: the daemon reads it. */
static bool follows_import(const json_t *args)
{
	return json_array_size(args) == 1 &&
	       !strcmp(json_string_value(json_array_get(args, 0)), "import");
}

static int add_argument(json_t *request, const char *verb, char **argv, int *i, int argc)
{
	json_t *args = json_object_get(request, "args");
	json_t *options = json_object_get(request, "options");
	char *a = argv[*i], *eq;

	if (!strcmp(a, "--json")) {
		as_json = true;
	} else if (!strcmp(a, "--dry-run")) {
		json_object_set_new(options, "dry-run", json_true());
	} else if (str_starts(str_of(a), STR("--"))) {
		if ((eq = strchr(a, '='))) {
			*eq = '\0';
			json_object_set_new(options, a + 2, json_string(eq + 1));
		} else if (*i + 1 < argc) {
			json_object_set_new(options, a + 2, json_string(argv[++*i]));
		} else {
			return usage_fault("a value must follow", a);
		}
	} else if (!strcmp(verb, "send") && (eq = strchr(a, '='))) {
		*eq = '\0';
		json_object_set_new(options, a, json_string(eq + 1));
	} else if ((!strcmp(verb, "backup") || follows_import(args)) &&
		   a[0] != '/') { /* the daemon is somewhere else */
		char here[4096];

		json_array_append_new(args, getcwd(here, sizeof here)
						    ? json_sprintf("%s/%s", here, a)
						    : json_string(a));
	} else if (a[0] == '@' && a[1] && a[1] != '/') {
		char here[4096];

		json_array_append_new(args, getcwd(here, sizeof here)
						    ? json_sprintf("@%s/%s", here, a + 1)
						    : json_string(a));
	} else {
		json_array_append_new(args, json_string(a));
	}
	return 0;
}

static bool is_ours(const char *verb)
{
	static const char *const ours[] = { "status", "channels", "channel", "queue", "message",
		"messages", "cancel", "requeue", "backup", "log", "reload", "metrics", "send" };

	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (!strcmp(verb, ours[i]))
			return true;
	return false;
}

static json_t *build_request(int argc, char **argv, int i)
{
	const char *verb = argv[i];
	json_t *request = json_pack("{s:s,s:[],s:{}}", "verb", verb, "args", "options");

	for (i++; i < argc; i++) {
		if (add_argument(request, verb, argv, &i, argc) != 0) {
			json_decref(request);
			return NULL;
		}
	}
	if (as_json && !is_ours(verb)) /* a plugin puts it into words itself */
		json_object_set_new(json_object_get(request, "options"), "json", json_true());
	if (!strcmp(verb, "send") && !json_object_get(json_object_get(request, "options"), "media"))
		json_object_set_new(
			json_object_get(request, "options"), "media", json_string("sms"));
	return request;
}

static int finish(const char *verb, const json_t *request, json_t *answer)
{
	json_t *ok = json_object_get(answer, "ok"), *out = json_object_get(answer, "out");
	const char *error = text_of(answer, "error");
	bool one_channel = (!strcmp(verb, "channel") || !strcmp(verb, "queue"));

	(void)request;
	if (!ok) {
		if (out && as_json) { /* what was found, and beside it what is wrong with that */
			json_dumpf(out, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
			puts("");
		} else if (json_is_array(out)) {
			show_messages(out);
		} else if (out) {
			fputs(text_of(answer, "out"), stdout);
		}
		if (as_json && !out) {
			json_dumpf(answer, stdout, JSON_COMPACT);
			puts("");
		} else {
			fprintf(stderr, "posternctl: %s\n", error);
		}
		return EXIT_REFUSED;
	}
	if (as_json) {
		json_dumpf(ok, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		puts("");
	} else {
		show(verb, one_channel, ok);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *path = getenv("POSTERN_SOCKET");
	json_t *request, *answer;
	int i = 1, fd, status;

	on_terminal = isatty(1) && isatty(2) && !getenv("NO_COLOR");
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-s") && i + 1 < argc) {
			path = argv[++i];
		} else if (!strcmp(argv[i], "--json")) {
			as_json = true;
		} else if (!strcmp(argv[i], "-V") || !strcmp(argv[i], "--version")) {
			puts("posternctl " POSTERN_VERSION);
			return 0;
		} else if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			usage(stdout);
			return 0;
		} else {
			return usage_fault("unknown option", argv[i]);
		}
	}
	if (i == argc) {
		usage(stderr);
		return EXIT_REFUSED;
	}
	if (!strcmp(argv[i], "restore")) {
		if (argc - i != 3)
			return usage_fault("restore FILE STATE, not", argv[i]);
		return restore(argv[i + 1], argv[i + 2]);
	}
	request = build_request(argc, argv, i);
	if (!request)
		return EXIT_REFUSED;
	fd = dial(path ? path : "/var/lib/postern/control.sock");
	if (fd < 0) {
		json_decref(request);
		return EXIT_NO_DAEMON;
	}
	answer = ask(fd, request);
	close(fd);
	if (!answer) {
		fputs("posternctl: the daemon ended the connection without an answer\n", stderr);
		status = EXIT_NO_DAEMON;
	} else {
		status = finish(argv[i], request, answer);
	}
	json_decref(answer);
	json_decref(request);
	return status;
}
