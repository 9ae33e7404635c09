/*
 * Settings as an administrator writes them, right and wrong.
 */
#include "core/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
        SERVICE = 999,
        ALICE = 1000,
        BACKUP = 1034,
};

static char why[CONFIG_WHY_MAX];

static bool find_account(const char *name, uid_t *ret)
{
        *ret = BACKUP;
        return strcmp(name, "backup") == 0;
}

static int set(Config *config, const char *section, const char *name, const char *value)
{
        why[0] = 0;
        return config_set(config, section, name, value, find_account, 1, 7, why);
}

static void refused(Config *config, const char *section, const char *name, const char *value,
                    const char *says)
{
        Config before = *config;

        assert_int_equal(set(config, section, name, value), -EINVAL);
        if (!strstr(why, says))
                fail_msg("'%s' does not say '%s'", why, says);
        assert_memory_equal(&before, config, sizeof(before));
}

static const char *shown(const Config *config, ConfigKey key)
{
        static char value[CONFIG_VALUE_MAX];

        config_value(config, key, value);
        return value;
}

/* POL-201 */
static void defaults(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        assert_string_equal(shown(&config, CONFIG_MAX_JOBS_PER_MACHINE), "300");
        assert_string_equal(shown(&config, CONFIG_MAX_JOBS_PER_USER), "60");
        assert_string_equal(shown(&config, CONFIG_MAX_FILES_PER_JOB), "200");
        assert_string_equal(shown(&config, CONFIG_MAX_RANGES_PER_FILE), "500");
        assert_string_equal(shown(&config, CONFIG_MAX_BACKGROUND_JOBS), "1");
        assert_string_equal(shown(&config, CONFIG_JOB_INACTIVITY_TIMEOUT), "90");
        assert_string_equal(shown(&config, CONFIG_MAX_DOWNLOAD_TIME), "7776000");
        assert_string_equal(shown(&config, CONFIG_INTERNET_RATE), "unlimited");
        assert_string_equal(shown(&config, CONFIG_INTERNET_FROM), "8");
        assert_string_equal(shown(&config, CONFIG_INTERNET_TO), "17");
        assert_string_equal(shown(&config, CONFIG_COST_LOW), "always");
        assert_string_equal(shown(&config, CONFIG_COMMAND_LINES), "yes");
        for (int k = 0; k < CONFIG_KEY_MAX; k++)
                assert_int_equal(config.origins[k].line, 0);
}

/* POL-206: what is shown of a setting is read as the same setting, for every one of them. */
static void every_value_can_be_written_as_it_is_shown(void **state)
{
        Config config, again;

        (void)state;
        config_init(&config);
        for (int k = 0; k < CONFIG_KEY_MAX; k++) {
                char value[CONFIG_VALUE_MAX];

                config_value(&config, (ConfigKey)k, value);
                again = config;
                assert_int_equal(
                        set(&again, config_section((ConfigKey)k), config_name((ConfigKey)k), value),
                        0);
                assert_int_equal(again.origins[k].line, 7);
                memset(again.origins, 0, sizeof(again.origins));
                assert_memory_equal(&again, &config, sizeof(config));
        }
}

static void values(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        assert_int_equal(set(&config, "Bandwidth", "MaxInternetBandwidth", "10M"), 0);
        assert_int_equal(config.bandwidth.internet, 10000);
        assert_int_equal(set(&config, "bandwidth", "maxinternetbandwidth", "2G"), 0);
        assert_int_equal(config.bandwidth.internet, 2000000);
        assert_int_equal(set(&config, "Bandwidth", "MaxInternetBandwidth", "0"), 0);
        assert_int_equal(config.bandwidth.internet, 0);
        assert_int_equal(set(&config, "WorkSchedule", "EndDay", "sunday"), 0);
        assert_int_equal(config.bandwidth.work_hours.last_day, 0);
        assert_int_equal(set(&config, "TransferPolicy", "LowTransferPolicy", "0x21"), 0);
        assert_int_equal(config.cost_flags[PRIORITY_LOW], 0x21);
        assert_string_equal(shown(&config, CONFIG_COST_LOW), "0x21");
        assert_int_equal(set(&config, "TransferPolicy", "LowTransferPolicy", "standard"), 0);
        assert_int_equal(config.cost_flags[PRIORITY_LOW], 0x80000067);
        assert_int_equal(set(&config, "Power", "WaitOnBattery", "all"), 0);
        assert_true(config_waits((ConfigWaiting)config.wait_on_battery, PRIORITY_FOREGROUND));
}

