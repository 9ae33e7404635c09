#include "store/service-clock.h"

#include "basic/clock.h"

#define BEGINNING INT64_C(1000000)
/* A machine that has run for longer does not exist. */
#define LATEST    (INT64_MAX / 16)

/* ENG-223 */
int service_clock_open(ServiceClock *clock, sqlite3 *db)
{
        sqlite3_stmt *s = NULL;
        int64_t noted = BEGINNING;
        int r = sqlite3_prepare_v2(db, "SELECT value FROM facts WHERE key = 'clock'", -1, &s, NULL);

        if (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW)
                noted = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
        if (noted < BEGINNING || noted > LATEST)
                noted = BEGINNING;
        if (r == SQLITE_ROW || r == SQLITE_DONE)
                r = sqlite3_prepare_v3(db, "REPLACE INTO facts (key, value) VALUES ('clock', ?)",
                                       -1, SQLITE_PREPARE_PERSISTENT, &clock->write, NULL);
        clock->ahead = (uint64_t)noted - clock_usec(CLOCK_BOOTTIME);
        clock->written = (uint64_t)noted;
        return r == SQLITE_OK ? 0 : r == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

void service_clock_close(ServiceClock *clock)
{
        sqlite3_finalize(clock->write);
        clock->write = NULL;
}

uint64_t service_clock_now(const ServiceClock *clock)
{
        return clock_usec(CLOCK_BOOTTIME) + clock->ahead;
}

uint64_t service_clock_to_boottime(const ServiceClock *clock, uint64_t point)
{
        uint64_t now = service_clock_now(clock);

        return clock_usec(CLOCK_BOOTTIME) + (point > now ? point - now : 0);
}

int service_clock_note(ServiceClock *clock)
{
        uint64_t now = service_clock_now(clock);
        int r;

        if (now - clock->written < USEC_PER_SEC)
                return SQLITE_OK;
        sqlite3_bind_int64(clock->write, 1, (sqlite3_int64)now);
        r = sqlite3_step(clock->write);
        sqlite3_reset(clock->write);
        if (r != SQLITE_DONE)
                return r;
        clock->written = now;
        return SQLITE_OK;
}
