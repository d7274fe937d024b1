/* DKIM signatures: RSA by libopendkim, Ed25519 by OpenSSL. See dkim.h, and dkim_canon.h for why.
 *
 * The library keeps its settings, the time of signing among them, in a handle that is not made to
 * be shared; so a signer keeps a few, and a job has one to itself. Keys are read and tried when the
 * configuration is loaded; the library reads their PEM again for each signature.
 */
#include "gateway/mail/dkim.h"
#include "gateway/base/err.h"
#include "gateway/base/mem.h"
#include "gateway/mail/dkim_canon.h"
#include "gateway/mail/mail.h"
#include "gateway/mail/mime_in.h"

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
	bool relaxed;         /* the body */
	EVP_PKEY *ed25519;    /* NULL: an RSA key, which the library reads from pem */
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
	uint64_t seconds;
	struct buf header; /* for Ed25519 */
	char last[2];      /* octets of the body so far */
	size_t n;
	struct one {
		struct key *key;
		DKIM_LIB *lib; /* RSA */
		DKIM *dkim;
		struct dkim_body_hash *hash; /* Ed25519 */
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
		if (EVP_PKEY_get_bits(p) < RSA_LEAST)
			rc = err_set(e, ERR_CONF,
				"%s: an RSA key of %d bits; verifiers take 1024 or more",
				c->key_file, EVP_PKEY_get_bits(p));
		break;
	case EVP_PKEY_ED25519:
		k->ed25519 = p;
		return 0;
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
	k->relaxed = c->relaxed_body;
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
	if (!k->ed25519)
		k->libs[k->libs_n++] = lib_new(k);
	return 0;
}