/* POL-202: what is wrong, and what would be right. */
static void wrong_values(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        refused(&config, "Limits", "MaxJobsPerUser", "many",
                "'many' is no value of MaxJobsPerUser");
        refused(&config, "Limits", "MaxJobsPerUser", "0", "the numbers 1 to 1000000");
        refused(&config, "Limits", "MaxJobsPerUser", "-1", "the numbers");
        refused(&config, "Limits", "MaxJobsPerUser", "", "the numbers");
        refused(&config, "Limits", "MaxJobsPerUser", "5 5", "the numbers");
        refused(&config, "Limits", "MaxJobsPerUser", "99999999999999999999999", "the numbers");
        refused(&config, "Timeouts", "JobInactivityTimeout", "1000", "1 to 999");
        refused(&config, "Bandwidth", "MaxInternetBandwidth", "4G4", "kbit/s");
        refused(&config, "Bandwidth", "MaxInternetBandwidth", "5000G", "kbit/s");
        refused(&config, "Bandwidth", "MaxInternetBandwidthFrom", "25", "0 to 24");
        refused(&config, "Bandwidth", "EnableBandwidthLimits", "perhaps", "yes, no");
        refused(&config, "WorkSchedule", "StartDay", "Caturday", "Sunday, Monday");
        refused(&config, "TransferPolicy", "LowTransferPolicy", "0x0", "unrestricted, and a mask");
        refused(&config, "TransferPolicy", "LowTransferPolicy", "0x40000001", "a mask");
        refused(&config, "TransferPolicy", "LowTransferPolicy", "0x80000000", "a mask");
        refused(&config, "TransferPolicy", "MeteredNetworkState", "free", "usage-based");
        refused(&config, "Power", "WaitOnBattery", "yes", "none, background, all");
        refused(&config, "Limits", "ExemptAccounts", "backup nobody-there",
                "no account 'nobody-there'");
}

static void wrong_names(void **state)
{
        Config config;
        char many[4096];

        (void)state;
        config_init(&config);
        refused(&config, "Limits", "MaxJobs", "5", "no setting 'MaxJobs' in [Limits]");
        refused(&config, "Limit", "MaxJobs", "5", "no section [Limit]");
        refused(&config, "", "MaxJobsPerUser", "5", "belongs into the section [Limits]");
        refused(&config, "WorkSchedule", "MaxDownloadTime", "5", "[Timeouts]");
        memset(many, 'x', sizeof(many) - 1);
        many[sizeof(many) - 1] = 0;
        refused(&config, many, many, many, "no setting");
        refused(&config, "Limits", "MaxJobsPerUser", many, "the numbers");
        refused(&config, "Limits", "ExemptAccounts", many, "no account");
}

/* NTF-253: for all, or for all but those who are listed. */
static void command_lines(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        assert_true(config_allows_command(&config, 1034));
        assert_int_equal(config.command_line_timeout, 3600);
        assert_int_equal(
                config_set(&config, "Notification", "AllowCommandLines", "no", NULL, 1, 1, why), 0);
        assert_false(config_allows_command(&config, 1034));
        assert_int_equal(config_set(&config, "Notification", "CommandLineAccounts", "1034 1035",
                                    NULL, 1, 2, why),
                         0);
        assert_true(config_allows_command(&config, 1034));
        assert_false(config_allows_command(&config, 1036));
        assert_false(config_is_exempt(&config, 1034));
}

