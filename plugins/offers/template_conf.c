/* Rows of template_conf.h: what may stand in templates.d, and the manual's words for it. */
#include "plugins/offers/template_conf.h"

#include "gateway/model/translit.h"
#include "plugins/offers/printer.h"

/* ---- currencies ----------------------------------------------------------------------------- */

static const struct conf_item words_rows[] = {
	CONF_STR(struct currency_words, zero, NULL,
		"Its name with a number of category zero (lv, ar).", .example = "\"points\""),
	CONF_STR(struct currency_words, one, NULL, "Its name with one of it.",
		.example = "\"bonus point\""),
	CONF_STR(struct currency_words, two, NULL, "Category two (sl, he, ar).",
		.example = "\"points\""),
	CONF_STR(struct currency_words, few, NULL, "Category few (ru, uk, pl, lt, cs …).",
		.example = "\"points\""),
	CONF_STR(struct currency_words, many, NULL, "Category many (ru, uk, pl, lt, ar …).",
		.example = "\"points\""),
	CONF_STR(struct currency_words, other, NULL, "All other numbers.",
		.example = "\"bonus points\""),
	CONF_STR(struct currency_words, brief, NULL,
		"Its short name, which $Currency prints. Otherwise its code is printed.",
		.as = "short", .example = "\"pts\""),
	CONF_END
};
static const struct conf_item currency_language_rows[] = {
	CONF_KEYNAME(struct currency_language_conf, language),
	CONF_WHERE(struct currency_language_conf, where),
	CONF_INLINE(struct currency_language_conf, words, words_rows), CONF_END
};
static const struct conf_item currency_rows[] = { CONF_KEYNAME(struct currency_conf, code),
	CONF_WHERE(struct currency_conf, where),
	CONF_INLINE(struct currency_conf, words, words_rows),
	CONF_INT(struct currency_conf, decimals, 0, 4, 0, "Digits behind the decimal point."),
	CONF_NAMED(struct currency_conf, languages, languages_n, currency_language_rows,
		"Its names in that language (\"ru\", \"pt-BR\"), one for each plural category.",
		.flags = CONF_REST),
	CONF_END };

/* ---- bodies --------------------------------------------------------------------------------- */

static const struct conf_item button_rows[] = {
	CONF_STR(struct button_conf, text, "", "What stands on it.", .flags = CONF_REQUIRED),
	CONF_STR(struct button_conf, url, "",
		"Where it leads. Values within its query are percent-encoded.",
		.flags = CONF_REQUIRED),
	CONF_END
};
static const struct conf_item body_rows[] = { CONF_WHERE(struct body_conf, where),
	CONF_STR(struct body_conf, subject, NULL, "Email: the subject, which it must have.",
		.example = "\"Your points expire on ${Date:long}\""),
	CONF_STR(struct body_conf, title, NULL, "Push: the line above the text.",
		.example = "\"Points about to expire\""),
	CONF_STR(struct body_conf, text, NULL,
		"The text. Email: the alternative for readers without HTML, made from html when "
		"not given.",
		.example = "\"Use them by ${Date:long}.\""),
	CONF_STR(struct body_conf, html, NULL,
		"Email: the formatted text, or \"file:PATH\", relative to this file.",
		.example = "\"file:bonus-expires.en.html\""),
	CONF_STR(struct body_conf, image, NULL, "Push, viber: the address of an image.",
		.example = "\"https://cdn.example.com/exp.png\""),
	CONF_STR(struct body_conf, url, NULL,
		"No channel carries a link beside its text: viber has a button, email its html."),
	CONF_GROUP_GIVEN(struct body_conf, button, has_button, button_rows,
		"Viber: the button. An image with a text needs one."),
	CONF_STR(struct body_conf, moderated_as, NULL,
		"Social: the network's name of the approved template, which it must have.",
		.example = "\"VK-TPL-7781\""),
	CONF_END };
static const struct conf_item language_rows[] = { CONF_KEYNAME(struct language_conf, language),
	CONF_WHERE(struct language_conf, where),
	CONF_STR(struct language_conf, sms, NULL, "The text of an SMS, without markup.",
		.example = "\"Your $Amount bonus points will expire in 3 days.\""),
	CONF_GROUP_GIVEN(struct language_conf, email, has_email, body_rows,
		"Email: subject, and html or text."),
	CONF_GROUP_GIVEN(struct language_conf, push, has_push, body_rows,
		"Push: title and text, image, or both."),
	CONF_GROUP_GIVEN(struct language_conf, viber, has_viber, body_rows,
		"Viber: text, image, text and button, or text, image and button."),
	CONF_GROUP_GIVEN(struct language_conf, social, has_social, body_rows,
		"Social networks: text and moderated_as."),
	CONF_STR(struct language_conf, receipt, NULL, "Lines on the customer's receipt.",
		.example = "\"Your discount amount was ${Discount:money} ${Currency}.\""),
	CONF_STR(struct language_conf, cashier, NULL, "Lines on the cashier's screen.",
		.example = "\"Offer the tote bag.\""),
	CONF_END };

/* ---- templates ------------------------------------------------------------------------------ */

static const struct conf_word alphabet_words[] = {
	{ "any", ALPHABET_ANY, "GSM 7-bit where it suffices, else UCS-2" },
	{ "gsm7-or-fail", ALPHABET_GSM7_OR_FAIL,
		"GSM 7-bit: characters of the sets in translit are replaced, any other is a "
		"fault" },
	{ NULL }
};
static const struct conf_word translit_words[] = { { "none", 0, "nothing is replaced" },
	{ "punctuation", TRANSLIT_PUNCTUATION, "typographic quotes, dashes, spaces" },
	{ "accents", TRANSLIT_ACCENTS, "Latin letters lose their marks" },
	{ "greek", TRANSLIT_GREEK, "Greek letters" },
	{ "cyrillic", TRANSLIT_CYRILLIC, "Cyrillic letters" }, { NULL } };
