/* HTTP/1.1 out, on a loop: libcurl's multi interface below, one client per loop above.
 *
 * For webhooks, token endpoints and provider APIs; connections are kept alive and shared by what
 * this client asks of one host. Names are resolved on curl's threads. Nothing here blocks, and no
 * callback comes from inside http_call(). Own loop's thread only. Proxies of the environment,
 * .netrc and redirects are not followed; only http and https are spoken.
 */
#ifndef POSTERN_HTTP_CLIENT_H
#define POSTERN_HTTP_CLIENT_H

#include "gateway/base/err.h"
#include "gateway/base/loop.h"

struct http_client;
struct http_call;

struct http_client_limits { /* 0 in any: the default */
	unsigned per_host;  /* 8 connections to one host; more requests wait */
	unsigned total;     /* 256 connections */
	unsigned idle;      /* 32 of them kept open for later */
	dur_t idle_for;     /* 60 s */
};

struct http_client *http_client_new(struct loop *l, const struct http_client_limits *lim);
/* Calls still under way are forgotten: their callbacks do not come. */
void http_client_free(struct http_client **cp);

/* How the far side is reached and who it must be. Lives at least as long as the call. */
struct http_way {
	const char *ca_file;              /* NULL: the system's */
	const char *cert_file, *key_file; /* ours, for the far side to check; or NULL */
	const char *proxy;                /* "http://host:port", or NULL */
	bool no_verify;                   /* TLS certificates are not checked */
	bool allow_private; /* loopback, RFC 1918, link-local, … may be connected to. Checked
			     * on what the name resolved to; with a proxy the proxy decides. */
	unsigned redirects; /* to follow at most, GET only; 0: none */
};

struct http_ask {
	const char *method; /* "POST" */
	const char *url;
	const char *const *headers; /* "Name: value", …, NULL; or NULL. Copied. */
	struct buf *body;           /* taken, and left empty; or NULL */
	const struct http_way *way; /* NULL: checks on, private addresses refused */
	dur_t deadline;             /* for the whole of it, 0: 30 s */
	dur_t connect;              /* for connecting, TLS included, 0: 10 s */
	size_t answer_most;         /* bytes of the answer's body, 0: 64 KiB; more is a failure */
	bool once; /* The far side cannot tell a repetition: a request whose body has begun to leave
		    * on a kept connection that turns out dead is not sent again by itself. */
};

struct http_reply {
	unsigned status; /* 0: there was no answer, and why says why */
	struct str body; /* both die with the callback */
	struct err why;  /* "https://host:443: connection refused" */
	bool began;      /* the request has begun to leave: the far side may have acted on it */
	bool timed_out;
	dur_t took;
	const struct http_call *call; /* for http_reply_header() */
};
typedef void http_reply_fn(void *owner, const struct http_reply *reply);

/* Never fails at once: a URL that is none is told through fn, later. fn comes exactly once, unless
 * the call is cancelled. The pointer is good until then. */
struct http_call *http_call(
	struct http_client *c, const struct http_ask *ask, http_reply_fn *fn, void *owner);
/* fn will not come. Not from inside this call's own fn. */
void http_cancel(struct http_call **callp);
/* The first header of that name (any case) of the last answer; within fn. */
bool http_reply_header(const struct http_reply *r, const char *name, struct str *v_r);
/* Retry-After as a length from now: seconds or a date; false when absent or neither. */
bool http_retry_after(const struct http_reply *r, dur_t *d_r);
/* Of the header's value; at most 2^32 seconds. */
bool http_retry_after_parse(struct str v, wall_t now, dur_t *d_r);
/* Calls under way, waiting ones included. */
unsigned http_client_calls(const struct http_client *c);
/* "https://host:port" of a URL without path, user and query: for logs. */
void http_url_origin(struct buf *b, const char *url);

#endif
