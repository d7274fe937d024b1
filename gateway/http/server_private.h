/* What server.c (libmicrohttpd, the request's life), idle.c (connections) and request.c (what it
 * says, what is answered) share. request.c knows nothing of libmicrohttpd: whatever came with the
 * headers was copied. */
#ifndef POSTERN_HTTP_SERVER_PRIVATE_H
#define POSTERN_HTTP_SERVER_PRIVATE_H

#include "gateway/base/list.h"
#include "gateway/base/stream.h"
#include "gateway/http/server.h"

enum { HTTP_WILDS_MOST = 4 };

struct http_pair {
	struct http_pair *next;
	struct str name, value;
};

/* ---- idle.c: connections on which the client does nothing ---- */
struct http_idle;
struct http_link; /* one connection, as long as libmicrohttpd has it */
struct http_idle *idle_new(dur_t most);
void idle_free(struct http_idle **idle); /* behind the last connection */
struct http_link *idle_open(struct http_idle *idle, int fd);
void idle_close(struct http_idle *idle, struct http_link **kp); /* before its fd is closed */
/* Is it our turn, since a request is worked on? */
void idle_ours(struct http_link *k, bool ours);

struct http_request {
	struct http_server *server;
	const struct http_route *route; /* NULL: none fits */
	struct arena *arena;
	void *state;

	struct str method, path, wild[HTTP_WILDS_MOST];
	struct http_pair *headers, *args;
	struct buf body; /* gathered */
	union addr peer;
	char peer_text[ADDR_TEXT];

	/* The answer: written by who owes it, read by the HTTP thread once answered is set. */
	unsigned status;
	const char *type;
	struct buf answer;
	struct http_pair *answer_headers;
	bool drop, close;

	/* The HTTP thread's. */
	mono_t began;
	size_t body_seen, body_most, discarded;
	bool body_comes, ended, told;
	bool slept; /* in this turn the connection was put to sleep */

	/* Under the server's lock. */
	struct list place;
	struct MHD_Connection *connection; /* NULL once it is gone */
	unsigned refs;                     /* the HTTP thread's and the owner's */
	bool owed;                         /* by the owner of the route */
	bool answered;                     /* by whomever */
	bool suspended;                    /* the connection sleeps; who clears this wakes it */
	bool woken;                        /* there is room for the body again */
};

/* Sets what is answered on; false when something else was answered before. */
bool request_answered(struct http_request *r);
/* Percent-decoded into the arena; false on a broken or zero byte. */
bool request_decode(struct arena *a, struct str s, struct str *out_r);
/* Fills wild when the path fits. */
bool request_path_fits(struct http_request *r, const char *pattern, bool *broken_r);
/* 404, 405, or NULL and r->route set. */
void request_route(struct http_request *r, const struct http_route *routes);
const char *http_status_words(unsigned status);
/* The answer of the server itself, in the owner's stead. */
void request_refuse(struct http_request *r, unsigned status, const char *detail);
/* The owner's share of the request ends. */
void request_settle(struct http_request *r);

#endif
