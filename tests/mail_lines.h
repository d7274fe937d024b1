/* For the tests of mails that we write: lines that any server takes. Header-only. */
#ifndef POSTERN_TESTS_MAIL_LINES_H
#define POSTERN_TESTS_MAIL_LINES_H

#include "gateway/base/str.h"

/* All lines end in CRLF, none is too long, there is no NUL, and all is 7-bit unless said otherwise.
 */
static inline void check_lines(struct str s, bool eight)
{
	size_t line = 0;

	assert_true(str_ends(s, STR("\r\n")));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n')
			assert_true(i && s.p[i - 1] == '\r');
		if (s.p[i] == '\r')
			assert_true(i + 1 < s.n && s.p[i + 1] == '\n');
		line = s.p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 999 && s.p[i]);
		assert_true(eight || (unsigned char)s.p[i] < 0x80);
	}
}

#endif
