/* RT-9: the birthday task over a million members, all of them on one day, in thirty zones.
 *
 *   make build/bench/task_bench
 *   build/bench/task_bench FILE [members] [accrue]
 *
 * The plugin's side of it: each slice of 8 ms is one durable transaction over FILE, as on the store
 * writer; the messages are made and counted, the gateway's own rows for them are not written (that
 * is about 5 us each). accrue: points are given as well. Prints members per second and the longest
 * slice.
 */
#include "plugins/offers/task_fixture.h"

#define ACCRUE "accrue = { currency = \"stars\"; amount = \"50\"; lives = \"30 days\"; };"
#define RULES(more)                                                                               \
	"policy = { default_clock = \"Europe/Riga\"; consent_default = \"all\";"                  \
	" service = { quiet = [ \"22:00-08:00\" ]; max = [ \"3 per day\" ]; }; };\n"              \
	"currencies = { stars = { one = \"star\"; other = \"stars\"; decimals = 0; }; };\n"       \
	"templates = { happy = { en = { sms = \"Happy birthday, ${Member.first_name|friend}!\"; " \
	"push = { title = \"Hi\"; text = \"Happy birthday\"; }; }; }; };\n"                       \
	"tasks = ( { name = \"happy\"; every = \"day at 09:30\"; look = \"member.birthday\";"     \
	" min_member_age = \"7 days\"; send = \"happy\"; via = [ \"push\", \"sms\" ]; " more      \
	" } );\n"

static const char *const zones[] = { "Europe/Riga", "Europe/London", "Europe/Paris", "Europe/Kyiv",
	"Europe/Istanbul", "Europe/Moscow", "Asia/Yekaterinburg", "Asia/Omsk", "Asia/Novosibirsk",
	"Asia/Irkutsk", "Asia/Tokyo", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dubai", "Asia/Almaty",
	"Asia/Bangkok", "Asia/Shanghai", "Australia/Sydney", "Pacific/Auckland",
	"Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "America/Chicago",
	"America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "America/Santiago",
	"Africa/Cairo", "Africa/Lagos", "Atlantic/Azores" };

static void fill(uint64_t n)
{
	char text[1200], list[900] = "";
	size_t used = 0, many = sizeof zones / sizeof *zones;

	for (size_t i = 0; i < many; i++)
		used += (size_t)snprintf(
			list + used, sizeof list - used, "WHEN %zu THEN '%s' ", i, zones[i]);
	snprintf(text, sizeof text,
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %llu)"
		" INSERT INTO of_member(ext, state, first_name, birthday, zone, registered, "
		"created,"
		" updated) SELECT 'member-' || i, 2, 'Homer', 310, CASE i %% %zu %s END, 1, 1, 1 "
		"FROM c",
		(unsigned long long)n, many, list);
	if (sql_begin(tf.sql) || sql_exec(tf.sql, text) ||
		sql_exec(tf.sql, "INSERT INTO of_zone SELECT DISTINCT zone FROM of_member") ||
		sql_exec(tf.sql, "INSERT INTO of_contact(member, kind, value, flags, since)"
				 " SELECT id, 0, '371' || (20000000 + id), 1, 1 FROM of_member") ||
		sql_commit(tf.sql))
		tf_fail("filling", tf.sql->words);
}

static void hours(wall_t day, uint64_t *sent, dur_t *longest, dur_t *work)
{
	/* forty-eight quarters of an hour and more: until it is the tenth no more anywhere */
	for (unsigned q = 0; q < 4 * 52; q++) {
		bool left = true;

		tf.w.now = day + q * 15 * DUR_MIN;
		while (left) {
			mono_t t = clock_mono();
			unsigned n;

			tf_unit();
			tf.sent_n = 64;
			if (sql_begin(tf.sql) || task_fire(&tf.w, 0, t + 8 * DUR_MS, &n, &left) ||
				sql_commit(tf.sql))
				tf_fail("firing", tf.w.e.text);
			t = clock_mono() - t;
			*sent += n;
			*work += t;
			if (t > *longest)
				*longest = t;
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000, sent = 0;
	bool accrue = argc > 3 && strcmp(argv[3], "accrue") == 0;
	dur_t longest = 0, work = 0;
	mono_t t0;
	wall_t day;

	if (argc < 2) {
		fprintf(stderr, "usage: task_bench FILE [members] [accrue]\n");
		return 2;
	}
	tf_open(argv[1], accrue ? RULES(ACCRUE) : RULES(""));
	fill(n);
	clock_parse_rfc3339(STR("2026-03-09T10:00:00Z"), &day);
	tf.w.now = day;
	t0 = clock_mono();
	hours(day, &sent, &longest, &work);
	printf("members %llu  messages %llu  seconds %.1f  per second %.0f  longest slice %.1f "
	       "ms\n",
		(unsigned long long)n, (unsigned long long)sent,
		(double)(clock_mono() - t0) / DUR_S, (double)n * DUR_S / (double)work,
		(double)longest / DUR_MS);
	tf_close();
	return sent == n ? 0 : 1;
}