static void free_key(struct key *k)
{
	for (unsigned i = 0; i < k->libs_n; i++)
		dkim_close(k->libs[i]);
	EVP_PKEY_free(k->ed25519);
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

static void begin_one(struct dkim_job *j, struct key *k)
{
	struct one *o = &j->v[j->n++];
	DKIM_STAT st;

	o->key = k;
	if (k->ed25519) {
		o->hash = dkim_body_hash_new(k->relaxed);
		return;
	}
	o->lib = lib_take(j->s, k);
	CHECK(dkim_options(o->lib, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &j->seconds,
		      sizeof j->seconds) == DKIM_STAT_OK);
	o->dkim = dkim_sign(o->lib, (const unsigned char *)"", NULL, (dkim_sigkey_t)k->pem,
		(const unsigned char *)k->selector, (const unsigned char *)k->domain,
		DKIM_CANON_RELAXED, k->relaxed ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE,
		DKIM_SIGN_RSASHA256, -1, &st);
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
	j->seconds = at > 0 ? (uint64_t)(at / DUR_S) : 0;
	for (size_t i = 0; i < s->n; i++)
		if (signs_for(&s->keys[i], domain))
			begin_one(j, &s->keys[i]);
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

/* One field, without the line end behind it. */
static int put_field(struct dkim_job *j, struct str field, struct err *e)
{
	ptrdiff_t colon = str_index(field, ':');
	struct str name = str_trim(str_n(field.p, colon < 0 ? 0 : (size_t)colon));
	bool good = name.n != 0;

	for (size_t i = 0; i < name.n; i++)
		good &= (unsigned char)name.p[i] > ' ' && (unsigned char)name.p[i] < 0x7f;
	if (!good)
		return err_set(e, ERR_INPUT,
			"no DKIM signature: a line of the header is no field: \"%.*s\"",
			(int)(field.n < 40 ? field.n : 40), field.p);
	for (size_t i = 0; i < j->n; i++) {
		DKIM_STAT st = DKIM_STAT_OK;

		if (j->v[i].dkim)
			st = dkim_header(j->v[i].dkim, (u_char *)(uintptr_t)field.p, field.n);
		if (st != DKIM_STAT_OK)
			return fault(&j->v[i], st, "a header field", e);
	}
	return 0;
}

int dkim_put_header(struct dkim_job *j, struct str s, struct err *e)
{
	struct str field;
	size_t at = 0, fields = 0;

	while (mime_next_lines(s, &at, &field)) {
		size_t lines = field.n;

		while (field.n && (field.p[field.n - 1] == '\n' || field.p[field.n - 1] == '\r'))
			field.n--;
		if (!field.n)
			break; /* the empty line */
		if (++fields > FIELDS_MOST)
			return err_set(e, ERR_INPUT,
				"no DKIM signature: more than %d header fields", FIELDS_MOST);
		if (put_field(j, field, e))
			return -1;
		buf_add(&j->header, field.p, lines);
	}
	for (size_t i = 0; i < j->n; i++) {
		DKIM_STAT st = j->v[i].dkim ? dkim_eoh(j->v[i].dkim) : DKIM_STAT_OK;

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
		DKIM_STAT st = DKIM_STAT_OK;

		if (j->v[i].hash)
			dkim_body_hash_more(j->v[i].hash, octets);
		else
			st = dkim_body(j->v[i].dkim, (u_char *)(uintptr_t)octets.p, octets.n);
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

static int end_rsa(struct one *o, struct buf *fields, struct err *e)
{
	unsigned char *text;
	size_t n;
	bool unused;
	DKIM_STAT st = dkim_eom(o->dkim, &unused);

	if (st == DKIM_STAT_OK)
		st = dkim_getsighdr_d(o->dkim, sizeof "DKIM-Signature: " - 1, &text, &n);
	if (st != DKIM_STAT_OK)
		return fault(o, st, "the end", e);
	put_signature(fields, text, n);
	return 0;
}

/* A list of names or letters, broken where a line gets long. */
static void put_folded(struct buf *b, struct str s, char after)
{
	enum { LINE = 70 };
	size_t line = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (line >= LINE && (!after || s.p[i - 1] == after)) {
			buf_str(b, STR("\r\n\t"));
			line = 0;
		}
		buf_char(b, s.p[i]);
		line++;
	}
}

static void put_base64(struct buf *b, const uint8_t *p, size_t n)
{
	unsigned char out[4 * 64 / 3 + 8];

	CHECK(n <= 64);
	put_folded(b, str_n(out, (size_t)EVP_EncodeBlock(out, p, (int)n)), 0);
}

/* RFC 8463 §3: what is signed is the SHA-256 of the canonical header. */
static int end_ed25519(struct dkim_job *j, struct one *o, struct buf *fields, struct err *e)
{
	struct buf list = BUF_INIT, canon = BUF_INIT;
	uint8_t hash[DKIM_HASH], signature[64];
	size_t signature_n = sizeof signature, start = fields->n;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n = 0;
	bool ok;

	dkim_body_hash_end(&o->hash, hash);
	dkim_choose_fields(buf_view(&j->header), o->key->headers, oversigned, &list, &canon);
	buf_printf(fields,
		"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/%s;\r\n\td=%s; s=%s; t=%llu;"
		"\r\n\th=",
		o->key->relaxed ? "relaxed" : "simple", o->key->domain, o->key->selector,
		(unsigned long long)j->seconds);
	put_folded(fields, buf_view(&list), ':');
	buf_str(fields, STR(";\r\n\tbh="));
	put_base64(fields, hash, sizeof hash);
	buf_str(fields, STR(";\r\n\tb="));
	dkim_relaxed_field(str_n(fields->p + start, fields->n - start), &canon);
	ok = md && EVP_Digest(canon.p, canon.n, hash, &n, EVP_sha256(), NULL) &&
	     EVP_DigestSignInit(md, NULL, NULL, NULL, o->key->ed25519) &&
	     EVP_DigestSign(md, signature, &signature_n, hash, n);
	if (ok) {
		put_base64(fields, signature, signature_n);
		buf_str(fields, STR("\r\n"));
	}
	EVP_MD_CTX_free(md);
	buf_free(&list);
	buf_free(&canon);
	return ok ? 0 : fault(o, DKIM_STAT_INTERNAL, "the end", e);
}

int dkim_end(struct dkim_job **jp, struct buf *fields, struct err *e)
{
	struct dkim_job *j = *jp;
	size_t start = fields->n;
	int rc = 0;

	/* A last line without its end is signed, and sent, with one (§3.4.3). */
	if (j->last[1] && (j->last[0] != '\r' || j->last[1] != '\n'))
		rc = dkim_put_body(j, STR("\r\n"), e);
	for (size_t i = 0; i < j->n && rc == 0; i++)
		rc = j->v[i].hash ? end_ed25519(j, &j->v[i], fields, e)
				  : end_rsa(&j->v[i], fields, e);
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
		dkim_body_hash_free(&j->v[i].hash);
		if (!j->v[i].dkim)
			continue;
		dkim_free(j->v[i].dkim);
		lib_give(j->s, j->v[i].key, j->v[i].lib);
	}
	buf_free(&j->header);
	dkim_signer_free(&j->s);
	mem_free(&j);
}
