/*
 * A key is a row: section, name, how its value is read and shown, where it goes, its bounds. What a
 * value may be is told with each refusal, from the same row that decides, so the two cannot differ.
 */
#include "core/config.h"

#include "core/identity.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

typedef enum Kind {
        KIND_NUMBER,
        KIND_YES_NO,
        KIND_RATE,
        KIND_HOUR,
        KIND_DAY,
        KIND_COST,  /* a set of states in which a job may run */
        KIND_STATE, /* one of these states */
        KIND_WAITING,
        KIND_ACCOUNTS,
        KIND_MAX,
} Kind;

typedef struct Key {
        const char *section, *name;
        Kind kind;
        size_t offset;
        uint32_t least, most; /* of a number or an hour */
} Key;

#define AT(member) offsetof(Config, member)

static const Key keys[] = {
        /* POL-200 */
        [CONFIG_MAX_JOBS_PER_MACHINE] = { "Limits", "MaxJobsPerMachine", KIND_NUMBER,
                                          AT(max_jobs_per_machine), 1, 1000000 },
        [CONFIG_MAX_JOBS_PER_USER] = { "Limits", "MaxJobsPerUser", KIND_NUMBER,
                                       AT(max_jobs_per_user), 1, 1000000 },
        [CONFIG_MAX_FILES_PER_JOB] = { "Limits", "MaxFilesPerJob", KIND_NUMBER,
                                       AT(max_files_per_job), 1, 1000000 },
        [CONFIG_MAX_RANGES_PER_FILE] = { "Limits", "MaxRangesPerFile", KIND_NUMBER,
                                         AT(max_ranges_per_file), 1, 100000 },
        [CONFIG_MAX_BACKGROUND_JOBS] = { "Limits", "MaxBackgroundJobs", KIND_NUMBER,
                                         AT(max_background_jobs), 1, 256 },
        [CONFIG_EXEMPT_SERVICE_ACCOUNTS] = { "Limits", "ExemptServiceAccounts", KIND_YES_NO,
                                             AT(exempt_service_accounts) },
        [CONFIG_EXEMPT_ACCOUNTS] = { "Limits", "ExemptAccounts", KIND_ACCOUNTS, AT(exempt) },

        [CONFIG_JOB_INACTIVITY_TIMEOUT] = { "Timeouts", "JobInactivityTimeout", KIND_NUMBER,
                                            AT(job_inactivity_timeout), 1, 999 },
        [CONFIG_MAX_DOWNLOAD_TIME] = { "Timeouts", "MaxDownloadTime", KIND_NUMBER,
                                       AT(max_download_time), 1, UINT32_MAX },

        [CONFIG_INTERNET_RATE] = { "Bandwidth", "MaxInternetBandwidth", KIND_RATE,
                                   AT(bandwidth.internet) },
        [CONFIG_INTERNET_FROM] = { "Bandwidth", "MaxInternetBandwidthFrom", KIND_HOUR,
                                   AT(bandwidth.internet_hours.from) },
        [CONFIG_INTERNET_TO] = { "Bandwidth", "MaxInternetBandwidthTo", KIND_HOUR,
                                 AT(bandwidth.internet_hours.to) },
        [CONFIG_INTERNET_RATE_OTHERWISE] = { "Bandwidth", "MaxInternetBandwidthOtherwise",
                                             KIND_RATE, AT(bandwidth.internet_otherwise) },
        [CONFIG_SCHEDULE_ON] = { "Bandwidth", "EnableBandwidthLimits", KIND_YES_NO,
                                 AT(bandwidth.schedule_on) },
        [CONFIG_MAINTENANCE_ON] = { "Bandwidth", "EnableMaintenanceLimits", KIND_YES_NO,
                                    AT(bandwidth.maintenance_on) },

        [CONFIG_WORK_FIRST_DAY] = { "WorkSchedule", "StartDay", KIND_DAY,
                                    AT(bandwidth.work_hours.first_day) },
        [CONFIG_WORK_LAST_DAY] = { "WorkSchedule", "EndDay", KIND_DAY,
                                   AT(bandwidth.work_hours.last_day) },
        [CONFIG_WORK_FROM] = { "WorkSchedule", "StartHour", KIND_HOUR,
                               AT(bandwidth.work_hours.from) },
        [CONFIG_WORK_TO] = { "WorkSchedule", "EndHour", KIND_HOUR, AT(bandwidth.work_hours.to) },
        [CONFIG_WORK_HIGH] = { "WorkSchedule", "HighBandwidthLimit", KIND_RATE,
                               AT(bandwidth.work[PRIORITY_HIGH]) },
        [CONFIG_WORK_NORMAL] = { "WorkSchedule", "NormalBandwidthLimit", KIND_RATE,
                                 AT(bandwidth.work[PRIORITY_NORMAL]) },
        [CONFIG_WORK_LOW] = { "WorkSchedule", "LowBandwidthLimit", KIND_RATE,
                              AT(bandwidth.work[PRIORITY_LOW]) },
        [CONFIG_LEISURE_HIGH] = { "NonWorkSchedule", "HighBandwidthLimit", KIND_RATE,
                                  AT(bandwidth.leisure[PRIORITY_HIGH]) },
        [CONFIG_LEISURE_NORMAL] = { "NonWorkSchedule", "NormalBandwidthLimit", KIND_RATE,
                                    AT(bandwidth.leisure[PRIORITY_NORMAL]) },
        [CONFIG_LEISURE_LOW] = { "NonWorkSchedule", "LowBandwidthLimit", KIND_RATE,
                                 AT(bandwidth.leisure[PRIORITY_LOW]) },
        [CONFIG_MAINTENANCE_FIRST_DAY] = { "MaintenanceSchedule", "StartDay", KIND_DAY,
                                           AT(bandwidth.maintenance_hours.first_day) },
        [CONFIG_MAINTENANCE_LAST_DAY] = { "MaintenanceSchedule", "EndDay", KIND_DAY,
                                          AT(bandwidth.maintenance_hours.last_day) },
        [CONFIG_MAINTENANCE_FROM] = { "MaintenanceSchedule", "StartHour", KIND_HOUR,
                                      AT(bandwidth.maintenance_hours.from) },
        [CONFIG_MAINTENANCE_TO] = { "MaintenanceSchedule", "EndHour", KIND_HOUR,
                                    AT(bandwidth.maintenance_hours.to) },
        [CONFIG_MAINTENANCE_HIGH] = { "MaintenanceSchedule", "HighBandwidthLimit", KIND_RATE,
                                      AT(bandwidth.maintenance[PRIORITY_HIGH]) },
        [CONFIG_MAINTENANCE_NORMAL] = { "MaintenanceSchedule", "NormalBandwidthLimit", KIND_RATE,
                                        AT(bandwidth.maintenance[PRIORITY_NORMAL]) },
        [CONFIG_MAINTENANCE_LOW] = { "MaintenanceSchedule", "LowBandwidthLimit", KIND_RATE,
                                     AT(bandwidth.maintenance[PRIORITY_LOW]) },

        [CONFIG_COST_FOREGROUND] = { "TransferPolicy", "ForegroundTransferPolicy", KIND_COST,
                                     AT(cost_flags[PRIORITY_FOREGROUND]) },
        [CONFIG_COST_HIGH] = { "TransferPolicy", "HighTransferPolicy", KIND_COST,
                               AT(cost_flags[PRIORITY_HIGH]) },
        [CONFIG_COST_NORMAL] = { "TransferPolicy", "NormalTransferPolicy", KIND_COST,
                                 AT(cost_flags[PRIORITY_NORMAL]) },
        [CONFIG_COST_LOW] = { "TransferPolicy", "LowTransferPolicy", KIND_COST,
                              AT(cost_flags[PRIORITY_LOW]) },
        [CONFIG_METERED_STATE] = { "TransferPolicy", "MeteredNetworkState", KIND_STATE,
                                   AT(metered_state) },

        [CONFIG_BATTERY] = { "Power", "WaitOnBattery", KIND_WAITING, AT(wait_on_battery) },
        [CONFIG_LOW_BATTERY] = { "Power", "WaitOnLowBattery", KIND_WAITING,
                                 AT(wait_on_low_battery) },

        [CONFIG_COMMAND_LINES] = { "Notification", "AllowCommandLines", KIND_YES_NO,
                                   AT(allow_command_lines) },
        [CONFIG_COMMAND_LINE_ACCOUNTS] = { "Notification", "CommandLineAccounts", KIND_ACCOUNTS,
                                           AT(command_line_accounts) },
        [CONFIG_COMMAND_LINE_TIMEOUT] = { "Notification", "CommandLineTimeout", KIND_NUMBER,
                                          AT(command_line_timeout), 1, 7 * 24 * 3600 },
};
static_assert_table(keys, CONFIG_KEY_MAX);

