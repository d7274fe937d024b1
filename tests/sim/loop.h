/* A plain epoll loop, buffered connections on it (TLS when asked), and listeners. One thread.
 * What a round of events writes is sent once, at the end of the round.
 */
#ifndef POSTERN_SIM_LOOP_H
#define POSTERN_SIM_LOOP_H

#include "tests/sim/sim.h"

#include <openssl/ssl.h>

struct sim_watch {
	int fd;
	void (*ready)(struct sim_watch *w, uint32_t events);
};

/* Fires at `due` (sim_mono time) and may arm itself again; UINT64_MAX: not armed. */
struct sim_timer {
	uint64_t due;
	void (*fire)(struct sim_timer *t);
	void *of;
	struct sim_timer *next;
};

struct sim_conn;
struct sim_loop {
	int ep;
	uint64_t now; /* sim_mono(), refreshed at each round and each read */
	bool stop;
	struct sim_timer *timers;
	struct sim_conn *all, *dirty, *dead;
	unsigned conns;
};

void sim_loop_init(struct sim_loop *l);
void sim_loop_run(struct sim_loop *l); /* until l->stop */
void sim_loop_watch(struct sim_loop *l, struct sim_watch *w, uint32_t events);
void sim_loop_timer(struct sim_loop *l, struct sim_timer *t, void (*fire)(struct sim_timer *),
	void *of, uint64_t due);
/* SIGINT and SIGTERM call quit (a second one ends the process), SIGUSR1 calls usr1. */
void sim_loop_signals(struct sim_loop *l, void (*quit)(void *), void (*usr1)(void *), void *of);

struct sim_conn_ops {
	void (*opened)(struct sim_conn *c); /* may be NULL; connected, TLS done */
	/* Bytes have come: returns how many it took; the rest comes again with more behind it. */
	size_t (*data)(struct sim_conn *c, const char *p, size_t n);
	void (*closed)(struct sim_conn *c, const char *why); /* once; the conn dies after it */
};

struct sim_conn {
	struct sim_watch watch;
	struct sim_loop *loop;
	const struct sim_conn_ops *ops;
	void *of; /* the owner's */
	SSL *tls;
	char *in;
	size_t in_n, in_cap;
	struct buf out; /* append here, then sim_conn_dirty() */
	size_t out_done;
	uint32_t events;
	uint64_t sent; /* octets that the kernel has taken */
	bool connecting, handshake, is_dirty, is_dead, is_full, finish, quickack;
	struct sim_conn *next_dirty, *next_dead, *next, **at;
};

struct sim_addr {
	char host[128], port[16];
};
int sim_addr_parse(struct sim_addr *a_r, struct str s, struct err *e); /* HOST:PORT, [V6]:PORT */

struct sim_listener {
	struct sim_watch watch;
	struct sim_loop *loop;
	void (*accepted)(struct sim_listener *l, int fd);
	void *of;
	uint16_t port; /* the one it got when 0 was asked */
};
int sim_listen(struct sim_loop *l, struct sim_listener *s, const struct sim_addr *a, struct err *e);
int sim_listen_unix(struct sim_loop *l, struct sim_listener *s, const char *path, struct err *e);

/* Writes the port into FILE (whole or not at all), for scripts that asked for port 0. */
int sim_port_told(struct str file, uint16_t port, struct err *e);

struct sim_conn *sim_conn_new(
	struct sim_loop *l, int fd, const struct sim_conn_ops *ops, void *of, SSL_CTX *tls);
/* NULL and *e when not even the attempt can be made. */
struct sim_conn *sim_conn_connect(struct sim_loop *l, const struct sim_addr *a,
	const struct sim_conn_ops *ops, void *of, SSL_CTX *tls, struct err *e);
void sim_conn_dirty(struct sim_conn *c);
void sim_conn_flush(struct sim_conn *c);
void sim_conn_close(struct sim_conn *c, const char *why); /* now; closed() is called */
void sim_conn_finish(struct sim_conn *c);                 /* once everything is sent */
/* As a server: sends what is to be sent, forgets what was read, and expects a handshake. */
void sim_conn_secure(struct sim_conn *c, SSL_CTX *tls);
void sim_conn_again(struct sim_conn *c); /* offers data() what it had not taken once more */

SSL_CTX *sim_tls_server(struct str cert, struct str key, struct err *e);
SSL_CTX *sim_tls_client(struct str ca, struct str cert, struct str key, bool verify, struct err *e);

#endif
