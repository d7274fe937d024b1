/* The civil calendar (proleptic Gregorian) in days since 1970-01-01. See value.h.
 * Days are counted in eras of 400 years from 0000-03-01, so that the leap day is the last of a
 * year.
 */
#include "plugins/offers/value.h"

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 };

/* What lies beyond is taken for the end: a year must fit an int, and sums must not overflow. */
#define DAYS_MOST 700000000000ll

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

void date_civil(int64_t days, int *year_r, int *month_r, int *day_r)
{
	int64_t z, era, of_era, y, of_year, m;

	if (days > DAYS_MOST)
		days = DAYS_MOST;
	if (days < -DAYS_MOST)
		days = -DAYS_MOST;
	z = days + DAYS_TO_1970;
	era = floor_div(z, DAYS_PER_ERA);
	of_era = z - era * DAYS_PER_ERA;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	*day_r = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month_r = (int)(m < 10 ? m + 3 : m - 9);
	*year_r = (int)(y + era * 400 + (*month_r <= 2));
}

static int64_t month_start(int64_t year, int month)
{
	int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;

	return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
	       DAYS_TO_1970;
}

bool year_is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int date_month_days(int year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month < 1 || month > 12)
		return 0;
	return days[month - 1] + (month == 2 && year_is_leap(year));
}

int64_t date_of_civil(int year, int month, int day)
{
	int64_t y = year + floor_div((int64_t)month - 1, 12);
	int m = (int)((int64_t)month - 1 - floor_div((int64_t)month - 1, 12) * 12) + 1;
	int most = date_month_days((int)(y % 400), m);

	day = day < 1 ? 1 : day > most ? most : day;
	return month_start(y, m) + day - 1;
}

int date_weekday(int64_t days)
{
	int64_t w = (days % 7 + 3) % 7; /* the first of all was a Thursday */

	return (int)(w < 0 ? w + 7 : w) + 1;
}

int64_t date_add_months(int64_t days, int32_t months)
{
	int y, m, d;
	int64_t all;

	if (months == 0)
		return days;
	date_civil(days, &y, &m, &d);
	all = (int64_t)y * 12 + (m - 1) + months;
	if (floor_div(all, 12) > INT32_MAX)
		return DAYS_MOST;
	if (floor_div(all, 12) < INT32_MIN)
		return -DAYS_MOST;
	return date_of_civil((int)floor_div(all, 12), (int)(all - floor_div(all, 12) * 12) + 1, d);
}