/* POL-208: who is exempt from the limits of reference 02 section 12. */
static void exempt_accounts(void **state)
{
        Config config;
        char line[64];

        (void)state;
        config_init(&config);
        policy_use(&config);
        assert_true(config_is_exempt(&config, 0));
        assert_true(config_is_exempt(&config, SERVICE));
        assert_false(config_is_exempt(&config, ALICE));
        assert_int_equal(set(&config, "Limits", "ExemptAccounts", "backup, 1077"), 0);
        assert_int_equal(set(&config, "Limits", "ExemptAccounts", "1078"), 0);
        assert_string_equal(shown(&config, CONFIG_EXEMPT_ACCOUNTS), "1034 1077 1078");
        assert_int_equal(policy_limit(LIMIT_JOBS_PER_USER, BACKUP), UINT32_MAX);
        assert_int_equal(policy_limit(LIMIT_JOBS_PER_USER, ALICE), 60);
        assert_int_equal(set(&config, "Limits", "ExemptServiceAccounts", "no"), 0);
        assert_int_equal(policy_limit(LIMIT_JOBS_PER_USER, SERVICE), 60);
        assert_int_equal(policy_limit(LIMIT_JOBS_PER_USER, 0), UINT32_MAX);
        assert_int_equal(set(&config, "Limits", "ExemptAccounts", ""), 0);
        assert_int_equal(policy_limit(LIMIT_JOBS_PER_USER, BACKUP), 60);
        for (int i = 0; i < ACCOUNTS_MAX; i++) {
                snprintf(line, sizeof(line), "%d", 2000 + i);
                assert_int_equal(set(&config, "Limits", "ExemptAccounts", line), 0);
        }
        refused(&config, "Limits", "ExemptAccounts", "3000", "more than 64 accounts");
        policy_use(NULL);
}

/* POL-200: the limits are those of the file at once. */
static void limits_follow_the_settings(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        policy_use(&config);
        assert_int_equal(policy_limit(LIMIT_RANGES_PER_FILE, ALICE), 500);
        assert_int_equal(set(&config, "Limits", "MaxRangesPerFile", "9"), 0);
        assert_int_equal(policy_limit(LIMIT_RANGES_PER_FILE, ALICE), 9);
        assert_int_equal(policy_limit_code(LIMIT_RANGES_PER_FILE), BG_E_TOO_MANY_RANGES_IN_FILE);
        policy_use(NULL);
        assert_int_equal(policy_limit(LIMIT_RANGES_PER_FILE, ALICE), 500);
}

/* POL-207 */
static void near_a_limit_once(void **state)
{
        unsigned told = 0;

        (void)state;
        for (size_t n = 0; n <= 300; n++)
                told += policy_limit_is_near(300, n, n + 1);
        assert_int_equal(told, 1);
        assert_true(policy_limit_is_near(300, 269, 270));
        assert_true(policy_limit_is_near(300, 100, 299));
        assert_false(policy_limit_is_near(UINT32_MAX, 0, SIZE_MAX));
        assert_false(policy_limit_is_near(5, 4, 5)); /* too small to be near */
}

/* POL-211 */
static void cost_flags(void **state)
{
        Config config;

        (void)state;
        config_init(&config);
        assert_int_equal(cost_check_flags(0), 0);
        assert_int_equal(cost_check_flags(TRANSFER_POLICY_ALWAYS), 0);
        assert_int_equal(cost_check_flags(COST_ROAMING), 0);
        assert_int_equal(cost_check_flags(0x40000001), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(cost_check_flags(0x101), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(cost_check_flags(COST_OPTION_IGNORE_CONGESTION), BITS_E_INVALID_ARGUMENT);
        assert_int_equal(config_cost_flags(&config, PRIORITY_LOW, 0), TRANSFER_POLICY_ALWAYS);
        assert_int_equal(set(&config, "TransferPolicy", "LowTransferPolicy", "unrestricted"), 0);
        assert_int_equal(config_cost_flags(&config, PRIORITY_LOW, 0), 0x80000021);
        assert_int_equal(config_cost_flags(&config, PRIORITY_HIGH, 0), TRANSFER_POLICY_ALWAYS);
        assert_int_equal(config_cost_flags(&config, PRIORITY_LOW, COST_ROAMING), COST_ROAMING);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults),
                cmocka_unit_test(every_value_can_be_written_as_it_is_shown),
                cmocka_unit_test(values),
                cmocka_unit_test(wrong_values),
                cmocka_unit_test(wrong_names),
                cmocka_unit_test(exempt_accounts),
                cmocka_unit_test(command_lines),
                cmocka_unit_test(limits_follow_the_settings),
                cmocka_unit_test(near_a_limit_once),
                cmocka_unit_test(cost_flags),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