static const struct conf_word over_words[] = { { "fail", OVER_FAIL, "the message fails" },
	{ "skip", OVER_SKIP, "it is not sent, as if suppressed" }, { NULL } };
static const struct conf_item limits_rows[] = { CONF_INT(struct limits_conf, sms_parts, 0, 255, 0,
							"Most parts of an SMS; 0: any number."),
	CONF_ENUM(struct limits_conf, sms_alphabet, alphabet_words, ALPHABET_ANY,
		"Characters that the SMS may hold."),
	CONF_FLAGS(struct limits_conf, translit, translit_words,
		TRANSLIT_PUNCTUATION | TRANSLIT_ACCENTS, "What gsm7-or-fail may replace."),
	CONF_INT(struct limits_conf, push_bytes, 1, 4096, 3000, "Most bytes of title and text.",
		.unit = "bytes"),
	CONF_INT(struct limits_conf, viber_chars, 1, 10000, 1000, "Most characters of the text.",
		.unit = "characters"),
	CONF_INT(struct limits_conf, social_chars, 1, 100000, 2048, "Most characters of the text.",
		.unit = "characters"),
	CONF_INT(struct limits_conf, subject_chars, 1, 998, 255, "Most characters of the subject.",
		.unit = "characters"),
	CONF_INT(struct limits_conf, email_bytes, 1, 16 * 1024 * 1024, 512 * 1024,
		"Most bytes of html and text.", .unit = "bytes"),
	CONF_ENUM(struct limits_conf, over, over_words, OVER_FAIL,
		"What becomes of a message over a limit. It is never cut off."),
	CONF_END };
static const struct conf_item sample_rows[] = { CONF_WHERE(struct sample_conf, where),
	CONF_MAP(struct sample_conf, values, values_n,
		"A value for a name of the texts; a dot in the name is written as an underscore "
		"(Member_first_name). Those not given are made up; \"\" is missing.",
		.flags = CONF_REST),
	CONF_END };
static const struct conf_word missing_words[] = {
	{ "skip", MISSING_SKIP, "the message is suppressed, naming what is missing" },
	{ "fail", MISSING_FAIL, "the message fails" },
	{ "send-with-fallback", MISSING_FALLBACK, "nothing is written in its place" }, { NULL }
};
static const struct conf_item template_rows[] = { CONF_KEYNAME(struct template_conf, name),
	CONF_WHERE(struct template_conf, where),
	CONF_STR(struct template_conf, language, NULL,
		"The language for members of whose language there is none; else the first."),
	CONF_ENUM(struct template_conf, missing, missing_words, MISSING_SKIP,
		"When a value is missing and no fallback stands beside it."),
	CONF_GROUP(struct template_conf, limits, limits_rows, "Limits of the rendered texts."),
	CONF_LIST(struct template_conf, samples, samples_n, sample_rows,
		"Values with which all texts are rendered when the configuration is loaded."),
	CONF_NAMED(struct template_conf, languages, languages_n, language_rows,
		"The texts in that language, by channel.", .flags = CONF_REST),
	CONF_END };

/* ---- the rest ------------------------------------------------------------------------------- */

static const struct conf_word moderation_words[] = { { "approved", MODERATION_APPROVED,
							     "it may be sent" },
	{ "draft", MODERATION_DRAFT, "not handed in yet" },
	{ "submitted", MODERATION_SUBMITTED, "the network has not decided" },
	{ "rejected", MODERATION_REJECTED, "the network has refused it" },
	{ "revoked", MODERATION_REVOKED, "the network has taken its approval back" }, { NULL } };
static const struct conf_item moderation_rows[] = { CONF_KEYNAME(struct moderation_conf, id),
	CONF_WHERE(struct moderation_conf, where),
	CONF_ENUM(struct moderation_conf, state, moderation_words, MODERATION_APPROVED,
		"Only approved texts are sent."),
	CONF_STR(struct moderation_conf, pattern, NULL,
		"The text as approved: %d stands for a number, %w for a word, %* for any text of "
		"one "
		"line, %% for a percent sign. Not given: the template's own text, its values "
		"anything.",
		.example = "\"You have %d points that expire soon.\""),
	CONF_END };
const struct conf_item printer_rows[] = {
	CONF_INT(struct printer_conf, width, 8, PRINTER_WIDTH_MOST, PRINTER_WIDTH,
		"Characters a line. Lines are broken between words.", .unit = "characters"),
	CONF_INT(struct printer_conf, lines, 1, PRINTER_LINES_MOST, PRINTER_LINES,
		"Most lines of an answer.", .unit = "lines"),
	CONF_STR(struct printer_conf, code_page, "utf-8",
		"Characters that it can print, as iconv(1) names them (ascii, CP866, "
		"windows-1257). Others "
		"are transliterated."),
	CONF_END
};
const struct conf_item texts_rows[] = {
	CONF_NAMED(struct texts_conf, templates, templates_n, template_rows,
		"Templates: one message in all its channels and languages."),
	CONF_NAMED(struct texts_conf, currencies, currencies_n, currency_rows,
		"The programme's own currencies, and their names by number."),
	CONF_NAMED(struct texts_conf, moderation, moderation_n, moderation_rows,
		"What social networks have said about templates, by the names in moderated_as."),
	CONF_END
};
