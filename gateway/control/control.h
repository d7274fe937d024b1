/* The control socket <state>/control.sock: posternctl's other end. Requests run on workers; each is
 * one JSON object on a line, {"verb":"channel","args":["hold","smsc-a"]}, answered by
 * {"progress":…} lines and at last one of {"ok":…} or {"error":"…"}.
 */
#ifndef POSTERN_CONTROL_CONTROL_H
#define POSTERN_CONTROL_CONTROL_H

#include "gateway/control/api.h"
#include "gateway/flow/gateway.h"

struct control;

/* conf_file: what a reload reads again. */
struct control *control_start(
	struct gateway *g, const char *conf_file, struct api *api, struct err *e);
void control_stop(struct control *c); /* no more requests; NULL is allowed */
/* After the workers have stopped: the last of them may still be ringing its loop. */
void control_free(struct control **cp);
/* Reads the file again and puts it in force, or leaves all as it is; appends what changed or every
 * fault. One at a time: callers wait for each other. 0, or -1 when it was refused. */
int control_reload(struct control *c, bool dry, struct buf *said);

#endif
