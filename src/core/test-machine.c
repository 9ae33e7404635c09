/*
 * What is in a job's way, by the state of the machine.
 */
#include "core/machine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static Machine machine;
static Config config;
static Job *job;
static const char *why;

static int make(void **state)
{
        (void)state;
        machine_init(&machine);
        config_init(&config);
        assert_int_equal(job_new((uint8_t[JOB_ID_BYTES]){ 1 }, 1000, JOB_DOWNLOAD, "job", 1, &job),
                         0);
        return 0;
}

static int drop(void **state)
{
        (void)state;
        job_free(job);
        return 0;
}

static void add(const char *url)
{
        File *file;

        assert_int_equal(file_new(url, "/tmp/x", (uint8_t[6]){ 1 }, &file), 0);
        assert_int_equal(job_append_file(job, file), 0);
}

static BitsCode obstacle(JobPriority priority)
{
        why = NULL;
        job->priority = priority;
        return machine_obstacle(&machine, &config, job, &why);
}

static void nothing_is_in_the_way(void **state)
{
        (void)state;
        add("http://example.org/a");
        for (int p = 0; p < PRIORITY_MAX; p++)
                assert_int_equal(obstacle((JobPriority)p), 0);
}

/* POL-217: it is believed only after it was seen connected, and not while it is on its way. */
static void the_network_goes_and_comes(void **state)
{
        (void)state;
        add("http://example.org/a");
        assert_false(machine_set_network(&machine, NETWORK_STATE_DISCONNECTED));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
        assert_false(machine_set_network(&machine, NETWORK_STATE_CONNECTING));
        assert_false(machine_set_network(&machine, 70));
        assert_true(machine_set_network(&machine, NETWORK_STATE_DISCONNECTED));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), BG_E_NETWORK_DISCONNECTED);
        assert_non_null(why);
        assert_false(machine_set_network(&machine, NETWORK_STATE_CONNECTING));
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_NETWORK_DISCONNECTED);
        assert_true(machine_set_network(&machine, NETWORK_STATE_CONNECTED));
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
        assert_true(machine_set_network(&machine, NETWORK_STATE_ASLEEP));
        assert_true(machine_set_network(&machine, NETWORK_STATE_UNKNOWN)); /* it ended */
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
}

/* POL-217: what needs no network goes on. */
static void this_machine_needs_no_network(void **state)
{
        static const char *const here[] = {
                "http://localhost/a",      "https://LOCALHOST:8443/a", "http://127.0.0.1",
                "http://a.localhost?x",    "http://127.1.2.3:80/a",    "http://[::1]/a",
                "http://u:p@[::1]:8080/a", "http://u@127.0.0.1#x",     "file:///srv/a",
                "FILE:///srv/a",           "http://localhost./a",      "http://127.1:80/a",
                "http://0x7f000001/",      "http://[0:0::1]/a",        "http://[::ffff:127.0.0.1]/",
        };
        static const char *const elsewhere[] = {
                "http://notlocalhost/a",         "http://127.0.0.1.example.org/",
                "http://localhost.org/",         "http://[::2]/a",
                "http://127.0.0.1@example.org/", "http://1270.0.0.1/",
                "http://example.org/localhost",  "http://128.1/",
                "http://localhost.example.org.", "http://[::ffff:10.0.0.1]/",
        };

        (void)state;
        machine_set_network(&machine, 70);
        machine_set_network(&machine, NETWORK_STATE_DISCONNECTED);
        for (size_t i = 0; i < ELEMENTS(here); i++)
                add(here[i]);
        assert_int_equal(obstacle(PRIORITY_NORMAL), 0);
        for (size_t i = 0; i < ELEMENTS(elsewhere); i++) {
                add(elsewhere[i]);
                assert_int_equal(obstacle(PRIORITY_NORMAL), BG_E_NETWORK_DISCONNECTED);
                file_set_transferred(job->files[job->n_files - 1], true);
                assert_int_equal(obstacle(PRIORITY_NORMAL), 0); /* it is there already */
        }
}

