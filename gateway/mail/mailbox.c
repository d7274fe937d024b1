/* "Name <address>" as people and programs write it (RFC 5322 §3.4, one mailbox). Pure, any thread.
 */
#include "gateway/mail/mail.h"

/* "Shop \"A\", Ltd" between quotes, its backslashes resolved. False: it does not end. */
static bool take_quoted(struct str *rest, struct buf *name)
{
	struct str s = str_skip(*rest, 1);

	while (s.n && s.p[0] != '"') {
		if (s.p[0] == '\\' && s.n > 1)
			s = str_skip(s, 1);
		buf_char(name, s.p[0]);
		s = str_skip(s, 1);
	}
	if (!s.n)
		return false;
	*rest = str_trim(str_skip(s, 1));
	return true;
}

bool mail_mailbox(struct str in, struct buf *name, struct str *address_r)
{
	struct str rest = str_trim(in);
	ptrdiff_t open;

	if (!rest.n || rest.p[rest.n - 1] != '>') {
		*address_r = rest;
		return rest.n > 0;
	}
	if (rest.p[0] == '"') {
		if (!take_quoted(&rest, name) || !rest.n || rest.p[0] != '<')
			return false;
		open = 0;
	} else {
		open = str_index(rest, '<');
		if (open < 0)
			return false;
		buf_str(name, str_trim(str_n(rest.p, (size_t)open)));
	}
	rest = str_skip(rest, (size_t)open + 1);
	*address_r = str_trim(str_n(rest.p, rest.n - 1));
	return address_r->n && str_index(*address_r, '<') < 0 && str_index(*address_r, '>') < 0;
}
