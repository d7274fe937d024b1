/* The option tables' reader. Values are checked where they are read, so that a command never
 * starts with half of what was asked.
 */
#include "tests/sim/opt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static int read_double(struct str s, double *v_r, struct str *rest_r)
{
	char tmp[40];
	char *end;
	if (s.n == 0 || s.n >= sizeof(tmp) || !(isdigit((unsigned char)s.p[0]) || s.p[0] == '.'))
		return -1;
	str_copy(tmp, sizeof(tmp), s);
	*v_r = strtod(tmp, &end);
	*rest_r = str_skip(s, (size_t)(end - tmp));
	return end == tmp ? -1 : 0;
}

int sim_opt_duration(struct str s, uint64_t *ns_r)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 },
		{ "h", 3600e9 }, { "d", 86400e9 } };
	double v;
	struct str unit;
	if (read_double(s, &v, &unit) < 0)
		return -1;
	if (unit.n == 0 && v == 0) {
		*ns_r = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_is(unit, units[i].unit) && v * units[i].ns < 1e18) {
			*ns_r = (uint64_t)(v * units[i].ns);
			return 0;
		}
	return -1;
}

int sim_opt_share(struct str s, double *share_r)
{
	double v;
	struct str rest;
	if (read_double(s, &v, &rest) < 0)
		return -1;
	if (str_is(rest, "%"))
		v /= 100;
	else if (rest.n)
		return -1;
	if (v > 1)
		return -1;
	*share_r = v;
	return 0;
}

int sim_opt_number(struct str s, uint64_t *v_r)
{
	if (s.n > 2 && s.n <= 18 && s.p[0] == '0' && (s.p[1] | 32) == 'x') {
		uint64_t v = 0;
		for (size_t i = 2; i < s.n; i++) {
			if (!isxdigit((unsigned char)s.p[i]))
				return -1;
			v = v << 4 |
			    (uint64_t)(isdigit((unsigned char)s.p[i]) ? s.p[i] - '0'
								      : (s.p[i] | 32) - 'a' + 10);
		}
		*v_r = v;
		return 0;
	}
	return str_u64(s, v_r) ? 0 : -1;
}

static int span_read(struct str s, struct sim_span *span_r)
{
	ptrdiff_t dots = str_find(s, STR(".."));
	struct str lo = dots < 0 ? s : str_n(s.p, (size_t)dots);
	struct str hi = dots < 0 ? s : str_skip(s, (size_t)dots + 2);
	if (sim_opt_duration(lo, &span_r->lo) < 0 || sim_opt_duration(hi, &span_r->hi) < 0)
		return -1;
	return span_r->hi < span_r->lo ? -1 : 0;
}

static int opt_apply(const struct sim_opt *o, void *conf, struct str v, struct err *e)
{
	char *at = (char *)conf + o->offset;
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)(void *)at = !(str_is(v, "no") || str_is(v, "off") || str_is(v, "false"));
		return 0;
	case OPT_STR:
		*(struct str *)(void *)at = v;
		return 0;
	case OPT_U64:
		if (sim_opt_number(v, (uint64_t *)(void *)at) < 0)
			return err_set(e, ERR_CONF, "--%s wants a whole number, not \"%.*s\"",
				o->name, STR_ARG(v));
		return 0;
	case OPT_F64: {
		struct str rest;
		double d;
		if (read_double(v, &d, &rest) < 0 || (rest.n && !str_is(rest, "/s")))
			return err_set(e, ERR_CONF, "--%s wants a number, not \"%.*s\"", o->name,
				STR_ARG(v));
		*(double *)(void *)at = d;
		return 0;
	}
	case OPT_SHARE:
		if (sim_opt_share(v, (double *)(void *)at) < 0)
			return err_set(e, ERR_CONF,
				"--%s wants a share between 0 and 1 (or a percentage), not "
				"\"%.*s\"",
				o->name, STR_ARG(v));
		return 0;
	case OPT_DUR:
		if (sim_opt_duration(v, (uint64_t *)(void *)at) < 0)
			return err_set(e, ERR_CONF,
				"--%s wants a duration with its unit (250ms, 30s, 5m), not "
				"\"%.*s\"",
				o->name, STR_ARG(v));
		return 0;
	case OPT_SPAN:
		if (span_read(v, (struct sim_span *)(void *)at) < 0)
			return err_set(e, ERR_CONF,
				"--%s wants a duration (20ms) or a range (10ms..50ms), not "
				"\"%.*s\"",
				o->name, STR_ARG(v));
		return 0;
	case OPT_CALL: {
		struct err why = { 0 };
		if (o->call(conf, v, &why) < 0)
			return err_set(e, ERR_CONF, "--%s %.*s: %s", o->name, STR_ARG(v), why.text);
		return 0;
	}
	case OPT_GROUP:
		break;
	}
	return -1;
}

