/* Fuzz target: any octets as a token of either kind: all are forged but those that we make. */
#include "gateway/base/err.h"
#include "gateway/mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mail_conf c = { .secret = "sixteen octets and more",
		.bounce_life = DUR_DAY,
		.unsubscribe_life = DUR_DAY };
	char bounce[MAIL_TOKEN], link[MAIL_UNSUBSCRIBE_TOKEN];
	struct str s = str_n(data, size);
	struct mail_unsubscribe u;
	uint64_t msg, id = 0;

	if (mail_bounce_check(&c, s, 0, &msg) == MAIL_TOKEN_FORGED)
		CHECK(msg == 0);
	if (mail_unsubscribe_check(&c, s, 0, &u) == MAIL_TOKEN_FORGED)
		CHECK(u.msg == 0 && !u.address[0] && !u.row[0]);

	/* What we make from it we take back. */
	memcpy(&id, data, size < 8 ? size : 8);
	CHECK(mail_bounce_token(&c, id, DUR_DAY, bounce));
	CHECK(mail_bounce_check(&c, str_of(bounce), DUR_DAY, &msg) == MAIL_TOKEN_GOOD);
	CHECK(msg == id);
	if (mail_unsubscribe_token(&c, id, s, STR("row"), DUR_DAY, link)) {
		CHECK(mail_unsubscribe_check(&c, str_of(link), DUR_DAY, &u) == MAIL_TOKEN_GOOD);
		CHECK(u.msg == id && strcmp(u.row, "row") == 0);
		CHECK(memchr(data, '\0', size) || str_is(s, u.address));
	}
	return 0;
}