/* POL-201: the numbers of reference 02 section 12 and 05 section 8. */
void config_init(Config *config)
{
        *config = (Config){
                .max_jobs_per_machine = 300,
                .max_jobs_per_user = 60,
                .max_files_per_job = 200,
                .max_ranges_per_file = 500,
                .max_background_jobs = 1,
                .exempt_service_accounts = true,
                .job_inactivity_timeout = 90,
                .max_download_time = 90 * 24 * 3600,
                .metered_state = COST_CAPPED_USAGE_UNKNOWN,
                .wait_on_battery = WAITING_NONE,
                .wait_on_low_battery = WAITING_BACKGROUND,
                .allow_command_lines = true,
                .command_line_timeout = 3600,
        };
        bandwidth_init(&config->bandwidth);
        for (int p = 0; p < PRIORITY_MAX; p++)
                config->cost_flags[p] = TRANSFER_POLICY_ALWAYS;
}

/* ---- words ---- */

typedef struct Word {
        const char *word;
        uint32_t value;
} Word;

static const Word yes_no_words[] = {
        { "yes", 1 }, { "no", 0 }, { "true", 1 }, { "false", 0 }, { "on", 1 }, { "off", 0 }, { 0 },
};
static const Word day_words[] = {
        { "Sunday", 0 },   { "Monday", 1 }, { "Tuesday", 2 },  { "Wednesday", 3 },
        { "Thursday", 4 }, { "Friday", 5 }, { "Saturday", 6 }, { 0 },
};
static const Word cost_words[] = {
        { "always", TRANSFER_POLICY_ALWAYS },
        { "not-roaming", TRANSFER_POLICY_NOT_ROAMING },
        { "no-surcharge", TRANSFER_POLICY_NO_SURCHARGE },
        { "standard", TRANSFER_POLICY_STANDARD },
        { "unrestricted", TRANSFER_POLICY_UNRESTRICTED },
        { 0 },
};
static const Word state_words[] = {
        { "unrestricted", COST_UNRESTRICTED },
        { "capped", COST_CAPPED_USAGE_UNKNOWN },
        { "below-cap", COST_BELOW_CAP },
        { "near-cap", COST_NEAR_CAP },
        { "over-cap-charged", COST_OVERCAP_CHARGED },
        { "over-cap-throttled", COST_OVERCAP_THROTTLED },
        { "usage-based", COST_USAGE_BASED },
        { "roaming", COST_ROAMING },
        { 0 },
};
static const Word waiting_words[] = {
        { "none", WAITING_NONE },
        { "background", WAITING_BACKGROUND },
        { "all", WAITING_ALL },
        { 0 },
};

