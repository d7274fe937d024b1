/* Big bodies as files: a folder in which each file is written once, synced, then named in a
 * message, and removed by the store when no message names it any more (store.h).
 *
 * So a body costs a message neither memory nor the store writer's time. A name is made up here and
 * says nothing of the content; files that no message names (a crash between the sync and the
 * commit) are swept at the next start. All calls may block: workers, or threads that may wait.
 */
#ifndef POSTERN_BASE_SPOOL_H
#define POSTERN_BASE_SPOOL_H

#include "gateway/base/err.h"
#include "gateway/base/str.h"

struct spool;
struct spool_writer;
enum { SPOOL_NAME = 32 };

/* Makes the folder when it is missing, mode 0750; what was never finished is removed. */
struct spool *spool_open(const char *dir, struct err *e);
void spool_close(struct spool **sp);

/* Any number of writers; each one thread at a time. NULL, -1: e, of kind ERR_AGAIN when the disk is
 * full. */
struct spool_writer *spool_begin(struct spool *s, struct err *e);
int spool_write(struct spool_writer *w, const void *p, size_t n, struct err *e);
uint64_t spool_written(const struct spool_writer *w);
/* The file and its name are on disk. The writer is freed, also on failure (the file is then gone).
 * Who finished a file removes it when none of the messages that name it was accepted, unless the
 * store itself failed (it may have been committed: the sweep at the next start knows). */
int spool_finish(struct spool_writer **wp, char name_r[SPOOL_NAME], struct err *e);
void spool_abort(struct spool_writer **wp);

/* Reading: a descriptor, the caller's to close; the file stays readable though it is removed
 * meanwhile. -1: there is no such file, or the name is none of ours. */
int spool_read(struct spool *s, struct str name, uint64_t *size_r, struct err *e);
/* n octets at that place of such a descriptor; less than that is a failure: -1, e of kind ERR_ENV.
 */
int spool_read_at(int fd, uint64_t at, char *p, size_t n, struct err *e);
void spool_remove(struct spool *s, struct str name); /* harmless when it is not there */
/* The file under its own name in another folder, too (made when missing): a second name for it
 * where that is possible, else a copy. -1: e, of kind ERR_INPUT when it is not there. spool_sync()
 * of that folder afterwards makes what was given durable. */
int spool_give(struct spool *s, struct str name, const char *dir, struct err *e);
int spool_sync(const char *dir, struct err *e);
/* Each file that is there. The callback returns false to stop. */
int spool_each(struct spool *s, bool (*fn)(void *ctx, struct str name), void *ctx, struct err *e);

/* What a message keeps in FIELD_SPOOL: "FIELD:NAME:SIZE", the word of the field whose value the
 * file is ("octets", "attachments"). */
struct spool_ref {
	struct str field, name;
	uint64_t size;
};
bool spool_ref_parse(struct str value, struct spool_ref *r_r);

#endif
