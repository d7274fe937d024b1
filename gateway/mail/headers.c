/* FIELD_HEADERS: further fields of a mail, as its submitter wishes. See content.h.
 *
 * Fields that say who, when, whither and how are made from fields of their own, or by those whom
 * the mail passes; a submitter who could write them could say what is not so.
 */
#include "gateway/base/err.h"
#include "gateway/mail/content.h"
#include "gateway/mail/mime_out.h"
#include "gateway/model/address.h"

#include <gmime/gmime.h>

enum { FIELDS_MOST = 64, NAME_MOST = 64, VALUE_MOST = 8192 };

static const char *const ours[] = { "From", "Sender", "To", "Bcc", "Subject", "Date", "Message-ID",
	"MIME-Version", "Received", "Return-Path", "Delivered-To", "DKIM-Signature",
	"Authentication-Results", "DomainKey-Signature" };
static const char *const our_kinds[] = { "Content-", "ARC-", "Resent-", "Received-" };
static const char *const addresses[] = { "Reply-To", "Cc", "Errors-To",
	"Disposition-Notification-To", "Return-Receipt-To", "Mail-Followup-To", "Mail-Reply-To" };

static gpointer start_gmime(gpointer unused)
{
	g_mime_init();
	return NULL;
}

void mail_gmime(void)
{
	static GOnce once = G_ONCE_INIT;

	g_once(&once, start_gmime, NULL);
}

static const char *name_fault(struct str name, bool unsubscribe)
{
	if (name.n == 0 || name.n > NAME_MOST)
		return "a name takes 1 to 64 characters";
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f ||
			name.p[i] == ':')
			return "a name takes visible ASCII without \":\"";
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		if (str_ieq(name, str_of(ours[i])))
			return "cannot be set here: it is made from the message's own fields";
	for (size_t i = 0; i < sizeof our_kinds / sizeof our_kinds[0]; i++) {
		size_t n = strlen(our_kinds[i]);

		if (name.n > n && str_ieq(str_n(name.p, n), str_of(our_kinds[i])))
			return "cannot be set here: it belongs to those who build and carry mail";
	}
	if (unsubscribe && (str_ieq(name, STR("List-Unsubscribe")) ||
				   str_ieq(name, STR("List-Unsubscribe-Post"))))
		return "comes from `unsubscribe`, which was given, too";
	return NULL;
}

static const char *value_fault(struct str v)
{
	size_t word = 0;

	if (v.n > VALUE_MOST)
		return "more than 8192 bytes";
	if (!str_utf8_valid(v))
		return "is not UTF-8";
	for (size_t i = 0; i < v.n; i++) {
		if (((unsigned char)v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return "holds a line end or another control character";
		word = v.p[i] == ' ' || v.p[i] == '\t' ? 0 : word + 1;
		if (word > MIME_WORD)
			return "has a word of more than 900 bytes, which no line can hold";
	}
	return NULL;
}

static bool is_address_field(struct str name)
{
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
		if (str_ieq(name, str_of(addresses[i])))
			return true;
	return false;
}

/* "Reply-To: one, two", each mailbox written anew. */
static int put_addresses(
	const char *name, struct str value, struct buf *out, bool *utf8_r, struct err *e)
{
	struct buf text = BUF_INIT;
	InternetAddressList *list;
	size_t column = strlen(name) + 2;
	int n, rc = 0;

	mail_gmime();
	buf_str(&text, value);
	list = internet_address_list_parse(NULL, buf_cstr(&text));
	buf_free(&text);
	n = list ? internet_address_list_length(list) : 0;
	if (n == 0)
		rc = err_set(e, ERR_INPUT, "/headers/%s: has no address that can be read", name);
	if (out)
		buf_printf(out, "%s: ", name);
	for (int i = 0; i < n && rc == 0; i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		struct str address, display = str_of(internet_address_get_name(a));
		char wire[MAIL_ADDRESS];
		struct err why;
		bool utf8;

		if (!INTERNET_ADDRESS_IS_MAILBOX(a)) {
			rc = err_set(e, ERR_INPUT, "/headers/%s: takes addresses, no groups", name);
			break;
		}
		address = str_of(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a)));
		if (address_email(address, &why) != 0 ||
			mail_address_wire(address, wire, &utf8, &why) != 0) {
			rc = err_set(e, ERR_INPUT, "/headers/%s: %s", name, why.text);
			break;
		}
		*utf8_r |= utf8;
		if (!out)
			continue;
		if (i) {
			buf_str(out, STR(",\r\n "));
			column = 1;
		}
		if (display.n) {
			mime_phrase(out, display, column);
			buf_str(out, STR("\r\n <"));
		}
		buf_c(out, wire);
		if (display.n)
			buf_char(out, '>');
	}
	if (out)
		buf_str(out, STR("\r\n"));
	if (list)
		g_object_unref(list);
	return rc;
}

static int put_field(const char *name, const json_t *v, bool unsubscribe, struct buf *out,
	bool *utf8_r, struct err *e)
{
	const char *words = name_fault(str_of(name), unsubscribe);
	struct str value;

	if (words)
		return err_set(e, ERR_INPUT, "/headers/%s: %s", name, words);
	if (!json_is_string(v))
		return err_set(
			e, ERR_INPUT, "/headers/%s: must be a string or a list of strings", name);
	value = str_n(json_string_value(v), json_string_length(v));
	words = value_fault(value);
	if (words)
		return err_set(e, ERR_INPUT, "/headers/%s: %s", name, words);
	if (is_address_field(str_of(name)))
		return put_addresses(name, value, out, utf8_r, e);
	if (out)
		mime_text_field(out, name, value);
	return 0;
}

int headers_put(struct str json, bool unsubscribe, struct buf *out, bool *utf8_r, struct err *e)
{
	json_error_t fault;
	json_t *root, *v, *one;
	const char *name;
	size_t fields = 0, i;
	int rc = 0;

	if (!json.n)
		return 0;
	root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &fault);
	if (!root)
		return err_set(e, ERR_INPUT, "/headers: is not JSON: %s", fault.text);
	if (!json_is_object(root))
		rc = err_set(e, ERR_INPUT, "/headers: must be an object, name to value");
	json_object_foreach(root, name, v)
	{
		if (rc == 0 && !json_is_array(v)) {
			rc = put_field(name, v, unsubscribe, out, utf8_r, e);
			fields++;
		} else {
			json_array_foreach(v, i, one)
			{
				if (rc == 0)
					rc = put_field(name, one, unsubscribe, out, utf8_r, e);
				fields++;
			}
		}
	}
	if (rc == 0 && fields > FIELDS_MOST)
		rc = err_set(e, ERR_INPUT, "/headers: more than %d fields", FIELDS_MOST);
	json_decref(root);
	return rc;
}