/* POL-380: nobody who is believed says anything: the kernel's routes do. */
static void routes_say_whether_there_is_a_network(void **state)
{
        (void)state;
        add("http://example.org/a");
        assert_true(machine_goes_by_routes(&machine));
        assert_true(machine_set_reach(&machine, REACH_NOTHING));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), BG_E_NETWORK_DISCONNECTED);
        assert_non_null(strstr(why, "no route"));
        assert_true(machine_set_reach(&machine, REACH_NEIGHBOURS));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
        assert_false(machine_set_reach(&machine, REACH_EVERYWHERE));
        /* A network manager in whose charge the network is not. */
        assert_false(machine_set_network(&machine, NETWORK_STATE_DISCONNECTED));
        assert_true(machine_set_reach(&machine, REACH_NOTHING));
        /* One that is. */
        assert_true(machine_set_network(&machine, 70));
        assert_false(machine_goes_by_routes(&machine));
        assert_false(machine_set_reach(&machine, REACH_EVERYWHERE));
        assert_false(machine_set_reach(&machine, REACH_NOTHING));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
        assert_true(machine_set_network(&machine, NETWORK_STATE_DISCONNECTED));
        assert_false(machine_set_reach(&machine, REACH_EVERYWHERE));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), BG_E_NETWORK_DISCONNECTED);
        assert_non_null(strstr(why, "NetworkManager"));
        assert_true(machine_set_network(&machine, NETWORK_STATE_UNKNOWN)); /* it ended */
        assert_true(machine_set_reach(&machine, REACH_NOTHING));
}

/* NET-380 */
static void names_of_this_machine(void **state)
{
        Hosts hosts;

        (void)state;
        assert_int_equal(hosts_parse("127.0.0.1 app.test\n10.0.0.1 far.test", &hosts), 0);
        machine.hosts = &hosts;
        machine_set_reach(&machine, REACH_NOTHING);
        add("https://u:p@App.test:8443/a");
        assert_int_equal(obstacle(PRIORITY_NORMAL), 0);
        add("http://far.test/a");
        assert_int_equal(obstacle(PRIORITY_NORMAL), BG_E_NETWORK_DISCONNECTED);
        hosts_done(&hosts);
}

/* NET-381 */
static void a_proxy_on_this_machine(void **state)
{
        (void)state;
        machine_set_reach(&machine, REACH_NOTHING);
        add("http://example.org/a");
        assert_int_equal(obstacle(PRIORITY_NORMAL), BG_E_NETWORK_DISCONNECTED);
        machine.local_proxy = true;
        assert_int_equal(obstacle(PRIORITY_NORMAL), 0);
        job->proxy_usage = PROXY_NONE;
        assert_int_equal(obstacle(PRIORITY_NORMAL), BG_E_NETWORK_DISCONNECTED);
        job->proxy_usage = PROXY_OVERRIDE;
        free(job->proxy_list);
        job->proxy_list = strdup("proxy.example.org:3128");
        assert_int_equal(obstacle(PRIORITY_NORMAL), BG_E_NETWORK_DISCONNECTED);
        free(job->proxy_list);
        job->proxy_list = strdup("proxy.example.org:3128 127.0.0.1:3128");
        assert_int_equal(obstacle(PRIORITY_NORMAL), 0);
}

/* POL-216 */
static void no_bandwidth(void **state)
{
        (void)state;
        add("http://127.0.0.1/a");
        machine.rates.of[PRIORITY_LOW] = 0;
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_BLOCKED_BY_POLICY);
        assert_int_equal(obstacle(PRIORITY_NORMAL), 0);
        machine.rates.all = 0;
        machine.rates_until = 1764000000;
        assert_int_equal(obstacle(PRIORITY_HIGH), BG_E_BLOCKED_BY_POLICY);
        assert_non_null(strstr(why, "no bandwidth until "));
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
        file_set_transferred(job->files[0], true);
        add("file:///srv/a");
        assert_int_equal(obstacle(PRIORITY_HIGH), 0);
}

