/*
 * What an administrator may decide (reference 02 section 12, 05 section 8): every setting of
 * bitsd.conf with its default, its bounds and where it was set. One table of keys; reading files is
 * not done here.
 *
 * bitsd has one Config that stays where it is: a reload replaces its contents as a whole, or not at
 * all.
 */
#pragma once

#include "core/bandwidth.h"
#include "core/cost.h"

#include <sys/types.h>

/* Which jobs wait. */
typedef enum ConfigWaiting {
        WAITING_NONE,
        WAITING_BACKGROUND,
        WAITING_ALL,
        WAITING_MAX,
        WAITING_INVALID = -1,
} ConfigWaiting;

/* In the order of bitsd.conf(5). */
typedef enum ConfigKey {
        CONFIG_MAX_JOBS_PER_MACHINE,
        CONFIG_MAX_JOBS_PER_USER,
        CONFIG_MAX_FILES_PER_JOB,
        CONFIG_MAX_RANGES_PER_FILE,
        CONFIG_MAX_BACKGROUND_JOBS,
        CONFIG_EXEMPT_SERVICE_ACCOUNTS,
        CONFIG_EXEMPT_ACCOUNTS,
        CONFIG_JOB_INACTIVITY_TIMEOUT,
        CONFIG_MAX_DOWNLOAD_TIME,
        CONFIG_INTERNET_RATE,
        CONFIG_INTERNET_FROM,
        CONFIG_INTERNET_TO,
        CONFIG_INTERNET_RATE_OTHERWISE,
        CONFIG_SCHEDULE_ON,
        CONFIG_MAINTENANCE_ON,
        CONFIG_WORK_FIRST_DAY,
        CONFIG_WORK_LAST_DAY,
        CONFIG_WORK_FROM,
        CONFIG_WORK_TO,
        CONFIG_WORK_HIGH,
        CONFIG_WORK_NORMAL,
        CONFIG_WORK_LOW,
        CONFIG_LEISURE_HIGH,
        CONFIG_LEISURE_NORMAL,
        CONFIG_LEISURE_LOW,
        CONFIG_MAINTENANCE_FIRST_DAY,
        CONFIG_MAINTENANCE_LAST_DAY,
        CONFIG_MAINTENANCE_FROM,
        CONFIG_MAINTENANCE_TO,
        CONFIG_MAINTENANCE_HIGH,
        CONFIG_MAINTENANCE_NORMAL,
        CONFIG_MAINTENANCE_LOW,
        CONFIG_COST_FOREGROUND,
        CONFIG_COST_HIGH,
        CONFIG_COST_NORMAL,
        CONFIG_COST_LOW,
        CONFIG_METERED_STATE,
        CONFIG_BATTERY,
        CONFIG_LOW_BATTERY,
        CONFIG_COMMAND_LINES,
        CONFIG_COMMAND_LINE_ACCOUNTS,
        CONFIG_COMMAND_LINE_TIMEOUT,
        CONFIG_KEY_MAX,
        CONFIG_KEY_INVALID = -1,
} ConfigKey;

enum {
        ACCOUNTS_MAX = 64, /* in one setting */
        CONFIG_WHY_MAX = 320,
        CONFIG_VALUE_MAX = 1024,
        CONFIG_FILES_MAX = 64,
};

typedef struct AccountList {
        uid_t uids[ACCOUNTS_MAX];
        uint32_t n;
} AccountList;

typedef struct Config {
        /* Limits */
        uint32_t max_jobs_per_machine, max_jobs_per_user, max_files_per_job, max_ranges_per_file;
        uint32_t max_background_jobs;     /* at once */
        uint32_t exempt_service_accounts; /* 0: the limits hold for them as for people */
        AccountList exempt;
        /* Timeouts */
        uint32_t job_inactivity_timeout; /* days */
        uint32_t max_download_time;      /* s, of a job that has none of its own */
        /* Bandwidth, WorkSchedule, NonWorkSchedule, MaintenanceSchedule */
        BandwidthPolicy bandwidth;
        /* TransferPolicy: cost flags of a job that has none of its own */
        uint32_t cost_flags[PRIORITY_MAX];
        uint32_t metered_state; /* COST_… */
        /* Power: ConfigWaiting */
        uint32_t wait_on_battery, wait_on_low_battery;
        /* Notification */
        uint32_t allow_command_lines;
        AccountList command_line_accounts; /* whose run all the same */
        uint32_t command_line_timeout;     /* s */

        /* Where each was set: number of the file from 1, 0: a default. */
        struct {
                uint32_t file, line;
        } origins[CONFIG_KEY_MAX];
} Config;

void config_init(Config *config);

/* The uid of an account, false: there is none of that name. */
typedef bool (*ConfigFindAccount)(const char *name, uid_t *ret);

/* One line of a file: 0, or -EINVAL with a sentence in `why` (CONFIG_WHY_MAX) that says what is
   wrong and what is allowed; nothing is changed then. */
int config_set(Config *config, const char *section, const char *name, const char *value,
               ConfigFindAccount find_account, uint32_t file, uint32_t line, char *why);

const char *config_section(ConfigKey key);
const char *config_name(ConfigKey key);
/* The value in force as a file would say it; `ret` has CONFIG_VALUE_MAX bytes. */
void config_value(const Config *config, ConfigKey key, char *ret);

/* Whether the limits per machine, user, job and file hold for this user. */
bool config_is_exempt(const Config *config, uid_t uid);
/* Whether notification command lines of this user may run. */
bool config_allows_command(const Config *config, uid_t uid);
/* The cost flags in force of a job of that priority; `own`: the job's, 0: it has none. */
uint32_t config_cost_flags(const Config *config, JobPriority priority, uint32_t own);
/* Whether jobs of that priority are meant. */
bool config_waits(ConfigWaiting waiting, JobPriority priority);