static const struct sim_opt *opt_find(const struct sim_opt *opts, struct str name)
{
	for (const struct sim_opt *o = opts; o->name; o++)
		if (o->type != OPT_GROUP && str_is(name, o->name))
			return o;
	return NULL;
}

static int opt_unknown(const struct sim_opt *opts, struct str name, struct err *e)
{
	const char *best = NULL;
	unsigned least = 4;
	for (const struct sim_opt *o = opts; o->name; o++) {
		unsigned d = o->type == OPT_GROUP ? 9 : str_distance(name, str_of(o->name), 3);
		if (d < least) {
			least = d;
			best = o->name;
		}
	}
	if (best)
		return err_set(e, ERR_CONF, "unknown option --%.*s; did you mean --%s?",
			STR_ARG(name), best);
	return err_set(e, ERR_CONF, "unknown option --%.*s; --help lists them", STR_ARG(name));
}

static void opt_help(const struct sim_opt *opts, const char *usage)
{
	printf("usage: posternsim %s\n", usage);
	for (const struct sim_opt *o = opts; o->name; o++) {
		if (o->type == OPT_GROUP) {
			printf("\n%s:\n", o->name);
			continue;
		}
		int n = printf("  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		printf("%s%*s%s\n", n > 30 ? "\n" : "", n > 30 ? 32 : 32 - n, "", o->help);
	}
	fputs("\n  Durations carry a unit (50us, 20ms, 3s, 5m); a RANGE is one, or two as "
	      "10ms..50ms;\n"
	      "  a SHARE is 0.01 or 1%. `man posternsim` tells the rest.\n",
		stdout);
}

int sim_opt_parse(const struct sim_opt *opts, const char *usage, void *conf, int argc, char **argv,
	struct err *e)
{
	for (int i = 1; i < argc; i++) {
		struct str arg = str_of(argv[i]), name, value = STR_NONE;
		if (str_is(arg, "--help") || str_is(arg, "-h")) {
			opt_help(opts, usage);
			return 1;
		}
		if (!str_starts(arg, STR("--")))
			return err_set(e, ERR_CONF,
				"unexpected argument \"%s\"; options begin with --", argv[i]);
		arg = str_skip(arg, 2);
		ptrdiff_t at = str_index(arg, '=');
		name = at < 0 ? arg : str_n(arg.p, (size_t)at);
		const struct sim_opt *o = opt_find(opts, name);
		if (!o)
			return opt_unknown(opts, name, e);
		if (at >= 0)
			value = str_skip(arg, (size_t)at + 1);
		else if (o->type != OPT_FLAG) {
			if (i + 1 == argc)
				return err_set(
					e, ERR_CONF, "--%s wants a value (%s)", o->name, o->arg);
			value = str_of(argv[++i]);
		}
		if (opt_apply(o, conf, value, e) < 0)
			return -1;
	}
	return 0;
}

int sim_opt_set(
	const struct sim_opt *opts, void *conf, struct str name, struct str value, struct err *e)
{
	const struct sim_opt *o = opt_find(opts, name);
	if (!o)
		return opt_unknown(opts, name, e);
	if (!o->live)
		return err_set(e, ERR_CONF, "--%s cannot be changed while running", o->name);
	return opt_apply(o, conf, value, e);
}
