/* DKIM signatures by libopendkim. See dkim.h.
 *
 * The library keeps its settings, the time of signing among them, in a handle that is not made to
 * be shared; so a signer keeps a few, and a job has one to itself. Keys are read and tried when the
 * configuration is loaded; the library reads their PEM again for each signature.
 */
#include "gateway/mail/dkim.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <opendkim/dkim.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <unistd.h>

enum { PEM_MOST = 16384, RSA_LEAST = 1024, HEADERS_MOST = 64, FIELDS_MOST = 2000 };

/* RFC 6376 §5.4.1, what MIME needs to be read rightly, and what RFC 8058 §4 demands. */
static const char *const usual[] = { "From", "Sender", "Reply-To", "Subject", "Date", "To", "Cc",
	"Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "Content-ID", "Content-Description", "Resent-Date",
	"Resent-From", "Resent-To", "Resent-Cc", "Resent-Message-ID", "List-Id", "List-Help",
	"List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner",
	"List-Archive", "Feedback-ID", "Auto-Submitted" };
/* Named once more than they are there, so that a second one spoils the signature (§8.15). */
static const char *const oversigned[] = { "From", "Reply-To", "Subject", "Date", "To", "Cc",
	"Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", NULL };

struct key {
	char *domain, *selector, *pem;
	char **from; /* lower case; none: the domain and below */
	size_t from_n;
	dkim_canon_t body;
	dkim_alg_t alg;
	const char **headers; /* to be signed; ends with NULL */
	DKIM_LIB *libs[8];    /* at rest */
	unsigned libs_n;
};
struct dkim_signer {
	gint refs;
	GMutex lock; /* of libs */
	size_t n;
	struct key keys[];
};
struct dkim_job {
	struct dkim_signer *s;
	char last[2]; /* octets of the body so far */
	size_t n;
	struct one {
		struct key *key;
		DKIM_LIB *lib;
		DKIM *dkim;
	} v[];
};

/* ---- keys -------------------------------------------------------------------------------- */

static int read_pem(const struct dkim_conf *c, char **pem_r, struct err *e)
{
	char text[PEM_MOST + 1];
	size_t n = 0;
	ssize_t got = 0;
	int fd = open(c->key_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, ERR_CONF, "%s: %s", c->key_file, strerror(errno));
	while (n < sizeof text && (got = read(fd, text + n, sizeof text - n)) > 0)
		n += (size_t)got;
	close(fd);
	if (got < 0)
		return err_set(e, ERR_CONF, "%s: %s", c->key_file, strerror(errno));
	if (n > PEM_MOST)
		return err_set(e, ERR_CONF, "%s: is too long for a key", c->key_file);
	*pem_r = mem_dup(str_n(text, n));
	OPENSSL_cleanse(text, sizeof text);
	return 0;
}

/* A key with a passphrase is none that a daemon could use. */
static int no_passphrase(char *buf, int size, int writing, void *u)
{
	return 0;
}

static int try_key(const struct dkim_conf *c, struct key *k, struct err *e)
{
	BIO *b = BIO_new_mem_buf(k->pem, -1);
	EVP_PKEY *p = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	int rc = 0;

	BIO_free(b);
	ERR_clear_error();
	if (!p)
		return err_set(e, ERR_CONF,
			"%s: holds no private key in PEM (without a passphrase)", c->key_file);
	switch (EVP_PKEY_get_base_id(p)) {
	case EVP_PKEY_RSA:
		k->alg = DKIM_SIGN_RSASHA256;
		if (EVP_PKEY_get_bits(p) < RSA_LEAST)
			rc = err_set(e, ERR_CONF,
				"%s: an RSA key of %d bits; verifiers take 1024 or more",
				c->key_file, EVP_PKEY_get_bits(p));
		break;
	case EVP_PKEY_ED25519:
		k->alg = DKIM_SIGN_ED25519SHA256;
		break;
	default:
		rc = err_set(e, ERR_CONF, "%s: DKIM takes RSA and Ed25519 keys", c->key_file);
	}
	EVP_PKEY_free(p);
	return rc;
}

static char *lower_dup(const char *s)
{
	char *d = mem_dup(str_of(s));

	for (char *p = d; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	return d;
}

static DKIM_LIB *lib_new(const struct key *k)
{
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	const void *sign = k->headers, *over = oversigned;

	CHECK(lib);
	/* Lists are given as they are, and their "length" is that of a pointer. */
	CHECK(dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, (void *)(uintptr_t)sign,
		      sizeof(char **)) == DKIM_STAT_OK);
	CHECK(dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, (void *)(uintptr_t)over,
		      sizeof(char **)) == DKIM_STAT_OK);
	return lib;
}

