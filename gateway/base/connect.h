/* Finding an address and connecting to it: names on a worker, addresses in turn, one deadline.
 * Private to base; streams are what others use. On one loop.
 */
#ifndef POSTERN_BASE_CONNECT_H
#define POSTERN_BASE_CONNECT_H

#include "gateway/base/loop.h"

struct connector;

/* fd >= 0: connected, the caller's now. -1: why says what failed. Once, never from inside
 * connector_open(); the connector is freed by then. */
typedef void (*connector_fn)(void *owner, int fd, const struct err *why);

struct connector *connector_open(struct loop *l, const char *host, uint16_t port,
	const char *source, mono_t deadline, connector_fn fn, void *owner);
void connector_close(struct connector **cp); /* fn will not be called */

#endif