static bool find_word(const Word *words, const char *text, uint32_t *ret)
{
        for (; words->word; words++)
                if (strcasecmp(words->word, text) == 0) {
                        *ret = words->value;
                        return true;
                }
        return false;
}

static const char *word_of(const Word *words, uint32_t value)
{
        for (; words->word; words++)
                if (words->value == value)
                        return words->word;
        return NULL;
}

/* ---- reading ---- */

/* Digits only, no sign, no space. Leaves *text behind them. */
static bool read_digits(const char **text, uint64_t *ret)
{
        const char *p = *text;
        uint64_t n = 0;

        if (!isdigit((unsigned char)*p))
                return false;
        for (; isdigit((unsigned char)*p); p++) {
                if (n > UINT32_MAX)
                        return false; /* no setting is that large */
                n = n * 10 + (uint64_t)(*p - '0');
        }
        *text = p;
        *ret = n;
        return true;
}

static bool read_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret)
{
        uint64_t n;

        if (!read_digits(&text, &n) || *text || n < least || n > most)
                return false;
        *ret = (uint32_t)n;
        return true;
}

/* kbit/s, or with K, M, G: the same, Mbit/s, Gbit/s. */
static bool read_rate(const char *text, uint32_t *ret)
{
        uint64_t n, times = 1;

        if (strcasecmp(text, "unlimited") == 0) {
                *ret = RATE_UNLIMITED;
                return true;
        }
        if (!read_digits(&text, &n))
                return false;
        if (*text == 'M' || *text == 'm')
                times = 1000;
        else if (*text == 'G' || *text == 'g')
                times = 1000 * 1000;
        if (times > 1 || *text == 'K' || *text == 'k')
                text++;
        if (*text || n * times > UINT32_MAX - 1)
                return false;
        *ret = (uint32_t)(n * times);
        return true;
}

