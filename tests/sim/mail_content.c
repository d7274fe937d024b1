/* What is in a mail of posternsim mail: headers and lines made of patterns, or a file. */
#include "tests/sim/mail.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

void mail_pattern(const struct mail_conf *c, struct buf *out, struct str pattern, uint64_t n)
{
	struct sim_rng r;
	sim_rng_seed(&r, c->seed * 7919 + n);
	sim_pattern(out, pattern, n, &r);
}

void mail_recipient(const struct mail_conf *c, struct buf *out, uint64_t n, unsigned i)
{
	mail_pattern(c, out, c->to, c->recipients > 1 ? n * c->recipients + i : n);
}

bool mail_address_fits(struct str s)
{
	if (s.n > 254)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return true;
}

static void put_date(struct buf *out)
{
	char text[64];
	struct tm tm;
	time_t now = (time_t)(sim_wall() / SIM_S);
	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_c(out, text);
}

static void put_text(const struct mail_conf *c, struct buf *out, uint64_t n, size_t until)
{
	static const char filler[] =
		"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do "
		"eiusmod.\r\n";
	mail_pattern(c, out, c->text, n);
	buf_c(out, "\r\n");
	if (c->eightbit)
		buf_c(out, "Добрый день — ваш заказ уже в пути.\r\n");
	while (out->n < until) {
		size_t left = until - out->n;
		if (left >= sizeof(filler) - 1 + 3 || left == sizeof(filler) - 1) {
			buf_add(out, filler, sizeof(filler) - 1);
			continue;
		}
		for (; left > 2; left--)
			buf_char(out, '.');
		buf_c(out, "\r\n");
	}
}

void mail_content(const struct mail_conf *c, struct buf *out, uint64_t n)
{
	buf_reset(out);
	if (c->content) {
		buf_add(out, c->content, c->content_n);
		return;
	}
	buf_c(out, "From: <");
	mail_pattern(c, out, c->from, n);
	buf_c(out, ">\r\nTo: <");
	mail_recipient(c, out, n, 0);
	buf_c(out, ">\r\nSubject: ");
	mail_pattern(c, out, c->subject, n);
	buf_c(out, "\r\nDate: ");
	put_date(out);
	buf_printf(out, "\r\nMessage-ID: <%llu.%llu@posternsim.example>\r\nMIME-Version: 1.0\r\n",
		(unsigned long long)n, (unsigned long long)sim_wall());
	buf_printf(out, "Content-Type: text/plain; charset=%s\r\n",
		c->eightbit ? "utf-8\r\nContent-Transfer-Encoding: 8bit" : "us-ascii");
	buf_c(out, "\r\n");
	put_text(c, out, n, c->size);
}

/* Lines end with CR LF on the way, whatever they end with in the file. */
int mail_content_read(struct mail_conf *c, struct err *e)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(c->file.p, "re");
	int ch, last = 0;
	if (!f)
		return err_set(e, ERR_ENV, "%s: %s", c->file.p, strerror(errno));
	for (; (ch = getc(f)) != EOF; last = ch) {
		if (ch == '\n' && last != '\r')
			buf_char(&b, '\r');
		buf_char(&b, (char)ch);
	}
	fclose(f);
	if (last != '\n')
		buf_c(&b, "\r\n");
	c->content = b.p;
	c->content_n = b.n;
	return 0;
}
