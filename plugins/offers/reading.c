/* See reading.h. */
#include "plugins/offers/reading.h"
#include "plugins/offers/attrs.h"

int reading_begin(struct plugin_words *w, struct reading *r, struct err *e)
{
	*r = (struct reading){ .sql = plugin_read(w->host, e) };
	if (!r->sql)
		return -1;
	db_open(&r->db, r->sql);
	r->work.rules = plugin_enter(w->host, &r->entered);
	r->db.attrs = attrs_open(
		r->sql, r->work.rules->attributes, r->work.rules->attributes_n, false, &r->work.e);
	r->work.db = &r->db;
	r->work.now = clock_wall();
	r->work.arena = arena_new();
	return r->db.attrs ? 0 : err_set(e, ERR_AGAIN, "%s", r->work.e.text);
}

void reading_end(struct plugin_words *w, struct reading *r)
{
	if (!r->sql)
		return;
	plugin_leave(w->host, r->entered);
	arena_free(&r->work.arena);
	attrs_close(&r->db.attrs);
	db_close(&r->db);
	plugin_read_end(w->host, &r->sql);
}