static bool read_cost(const char *text, uint32_t *ret)
{
        unsigned long n;
        char *end;

        if (find_word(cost_words, text, ret))
                return true;
        if (text[0] != '0' || (text[1] | 0x20) != 'x' || !isxdigit((unsigned char)text[2]))
                return false;
        errno = 0;
        n = strtoul(text + 2, &end, 16);
        if (*end || errno != 0 || n == 0 || cost_check_flags(n) != 0)
                return false;
        *ret = (uint32_t)n;
        return true;
}

static bool read_account(const char *text, ConfigFindAccount find, uid_t *ret)
{
        uint32_t uid;

        if (read_number(text, 0, UINT32_MAX - 1, &uid)) {
                *ret = uid;
                return true;
        }
        return find && find(text, ret);
}

/* Lines add up; an empty one begins anew, as in systemd's files. */
static int read_accounts(AccountList *list, const char *value, ConfigFindAccount find, char *why)
{
        AccountList accounts = *list;
        char copy[CONFIG_VALUE_MAX], *rest = copy, *word;

        if (!*value)
                accounts.n = 0;
        snprintf(copy, sizeof(copy), "%s", value);
        while ((word = strtok_r(rest, " \t,", &rest))) {
                if (accounts.n == ACCOUNTS_MAX) {
                        snprintf(why, CONFIG_WHY_MAX, "more than %d accounts", ACCOUNTS_MAX);
                        return -EINVAL;
                }
                if (!read_account(word, find, &accounts.uids[accounts.n++])) {
                        snprintf(why, CONFIG_WHY_MAX,
                                 "there is no account '%.60s'; allowed are names of accounts and "
                                 "user numbers, with spaces between them",
                                 word);
                        return -EINVAL;
                }
        }
        *list = accounts;
        return 0;
}

static const Word *words_of(Kind kind)
{
        switch (kind) {
        case KIND_YES_NO:
                return yes_no_words;
        case KIND_DAY:
                return day_words;
        case KIND_COST:
                return cost_words;
        case KIND_STATE:
                return state_words;
        case KIND_WAITING:
                return waiting_words;
        case KIND_NUMBER:
        case KIND_RATE:
        case KIND_HOUR:
        case KIND_ACCOUNTS:
        case KIND_MAX:
                break;
        }
        return NULL;
}

static bool read_value(const Key *key, const char *text, uint32_t *ret)
{
        switch (key->kind) {
        case KIND_NUMBER:
                return read_number(text, key->least, key->most, ret);
        case KIND_HOUR:
                return read_number(text, 0, HOURS_OF_DAY, ret);
        case KIND_RATE:
                return read_rate(text, ret);
        case KIND_COST:
                return read_cost(text, ret);
        case KIND_YES_NO:
        case KIND_DAY:
        case KIND_STATE:
        case KIND_WAITING:
                return find_word(words_of(key->kind), text, ret);
        case KIND_ACCOUNTS:
        case KIND_MAX:
                break;
        }
        return false;
}

static void say_allowed(const Key *key, const char *value, char *why)
{
        const Word *words = words_of(key->kind);
        int n = snprintf(why, CONFIG_WHY_MAX, "'%.60s' is no value of %s; allowed ", value,
                         key->name);
        size_t used = (size_t)n;

        if (key->kind == KIND_NUMBER)
                snprintf(why + used, CONFIG_WHY_MAX - used, "are the numbers %u to %u", key->least,
                         key->most);
        else if (key->kind == KIND_HOUR)
                snprintf(why + used, CONFIG_WHY_MAX - used, "are the full hours 0 to %d",
                         HOURS_OF_DAY);
        else if (key->kind == KIND_RATE)
                snprintf(why + used, CONFIG_WHY_MAX - used,
                         "are 0 to %u kbit/s, a number with K, M or G behind it, and unlimited",
                         UINT32_MAX - 1);
        else {
                for (; words->word; words++)
                        used += (size_t)snprintf(why + used, CONFIG_WHY_MAX - used, "%s%s",
                                                 words == words_of(key->kind) ? "is " : ", ",
                                                 words->word);
                if (key->kind == KIND_COST)
                        snprintf(why + used, CONFIG_WHY_MAX - used,
                                 ", and a mask of BITS_COST_STATE bits in hexadecimal (0x21)");
        }
}

static ConfigKey find_key(const char *section, const char *name)
{
        for (int k = 0; k < CONFIG_KEY_MAX; k++)
                if (strcasecmp(keys[k].section, section) == 0 &&
                    strcasecmp(keys[k].name, name) == 0)
                        return (ConfigKey)k;
        return CONFIG_KEY_INVALID;
}