static int load_key(const struct dkim_conf *c, struct key *k, struct err *e)
{
	size_t n = 0;

	k->domain = lower_dup(c->domain);
	k->selector = mem_dup(str_of(c->selector));
	k->body = c->relaxed_body ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;
	k->from = mem_alloc((c->from_n + 1) * sizeof *k->from);
	for (size_t i = 0; i < c->from_n; i++)
		k->from[k->from_n++] = lower_dup(c->from[i]);
	k->headers =
		mem_alloc((sizeof usual / sizeof usual[0] + c->headers_n + 1) * sizeof *k->headers);
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		k->headers[n++] = usual[i];
	if (c->headers_n > HEADERS_MOST)
		return err_set(e, ERR_CONF, "more than %d further headers", HEADERS_MOST);
	for (size_t i = 0; i < c->headers_n; i++) {
		bool known = false;

		for (size_t j = 0; j < sizeof usual / sizeof usual[0]; j++)
			known |= str_ieq(str_of(c->headers[i]), str_of(usual[j]));
		if (!known)
			k->headers[n++] = mem_dup(str_of(c->headers[i]));
	}
	if (read_pem(c, &k->pem, e) || try_key(c, k, e))
		return err_wrap(e, "dkim key %s of %s", c->selector, c->domain);
	k->libs[k->libs_n++] = lib_new(k);
	if (k->alg == DKIM_SIGN_ED25519SHA256 && !dkim_libfeature(k->libs[0], DKIM_FEATURE_ED25519))
		return err_set(e, ERR_CONF,
			"dkim key %s of %s: this machine's libopendkim cannot sign with Ed25519",
			c->selector, c->domain);
	return 0;
}

static void free_key(struct key *k)
{
	for (unsigned i = 0; i < k->libs_n; i++)
		dkim_close(k->libs[i]);
	for (size_t i = sizeof usual / sizeof usual[0]; k->headers && k->headers[i]; i++)
		mem_free(&k->headers[i]);
	mem_free(&k->headers);
	for (size_t i = 0; i < k->from_n; i++)
		mem_free(&k->from[i]);
	mem_free(&k->from);
	if (k->pem)
		OPENSSL_cleanse(k->pem, strlen(k->pem));
	mem_free(&k->pem);
	mem_free(&k->domain);
	mem_free(&k->selector);
}

/* ---- signers ----------------------------------------------------------------------------- */

struct dkim_signer *dkim_signer_new(const struct dkim_conf *v, size_t n, struct err *e)
{
	struct dkim_signer *s = mem_alloc(sizeof *s + n * sizeof s->keys[0]);

	s->refs = 1;
	g_mutex_init(&s->lock);
	for (size_t i = 0; i < n; i++) {
		s->n = i + 1;
		if (load_key(&v[i], &s->keys[i], e)) {
			dkim_signer_free(&s);
			return NULL;
		}
	}
	return s;
}

struct dkim_signer *dkim_signer_ref(struct dkim_signer *s)
{
	if (s)
		g_atomic_int_inc(&s->refs);
	return s;
}

void dkim_signer_free(struct dkim_signer **sp)
{
	struct dkim_signer *s = *sp;

	*sp = NULL;
	if (!s || !g_atomic_int_dec_and_test(&s->refs))
		return;
	for (size_t i = 0; i < s->n; i++)
		free_key(&s->keys[i]);
	g_mutex_clear(&s->lock);
	mem_free(&s);
}

/* ---- one mail ---------------------------------------------------------------------------- */

static bool signs_for(const struct key *k, struct str domain)
{
	struct str own = str_of(k->domain);

	for (size_t i = 0; i < k->from_n; i++)
		if (str_glob(str_of(k->from[i]), domain))
			return true;
	if (k->from_n)
		return false;
	return str_eq(domain, own) ||
	       (domain.n > own.n && str_ends(domain, own) && domain.p[domain.n - own.n - 1] == '.');
}

static DKIM_LIB *lib_take(struct dkim_signer *s, struct key *k)
{
	DKIM_LIB *lib = NULL;

	g_mutex_lock(&s->lock);
	if (k->libs_n)
		lib = k->libs[--k->libs_n];
	g_mutex_unlock(&s->lock);
	return lib ? lib : lib_new(k);
}

static void lib_give(struct dkim_signer *s, struct key *k, DKIM_LIB *lib)
{
	g_mutex_lock(&s->lock);
	if (k->libs_n < sizeof k->libs / sizeof k->libs[0]) {
		k->libs[k->libs_n++] = lib;
		lib = NULL;
	}
	g_mutex_unlock(&s->lock);
	if (lib)
		dkim_close(lib);
}

static void begin_one(struct dkim_job *j, struct key *k, wall_t at)
{
	struct one *o = &j->v[j->n++];
	uint64_t seconds = at > 0 ? (uint64_t)(at / DUR_S) : 0;
	DKIM_STAT st;

	o->key = k;
	o->lib = lib_take(j->s, k);
	CHECK(dkim_options(o->lib, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &seconds, sizeof seconds) ==
		DKIM_STAT_OK);
	o->dkim = dkim_sign(o->lib, (const unsigned char *)"", NULL, (dkim_sigkey_t)k->pem,
		(const unsigned char *)k->selector, (const unsigned char *)k->domain,
		DKIM_CANON_RELAXED, k->body, k->alg, -1, &st);
	CHECK(o->dkim);
}

