/* A store in a folder of its own, with a spool for big bodies: what its tests begin and end with.
 */
#ifndef POSTERN_STORE_STORE_SPOOL_FIXTURE_H
#define POSTERN_STORE_STORE_SPOOL_FIXTURE_H

#include "gateway/store/store_fixture.h"

static char dir[64], file[96], spool_dir[96];
static struct spool *spool;

static int begin(void **state)
{
	struct err e = { 0 };

	snprintf(dir, sizeof dir, "/tmp/store_spool.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/postern.db", dir);
	snprintf(spool_dir, sizeof spool_dir, "%s/spool", dir);
	spool = spool_open(spool_dir, &e);
	assert_non_null(spool);
	fx_spool = spool;
	fx_begin(file);
	return 0;
}

static int over(void **state)
{
	char cmd[128];

	fx_end();
	spool_close(&spool);
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return system(cmd) != 0;
}

#endif
