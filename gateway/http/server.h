/* HTTP/1.1 in, over TCP or TLS: libmicrohttpd's epoll threads below, a table of routes above.
 *
 * A request's life: begin() sees method, path, query and headers; body() is shown the bytes as they
 * come; end() says that was all; and one answer, given now or later, leaves. While an answer or
 * room for more body is awaited the connection sleeps and costs no thread. The four callbacks of
 * one request run on one HTTP thread, one after the other; different requests run side by side.
 *
 * What the owner of a route promises: each request that reaches begin() is answered exactly once
 * (http_answer and what is built on it, or http_drop), be its client still there or not. Until
 * end() was called that is done from within the request's callbacks; afterwards from any thread.
 * The request may not be touched after its answer, except by the callback that is still running.
 */
#ifndef POSTERN_HTTP_SERVER_H
#define POSTERN_HTTP_SERVER_H

#include "gateway/base/buf.h"
#include "gateway/base/clock.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"

struct sockaddr;
struct json_faults;
struct http_server;
struct http_request;

/* ---- routes ---- */
struct http_route {
	const char *method; /* "GET" answers HEAD too */
	const char *path;   /* a segment that is only a star is any one segment, not empty */
	size_t body_most;   /* bytes; 0: the server's limit. More is answered 413. */
	/* Optional: may answer, which ends the matter: no other callback follows. */
	void (*begin)(struct http_request *r);
	/* Returns how many bytes were taken; 0 stops the flow until http_resume_body(), after which
	 * the same bytes are shown again. May answer. NULL: the server gathers the body itself
	 * (http_body). */
	size_t (*body)(struct http_request *r, struct str bytes);
	/* The whole of the body has come. */
	void (*end)(struct http_request *r);
	/* Optional: the client went away, or sent more than it may, before the end. The answer is
	 * still owed (http_drop). Not noticed while the body is stopped, nor behind the end. */
	void (*gone)(struct http_request *r);
	void *owner; /* for http_owner() */
};
/* The first that fits is taken. No path fits: 404; a path but no method: 405 with Allow. */

struct http_limits {          /* 0 in any: the default */
	size_t header_most;   /* 16 KiB: all headers of a request together; beyond: 431 */
	size_t body_most;     /* 1 MiB */
	unsigned connections; /* 1000 */
	unsigned per_address; /* 100 */
	unsigned threads;     /* 2 per listen address; and one for each 120 connections */
	dur_t idle;           /* 60 s without a byte either way while it is the client's turn */
};

struct http_server_conf {
	const char *const *listen;       /* "host:port", …, NULL; see acceptor_open() for forms */
	const char *cert, *key;          /* PEM text, for TLS on all of them; NULL: plain */
	const struct http_route *routes; /* ends with method NULL; lives as long as the server */
	struct http_limits limits;
};

/* Accepts when it returns. */
struct http_server *http_server_new(const struct http_server_conf *c, struct err *e);
/* Another certificate (PEM text) for connections that come from now on, on the same ports, which
 * are never closed; those that are there go on as they were. Of a server that has TLS. -1: nothing
 * has changed. One thread at a time. */
int http_server_renew(struct http_server *s, const char *cert, const char *key, struct err *e);
uint16_t http_server_port(const struct http_server *s, unsigned listen_index);
/* Stops accepting, lets what is open finish for at most grace, cuts off the rest. Blocks. Answers
 * still owed after that are taken and dropped. */
void http_server_stop(struct http_server **sp, dur_t grace);

/* ---- what a request says; all live until the answer ---- */
struct str http_method(const struct http_request *r);
struct str http_path(const struct http_request *r); /* as sent, without the query */
/* The i-th wildcard segment, percent-decoded. */
struct str http_wild(const struct http_request *r, unsigned i);
/* The first header of that name (any case); false when absent. */
bool http_header(const struct http_request *r, const char *name, struct str *v_r);
/* The first query argument of that name, decoded; present without '=' is "". */
bool http_arg(const struct http_request *r, const char *name, struct str *v_r);
/* All of them in order: false behind the last. */
bool http_arg_at(const struct http_request *r, unsigned i, struct str *name_r, struct str *v_r);
/* Content-Type without its parameters equals type (any case). */
bool http_type_is(const struct http_request *r, const char *type);
struct str http_body(const struct http_request *r); /* gathered; from end() on */
void *http_owner(const struct http_request *r);
/* The owner's own, NULL at first. */
void http_set_state(struct http_request *r, void *state);
void *http_state(const struct http_request *r);
/* After body() returned 0. Any thread; harmless when nothing is stopped. */
void http_resume_body(struct http_request *r);

/* ---- answering ---- */
/* Before the answer. */
void http_answer_header(struct http_request *r, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the body (which is left empty); NULL: none. type NULL: no Content-Type. */
void http_answer(struct http_request *r, unsigned status, const char *type, struct buf *body);
void http_answer_text(struct http_request *r, unsigned status, const char *text);
/* Closes the connection without an answer. */
void http_drop(struct http_request *r);

/* RFC 9457 as application/problem+json. title NULL: the status's own words; detail may be NULL;
 * field: JSON pointer of what is at fault, or NULL. */
void http_problem(struct http_request *r, unsigned status, const char *title, const char *detail,
	const char *field);
void http_problem_faults(struct http_request *r, unsigned status, const struct json_faults *f);
/* The problem's object alone, for answers that hold many. */
void http_problem_put(
	struct buf *b, unsigned status, const char *title, const char *detail, const char *field);
void http_problem_put_faults(struct buf *b, unsigned status, const struct json_faults *f);

/* ---- who asks ---- */
struct http_token {
	const char *name, *token;
};
/* Which of n tokens (each stride bytes after the other, struct http_token first) the request bears,
 * or -1. Takes the same time for every wrong one. */
ptrdiff_t http_bearer(const struct http_request *r, const void *tokens, size_t n, size_t stride);
/* 401 with WWW-Authenticate. */
void http_unauthorized(struct http_request *r);

#endif
