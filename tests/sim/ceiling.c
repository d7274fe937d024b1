/* posternsim ceiling: the fast ESME straight at the fast SMSC, no gateway between: what the load
 * tools can do at most, and what a message costs them. posternsim control: a command to a
 * running SMSC.
 */
#include "tests/sim/sim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static bool file_read(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	buf_reset(out);
	if (!f)
		return false;
	char part[4096];
	size_t n;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(out, part, n);
	fclose(f);
	return out->n > 0;
}

static pid_t smsc_child(char *port_file, char *stats)
{
	char names[][16] = { "smsc", "--listen", "127.0.0.1:0", "--codec", "fast", "--quiet",
		"--port-file", "--stats-file" };
	char *argv[] = { names[0], names[1], names[2], names[3], names[4], names[5], names[6],
		port_file, names[7], stats, NULL };
	pid_t pid = fork();
	if (pid == 0)
		_exit(sim_smsc_main(10, argv));
	return pid;
}

static int esme_child(const char *port, int argc, char **argv, const char *out)
{
	enum { MOST = 64, OWN = 12 };
	char names[][24] = { "esme", "--connect", "", "--codec", "fast", "--count", "1000000",
		"--window", "500", "--binds", "4", "--expect-receipts" };
	char *args[MOST];
	int n = 0;
	snprintf(names[2], sizeof(names[2]), "127.0.0.1:%s", port);
	for (; n < OWN; n++)
		args[n] = names[n];
	for (int i = 1; i < argc && n < MOST - 1; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		if (!freopen(out, "we", stdout))
			_exit(SIM_USAGE);
		int r = sim_esme_main(n, args);
		fflush(stdout);
		_exit(r);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIM_FAILED;
}

int sim_ceiling_main(int argc, char **argv)
{
	char dir[48], port[64], smsc[64], esme[64];
	struct buf a = BUF_INIT, b = BUF_INIT;
	if (argc > 1 && (str_is(str_of(argv[1]), "--help") || str_is(str_of(argv[1]), "-h"))) {
		puts("usage: posternsim ceiling [options of esme]: ESME straight to SMSC, both "
		     "fast\n"
		     "  1,000,000 messages over 4 binds with window 500, unless told otherwise.");
		return SIM_OK;
	}
	snprintf(dir, sizeof(dir), "/tmp/posternsim-%d", (int)getpid());
	if (mkdir(dir, 0700) < 0) {
		sim_say("ceiling: %s: %s", dir, strerror(errno));
		return SIM_USAGE;
	}
	snprintf(port, sizeof(port), "%s/port", dir);
	snprintf(smsc, sizeof(smsc), "%s/smsc", dir);
	snprintf(esme, sizeof(esme), "%s/esme", dir);
	pid_t pid = smsc_child(port, smsc);
	int r = SIM_USAGE;
	for (int i = 0; i < 500 && !file_read(port, &a); i++)
		nap();
	if (a.n) {
		r = esme_child(buf_cstr(&a)[a.n - 1] == '\n' ? (a.p[--a.n] = 0, a.p) : a.p, argc,
			argv, esme);
		file_read(esme, &a);
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	file_read(smsc, &b);
	if (a.n && b.n)
		printf("{\"esme\":%.*s,\n\"smsc\":%.*s}\n", STR_ARG(str_trim(buf_view(&a))),
			STR_ARG(str_trim(buf_view(&b))));
	unlink(port);
	unlink(smsc);
	unlink(esme);
	rmdir(dir);
	return r;
}

int sim_control_main(int argc, char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct buf b = BUF_INIT;
	if (argc < 3 || str_is(str_of(argv[1]), "--help") ||
		str_copy(un.sun_path, sizeof(un.sun_path), str_of(argv[1])) >=
			sizeof(un.sun_path)) {
		puts("usage: posternsim control SOCKET stats | set OPTION VALUE | drop | mo "
		     "from=…,to=… "
		     "| quit");
		return argc < 3 ? SIM_USAGE : SIM_OK;
	}
	for (int i = 2; i < argc; i++)
		buf_printf(&b, "%s%s", i > 2 ? " " : "", argv[i]);
	buf_char(&b, '\n');
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
		write(fd, b.p, b.n) != (ssize_t)b.n) {
		sim_say("control: %s: %s", un.sun_path, strerror(errno));
		return SIM_USAGE;
	}
	buf_reset(&b);
	char part[4096];
	ssize_t n;
	while ((!b.n || b.p[b.n - 1] != '\n') && (n = read(fd, part, sizeof(part))) > 0)
		buf_add(&b, part, (size_t)n);
	close(fd);
	bool good = b.n && !str_starts(buf_view(&b), STR("error"));
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
	return good ? SIM_OK : SIM_FAILED;
}
