/* What MTA-STS records and policies say (RFC 8461 §3.1, §3.2). Pure; any thread. */
#include "protocols/smtp/sts.h"

enum { AGE_MOST_S = 31557600 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct str trim(struct str s)
{
	while (s.n && is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool sts_record_parse(struct str txt, char id_r[STS_ID])
{
	struct str field;
	bool version = false;

	id_r[0] = '\0';
	while (str_cut(&txt, ';', &field)) {
		field = trim(field);
		if (!version) { /* it must come first */
			if (!str_is(field, "v=STSv1"))
				return false;
			version = true;
		} else if (str_starts(field, STR("id=")) && !id_r[0]) {
			field = str_skip(field, 3);
			if (!field.n || field.n >= STS_ID)
				return false;
			for (size_t i = 0; i < field.n; i++) {
				char c = field.p[i];

				if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
					!(c >= 'A' && c <= 'Z'))
					return false;
			}
			str_copy(id_r, STS_ID, field);
		}
	}
	return version && id_r[0];
}

static bool host_take(struct sts_policy *p, struct str s)
{
	char *out = p->mx[p->n];

	if (!s.n || s.n >= DNS_NAME || p->n == STS_HOSTS)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c <= ' ' || c >= 0x7f || (c == '*' && (i || s.n < 3 || s.p[1] != '.')))
			return false;
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	out[s.n] = '\0';
	if (s.n > 1 && out[s.n - 1] == '.')
		out[s.n - 1] = '\0';
	p->n++;
	return true;
}

int sts_policy_parse(struct str text, struct sts_policy *p_r, struct err *e)
{
	struct str line, key;
	bool version = false, mode = false, age = false;
	uint64_t seconds;

	*p_r = (struct sts_policy){ 0 };
	while (str_cut(&text, '\n', &line)) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!trim(line).n)
			continue;
		if (str_index(line, ':') < 0)
			return err_set(e, ERR_INPUT, "a line without \":\"");
		str_cut(&line, ':', &key);
		key = trim(key);
		line = trim(line);
		if (str_is(key, "version")) {
			version = str_is(line, "STSv1");
		} else if (str_is(key, "mode") && !mode) {
			mode = true;
			if (str_is(line, "enforce"))
				p_r->mode = STS_ENFORCE;
			else if (str_is(line, "testing"))
				p_r->mode = STS_TESTING;
			else if (!str_is(line, "none"))
				return err_set(e, ERR_INPUT, "a mode that there is not");
		} else if (str_is(key, "max_age") && !age) {
			age = str_u64(line, &seconds);
			p_r->max_age =
				(dur_t)(!age || seconds > AGE_MOST_S ? AGE_MOST_S : seconds) *
				DUR_S;
		} else if (str_is(key, "mx") && !host_take(p_r, line)) {
			return err_set(e, ERR_INPUT, "an mx that is no host name, or too many");
		}
	}
	if (!version || !mode || !age)
		return err_set(e, ERR_INPUT, "%s is missing",
			!version ? "version: STSv1"
			: !mode  ? "mode"
				 : "max_age");
	if (p_r->mode != STS_NONE && !p_r->n)
		return err_set(e, ERR_INPUT, "mx is missing");
	return 0;
}

bool sts_allows(const struct sts_policy *p, const char *host)
{
	for (unsigned i = 0; i < p->n; i++) {
		const char *mx = p->mx[i], *dot;

		if (strcmp(mx, host) == 0)
			return true;
		dot = strchr(host, '.');
		if (mx[0] == '*' && dot && dot != host && strcmp(mx + 1, dot) == 0)
			return true;
	}
	return false;
}
