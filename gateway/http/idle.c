/* Connections on which the client does nothing for too long are closed, so that they hold no place.
 *
 * libmicrohttpd has a clock for that, which is off: it counts time in which we did not run (a
 * machine that was suspended, a process that was stopped), and looks at it before it looks at what
 * has come, so that a request that waits in the socket is cut off for our own sloth. Here a thread
 * of its own looks now and then, and counts its looks: time in which it did not run is no time.
 * What waits for us to read it, or for our answer, is nobody's idleness but ours.
 */
#include "gateway/http/server_private.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOKS = 16 }; /* in the time that a client may do nothing */

struct http_idle {
	pthread_mutex_t lock;
	struct list links;
	bool stop;
	/* set before the thread begins */
	dur_t most;
	int wake_fd;
	pthread_t thread;
};
struct http_link {
	struct list place;
	int fd;
	_Atomic bool ours;
	/* the idle thread's */
	unsigned quiet; /* looks since something happened */
	uint64_t bytes;
};

/* ---- which connections there are ---- */
/* The lock is held. */
static void idle_wake(struct http_idle *idle)
{
	uint64_t one = 1;

	CHECK(write(idle->wake_fd, &one, sizeof one) == sizeof one);
}

struct http_link *idle_open(struct http_idle *idle, int fd)
{
	struct http_link *k = mem_new(struct http_link);

	k->fd = fd;
	pthread_mutex_lock(&idle->lock);
	if (list_empty(&idle->links))
		idle_wake(idle);
	list_append(&idle->links, &k->place);
	pthread_mutex_unlock(&idle->lock);
	return k;
}

void idle_close(struct http_idle *idle, struct http_link **kp)
{
	pthread_mutex_lock(&idle->lock);
	list_remove(&(*kp)->place);
	pthread_mutex_unlock(&idle->lock);
	mem_free(kp);
}

void idle_ours(struct http_link *k, bool ours)
{
	atomic_store(&k->ours, ours);
}

/* ---- looking ---- */
/* What has gone over the wire, both ways. False: the kernel does not say. */
static bool traffic(int fd, uint64_t *bytes_r)
{
	struct tcp_info t = { 0 };
	socklen_t n = sizeof t;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) < 0)
		return false;
	*bytes_r = t.tcpi_bytes_received + t.tcpi_bytes_acked;
	return true;
}

/* Something lies there that we did not read, and nothing that the client did not take. */
static bool waits_for_us(int fd)
{
	int unread = 0, unsent = 0;

	return ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0 &&
	       ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0;
}

static void look(struct http_link *k)
{
	uint64_t bytes = k->bytes;

	if (atomic_load(&k->ours)) {
		k->quiet = 0;
		return;
	}
	traffic(k->fd, &bytes);
	if (bytes != k->bytes || waits_for_us(k->fd))
		k->quiet = 0;
	else if (++k->quiet == LOOKS)
		shutdown(k->fd, SHUT_RDWR); /* libmicrohttpd sees an end, and closes */
	k->bytes = bytes;
}

static void *idle_run(void *arg)
{
	struct http_idle *idle = arg;
	struct pollfd wake = { .fd = idle->wake_fd, .events = POLLIN };
	int step = (int)(idle->most / LOOKS / DUR_MS) + 1;
	bool stop = false, any = false;
	uint64_t n;

	while (!stop) {
		bool over = poll(&wake, 1, any ? step : -1) == 0;

		if (!over && read(idle->wake_fd, &n, sizeof n) < 0)
			CHECK(errno == EAGAIN || errno == EINTR);
		pthread_mutex_lock(&idle->lock);
		if (over)
			list_each (it, &idle->links)
				look(CONTAINER(it, struct http_link, place));
		any = !list_empty(&idle->links);
		stop = idle->stop;
		pthread_mutex_unlock(&idle->lock);
	}
	return NULL;
}

/* ---- life ---- */
struct http_idle *idle_new(dur_t most)
{
	struct http_idle *idle = mem_new(struct http_idle);
	sigset_t all, old;

	pthread_mutex_init(&idle->lock, NULL);
	list_init(&idle->links);
	idle->most = most;
	idle->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(idle->wake_fd >= 0);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	CHECK(pthread_create(&idle->thread, NULL, idle_run, idle) == 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_setname_np(idle->thread, "http-idle");
	return idle;
}

void idle_free(struct http_idle **ip)
{
	struct http_idle *idle = *ip;

	pthread_mutex_lock(&idle->lock);
	CHECK(list_empty(&idle->links));
	idle->stop = true;
	idle_wake(idle);
	pthread_mutex_unlock(&idle->lock);
	pthread_join(idle->thread, NULL);
	pthread_mutex_destroy(&idle->lock);
	close(idle->wake_fd);
	mem_free(ip);
}