/* Where the name would have been right. */
static void say_unknown(const char *section, const char *name, char *why)
{
        bool known = false;

        for (int k = 0; k < CONFIG_KEY_MAX; k++) {
                if (strcasecmp(keys[k].name, name) == 0) {
                        snprintf(why, CONFIG_WHY_MAX, "%s belongs into the section [%s]",
                                 keys[k].name, keys[k].section);
                        return;
                }
                known = known || strcasecmp(keys[k].section, section) == 0;
        }
        snprintf(why, CONFIG_WHY_MAX,
                 known ? "there is no setting '%.60s' in [%.60s]; see bitsd.conf(5)"
                       : "there is no setting '%.60s', and no section [%.60s]; see bitsd.conf(5)",
                 name, section);
}

/* POL-202 */
int config_set(Config *config, const char *section, const char *name, const char *value,
               ConfigFindAccount find_account, uint32_t file, uint32_t line, char *why)
{
        ConfigKey k = find_key(section, name);
        uint32_t number;

        if (k == CONFIG_KEY_INVALID) {
                say_unknown(section, name, why);
                return -EINVAL;
        }
        if (keys[k].kind == KIND_ACCOUNTS) {
                AccountList *list = (AccountList *)((char *)config + keys[k].offset);
                int r = read_accounts(list, value, find_account, why);

                if (r < 0)
                        return r;
        } else if (!read_value(&keys[k], value, &number)) {
                say_allowed(&keys[k], value, why);
                return -EINVAL;
        } else
                *(uint32_t *)((char *)config + keys[k].offset) = number;
        config->origins[k].file = file;
        config->origins[k].line = line;
        return 0;
}

/* ---- showing ---- */

const char *config_section(ConfigKey key)
{
        assert(key >= 0 && key < CONFIG_KEY_MAX);
        return keys[key].section;
}

const char *config_name(ConfigKey key)
{
        assert(key >= 0 && key < CONFIG_KEY_MAX);
        return keys[key].name;
}

static void show_accounts(const AccountList *list, char *ret)
{
        size_t used = 0;

        ret[0] = 0;
        for (uint32_t i = 0; i < list->n; i++)
                used += (size_t)snprintf(ret + used, CONFIG_VALUE_MAX - used, "%s%u",
                                         i > 0 ? " " : "", list->uids[i]);
}

/* POL-206 */
void config_value(const Config *config, ConfigKey key, char *ret)
{
        const Key *row = &keys[key];
        uint32_t number;
        const char *word;

        assert(key >= 0 && key < CONFIG_KEY_MAX);
        if (row->kind == KIND_ACCOUNTS) {
                show_accounts((const AccountList *)((const char *)config + row->offset), ret);
                return;
        }
        number = *(const uint32_t *)((const char *)config + row->offset);
        word = words_of(row->kind) ? word_of(words_of(row->kind), number) : NULL;
        if (word)
                snprintf(ret, CONFIG_VALUE_MAX, "%s", word);
        else if (row->kind == KIND_COST)
                snprintf(ret, CONFIG_VALUE_MAX, "0x%x", number);
        else if (row->kind == KIND_RATE && number == RATE_UNLIMITED)
                snprintf(ret, CONFIG_VALUE_MAX, "unlimited");
        else
                snprintf(ret, CONFIG_VALUE_MAX, "%u", number);
}

/* ---- questions ---- */

static bool is_listed(const AccountList *list, uid_t uid)
{
        for (uint32_t i = 0; i < list->n; i++)
                if (list->uids[i] == uid)
                        return true;
        return false;
}

/* POL-208 */
bool config_is_exempt(const Config *config, uid_t uid)
{
        if (identity_is_administrator(uid) ||
            (config->exempt_service_accounts && identity_is_service_account(uid)))
                return true;
        return is_listed(&config->exempt, uid);
}

/* NTF-253 */
bool config_allows_command(const Config *config, uid_t uid)
{
        return config->allow_command_lines || is_listed(&config->command_line_accounts, uid);
}

uint32_t config_cost_flags(const Config *config, JobPriority priority, uint32_t own)
{
        assert(priority >= 0 && priority < PRIORITY_MAX);
        return own != 0 ? own : config->cost_flags[priority];
}

bool config_waits(ConfigWaiting waiting, JobPriority priority)
{
        return waiting == WAITING_ALL ||
               (waiting == WAITING_BACKGROUND && priority != PRIORITY_FOREGROUND);
}