/* POL-218: every policy against every state. */
static void cost(void **state)
{
        static const struct {
                uint32_t flags;
                uint32_t excluded;
        } policies[] = {
                { TRANSFER_POLICY_ALWAYS, 0 },
                { TRANSFER_POLICY_NOT_ROAMING, COST_ROAMING },
                { TRANSFER_POLICY_NO_SURCHARGE, COST_ROAMING | COST_OVERCAP_CHARGED },
                { TRANSFER_POLICY_STANDARD, COST_ROAMING | COST_OVERCAP_CHARGED | COST_NEAR_CAP },
                { TRANSFER_POLICY_UNRESTRICTED,
                  0xff & ~(COST_UNRESTRICTED | COST_OVERCAP_THROTTLED) },
        };

        (void)state;
        add("http://example.org/a");
        machine.metered = METERED_YES;
        for (uint32_t bit = 1; bit <= COST_ROAMING; bit <<= 1)
                for (size_t i = 0; i < ELEMENTS(policies); i++) {
                        config.metered_state = bit;
                        job->cost_flags = policies[i].flags;
                        assert_int_equal(obstacle(PRIORITY_FOREGROUND),
                                         policies[i].excluded & bit
                                                 ? BG_E_BLOCKED_BY_COST_TRANSFER_POLICY
                                                 : 0);
                }

        /* The machine's policy for the priority, unless the job has its own. */
        config.metered_state = COST_CAPPED_USAGE_UNKNOWN;
        config.cost_flags[PRIORITY_LOW] = TRANSFER_POLICY_UNRESTRICTED;
        job->cost_flags = 0;
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_BLOCKED_BY_COST_TRANSFER_POLICY);
        assert_int_equal(obstacle(PRIORITY_HIGH), 0);
        job->cost_flags = TRANSFER_POLICY_STANDARD;
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
        job->cost_flags = COST_UNRESTRICTED;
        machine.metered = METERED_GUESS_YES;
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_BLOCKED_BY_COST_TRANSFER_POLICY);
        machine.metered = 2; /* no */
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
        machine.metered = 4; /* guessed no */
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
}

/* POL-383: whatever it is, wherever it is. */
static void sleep_stops_everything(void **state)
{
        (void)state;
        machine.asleep = true;
        add("file:///srv/a");
        for (int p = 0; p < PRIORITY_MAX; p++)
                assert_int_equal(obstacle((JobPriority)p), BG_E_STANDBY_MODE);
        machine_set_reach(&machine, REACH_NOTHING);
        add("http://example.org/a");
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_STANDBY_MODE);
        machine.asleep = false;
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_NETWORK_DISCONNECTED);
}

/* POL-219 */
static void power(void **state)
{
        (void)state;
        add("file:///srv/a");
        machine.on_battery = true;
        assert_int_equal(obstacle(PRIORITY_LOW), 0);
        machine.battery_warning = WARNING_LOW;
        assert_int_equal(obstacle(PRIORITY_LOW), BG_E_BLOCKED_BY_BATTERY_SAVER);
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
        config.wait_on_battery = WAITING_ALL;
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), BG_E_BLOCKED_BY_BATTERY_POLICY);
        machine.on_battery = false;
        assert_int_equal(obstacle(PRIORITY_FOREGROUND), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(nothing_is_in_the_way, make, drop),
                cmocka_unit_test_setup_teardown(the_network_goes_and_comes, make, drop),
                cmocka_unit_test_setup_teardown(this_machine_needs_no_network, make, drop),
                cmocka_unit_test_setup_teardown(routes_say_whether_there_is_a_network, make, drop),
                cmocka_unit_test_setup_teardown(names_of_this_machine, make, drop),
                cmocka_unit_test_setup_teardown(a_proxy_on_this_machine, make, drop),
                cmocka_unit_test_setup_teardown(no_bandwidth, make, drop),
                cmocka_unit_test_setup_teardown(cost, make, drop),
                cmocka_unit_test_setup_teardown(sleep_stops_everything, make, drop),
                cmocka_unit_test_setup_teardown(power, make, drop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