struct dkim_job *dkim_begin(struct dkim_signer *s, struct str from_address, wall_t at)
{
	struct dkim_job *j;
	char wire[MAIL_ADDRESS];
	struct str domain;
	bool utf8;

	if (!s || !from_address.n || mail_address_wire(from_address, wire, &utf8, NULL) != 0)
		return NULL;
	for (char *p = wire; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	domain = str_of(strrchr(wire, '@') + 1);
	j = mem_alloc(sizeof *j + s->n * sizeof j->v[0]);
	j->s = dkim_signer_ref(s);
	for (size_t i = 0; i < s->n; i++)
		if (signs_for(&s->keys[i], domain))
			begin_one(j, &s->keys[i], at);
	if (!j->n)
		dkim_abort(&j);
	return j;
}

static int fault(const struct one *o, DKIM_STAT st, const char *what, struct err *e)
{
	const char *words = o->dkim ? dkim_geterror(o->dkim) : NULL;

	return err_set(e, ERR_INPUT, "no DKIM signature of %s (%s): %s: %s", o->key->domain,
		o->key->selector, what, words && *words ? words : dkim_getresultstr(st));
}

/* One field to each signature, without the line end behind it. */
static int put_field(struct dkim_job *j, struct str field, struct err *e)
{
	for (size_t i = 0; i < j->n; i++) {
		DKIM_STAT st = dkim_header(j->v[i].dkim, (u_char *)(uintptr_t)field.p, field.n);

		if (st != DKIM_STAT_OK)
			return fault(&j->v[i], st, "a header field", e);
	}
	return 0;
}

int dkim_put_header(struct dkim_job *j, struct str s, struct err *e)
{
	size_t at = 0;
	unsigned fields = 0;

	while (at < s.n) {
		size_t end = at;
		struct str field;

		do {
			const char *lf = memchr(s.p + end, '\n', s.n - end);

			end = lf ? (size_t)(lf - s.p) + 1 : s.n;
		} while (end < s.n && (s.p[end] == ' ' || s.p[end] == '\t'));
		field = str_n(s.p + at, end - at);
		at = end;
		while (field.n && (field.p[field.n - 1] == '\n' || field.p[field.n - 1] == '\r'))
			field.n--;
		if (!field.n)
			break; /* the empty line */
		if (++fields > FIELDS_MOST)
			return err_set(
				e, ERR_INPUT, "more than %d header fields to sign", FIELDS_MOST);
		if (put_field(j, field, e))
			return -1;
	}
	for (size_t i = 0; i < j->n; i++) {
		DKIM_STAT st = dkim_eoh(j->v[i].dkim);

		if (st != DKIM_STAT_OK)
			return fault(&j->v[i], st, "the header", e);
	}
	return 0;
}

int dkim_put_body(struct dkim_job *j, struct str octets, struct err *e)
{
	if (!octets.n)
		return 0;
	j->last[0] = octets.n > 1 ? octets.p[octets.n - 2] : j->last[1];
	j->last[1] = octets.p[octets.n - 1];
	for (size_t i = 0; i < j->n; i++) {
		DKIM_STAT st = dkim_body(j->v[i].dkim, (u_char *)(uintptr_t)octets.p, octets.n);

		if (st != DKIM_STAT_OK)
			return fault(&j->v[i], st, "the body", e);
	}
	return 0;
}

/* The library folds with CRLF or LF as it was built; on the wire it is CRLF. */
static void put_signature(struct buf *b, const unsigned char *p, size_t n)
{
	buf_str(b, STR("DKIM-Signature: "));
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\r')
			continue;
		if (p[i] == '\n')
			buf_char(b, '\r');
		buf_char(b, (char)p[i]);
	}
	buf_str(b, STR("\r\n"));
}

int dkim_end(struct dkim_job **jp, struct buf *fields, struct err *e)
{
	struct dkim_job *j = *jp;
	size_t start = fields->n;
	int rc = 0;

	/* A last line without its end is signed, and sent, with one (§3.4.3). */
	if (j->last[1] && (j->last[0] != '\r' || j->last[1] != '\n'))
		rc = dkim_put_body(j, STR("\r\n"), e);
	for (size_t i = 0; i < j->n && rc == 0; i++) {
		unsigned char *text;
		size_t n;
		bool unused;
		DKIM_STAT st = dkim_eom(j->v[i].dkim, &unused);

		if (st == DKIM_STAT_OK)
			st = dkim_getsighdr_d(
				j->v[i].dkim, sizeof "DKIM-Signature: " - 1, &text, &n);
		if (st == DKIM_STAT_OK)
			put_signature(fields, text, n);
		else
			rc = fault(&j->v[i], st, "the end", e);
	}
	if (rc)
		fields->n = start;
	dkim_abort(jp);
	return rc;
}

void dkim_abort(struct dkim_job **jp)
{
	struct dkim_job *j = *jp;

	*jp = NULL;
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++) {
		dkim_free(j->v[i].dkim);
		lib_give(j->s, j->v[i].key, j->v[i].lib);
	}
	dkim_signer_free(&j->s);
	mem_free(&j);
}
