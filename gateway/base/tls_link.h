/* One TLS connection over one descriptor: what a stream drives. Private to base.
 *
 * Ciphertext goes into a buffer that the stream sends (so TLS never waits for writing, and several
 * records leave in one system call); reading comes straight from the descriptor. One thread.
 */
#ifndef POSTERN_BASE_TLS_LINK_H
#define POSTERN_BASE_TLS_LINK_H

#include "gateway/base/buf.h"
#include "gateway/base/tls.h"

#include <sys/types.h>

struct tls_link;

struct tls_link *tls_link_client(struct tls_client *c, int fd, struct buf *wire);
struct tls_link *tls_link_server(struct tls_server *s, int fd, struct buf *wire);
void tls_link_free(struct tls_link **lp);
/* 1: done, 0: more bytes are needed, -1: failed, *e worded for the operator. */
int tls_link_handshake(struct tls_link *l, struct err *e);
/* Bytes read; TLS_LATER: none now; TLS_END: closed with close_notify; TLS_FAILED: *e says why. */
enum { TLS_LATER = 0, TLS_END = -1, TLS_FAILED = -2 };
ssize_t tls_link_read(struct tls_link *l, void *p, size_t n, struct err *e);
/* Bytes were taken from the descriptor that were not read yet. */
bool tls_link_pending(struct tls_link *l);
/* All of it becomes records in the wire buffer; -1 when the connection is past writing. */
int tls_link_write(struct tls_link *l, const void *p, size_t n, struct err *e);
void tls_link_bye(struct tls_link *l); /* close_notify into the wire buffer */
const char *tls_link_alpn(struct tls_link *l);
const char *tls_link_cipher(struct tls_link *l);
/* "connection reset by peer" and the like; constant text. */
const char *net_error_text(int error);

/* tls.c's side: a fresh SSL with the settings of one or the other. */
struct ssl_st;
struct ssl_st *tls_client_open(struct tls_client *c);
struct ssl_st *tls_server_open(struct tls_server *s);
const char *tls_client_name(const struct tls_client *c);

#endif
