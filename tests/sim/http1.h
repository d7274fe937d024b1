/* HTTP/1.1, as much of it as a load generator and a webhook's receiver need. */
#ifndef POSTERN_SIM_HTTP1_H
#define POSTERN_SIM_HTTP1_H

#include "tests/sim/sim.h"

struct sim_http {
	struct str first;   /* the request or status line */
	struct str headers; /* all lines after it */
	struct str body;    /* joined, if it was chunked; lives until the next parse */
	unsigned status;    /* of a response */
	bool close;         /* no keep-alive */
	bool expect;        /* in a request whose body is not here yet: wants 100 Continue */
};

/* The length of the message at p; 0 when more is needed, -1 when it is none. A body that ends with
 * the connection (responses only) is complete when `ended`. */
long sim_http_parse(struct sim_http *h, const char *p, size_t n, bool response, bool ended);
struct str sim_http_header(const struct sim_http *h, const char *name); /* p NULL: absent */
void sim_url_encode(struct buf *out, struct str s);

#endif
