/*
 * The hours are those of the wall clock: a timer on CLOCK_REALTIME for the next change, and a
 * descriptor that becomes readable when somebody sets the clock, so that a window that has ended by
 * that is over at once. Nothing wakes up while nothing changes.
 *
 * A network that comes back often goes again, and addresses and names need a moment: jobs hear of
 * it a little later. Where there is a route, the addresses are there already.
 *
 * /etc/hosts is looked at while there is no network, and only then: it says which servers need
 * none.
 */
#include "manager/conditions.h"

#include "basic/fd.h"
#include "basic/log.h"
#include "manager/surroundings.h"
#include "manager/zone.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
        SETTLE_USEC = 2 * 1000 * 1000,
        SETTLE_ROUTES_USEC = 500 * 1000,
        EXACT_USEC = 1000,
        HOSTS_BYTES_MAX = 16 * 1024 * 1024,
};

#define HOSTS_FILE "/etc/hosts"

struct Conditions {
        const Config *config;
        const ConditionsListener *listener;
        void *userdata;
        Machine machine;
        Gate gate;
        Watch *watch;
        Zone *zone;
        bool started; /* the listener is ready */
        sd_event_source *hour, *clock_set, *settled;
        int clock_fd;
        Hosts hosts;
        struct stat hosts_seen; /* what they were read from */
};

/* ---- the gate ---- */

static int read_hosts(int fd, const struct stat *st, Hosts *ret)
{
        size_t size = (size_t)MIN(st->st_size, (off_t)HOSTS_BYTES_MAX);
        _cleanup_free_ char *text = malloc(size + 1);
        ssize_t n = text ? read(fd, text, size) : -1;

        if (n < 0)
                return -errno;
        text[n] = 0;
        return hosts_parse(text, ret);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
        return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* NET-380: without the file, or while it cannot be read, no name in it is this machine. */
static void look_at_hosts(Conditions *c)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st = { 0 };

        if (stat(HOSTS_FILE, &st) >= 0 && is_same_file(&st, &c->hosts_seen))
                return;
        hosts_done(&c->hosts);
        fd = open(HOSTS_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode))
                (void)read_hosts(fd, &st, &c->hosts);
        c->hosts_seen = st;
}

static BitsCode check(void *userdata, const Job *job, const char **ret_detail)
{
        Conditions *c = userdata;

        if (c->machine.offline)
                look_at_hosts(c);
        return machine_obstacle(&c->machine, c->config, job, ret_detail);
}

/* ---- the clock ---- */

/* POL-205 */
static void look_at_clock(Conditions *c)
{
        Rates before = c->machine.rates;
        time_t now = time(NULL);

        bandwidth_rates(&c->config->bandwidth, now, &c->machine.rates);
        c->machine.rates_until = bandwidth_next_change(&c->config->bandwidth, now);
        if (c->machine.rates_until != BANDWIDTH_STEADY)
                (void)sd_event_source_set_time(c->hour, (uint64_t)c->machine.rates_until * 1000000);
        (void)sd_event_source_set_enabled(c->hour, c->machine.rates_until == BANDWIDTH_STEADY
                                                           ? SD_EVENT_OFF
                                                           : SD_EVENT_ONESHOT);
        if (!c->started || rates_equal(&before, &c->machine.rates))
                return;
        log_info("the hours of the bandwidth policies: other rates from now on");
        c->listener->on_rates(c->userdata, &c->machine.rates);
        c->listener->on_changed(c->userdata);
}

static int on_hour(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        look_at_clock(userdata);
        return 0;
}

/* As far away as can be: it is the setting of the clock that is waited for. */
static int arm_clock(int fd)
{
        const struct itimerspec far = { .it_value.tv_sec = INT64_MAX / 1000000000 };

        return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0
                       ? -errno
                       : 0;
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        uint64_t expired;

        (void)source;
        (void)events;
        if (read(fd, &expired, sizeof(expired)) >= 0 || errno != ECANCELED)
                return 0;
        (void)arm_clock(fd);
        look_at_clock(userdata);
        return 0;
}

static void on_zone(void *userdata)
{
        look_at_clock(userdata);
}

/* ---- what others say ---- */

/* POL-351: what the network costs is told together with its being back, so that this does not bring
   jobs back before it has settled. */
static bool is_settling(const Conditions *c)
{
        int enabled = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(c->settled, &enabled);
        return enabled != SD_EVENT_OFF;
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
        Conditions *c = userdata;

        (void)source;
        (void)usec;
        log_info("the machine is connected again");
        c->listener->on_network_back(c->userdata);
        c->listener->on_changed(c->userdata);
        return 0;
}

static void wait_until_settled(Conditions *c)
{
        uint64_t moment = machine_goes_by_routes(&c->machine) ? SETTLE_ROUTES_USEC : SETTLE_USEC;

        (void)sd_event_source_set_time_relative(c->settled, moment);
        (void)sd_event_source_set_enabled(c->settled, SD_EVENT_ONESHOT);
}

static void network_changed(Conditions *c)
{
        if (!c->machine.offline) {
                wait_until_settled(c);
                return;
        }
        log_info("the machine is not connected any more");
        (void)sd_event_source_set_enabled(c->settled, SD_EVENT_OFF);
}

static bool take(uint32_t *known, uint32_t said)
{
        bool other = *known != said;

        *known = said;
        return other;
}

/* POL-355: while it starts it calls everything disconnected that it has not yet looked at. */
static uint32_t network_state(const Surroundings *now)
{
        return now->network_starting ? NETWORK_STATE_UNKNOWN : now->network_state;
}

/* POL-383: at once, in both directions; a network that is not back yet is another matter. */
static void take_sleep(Conditions *c, bool asleep)
{
        if (c->machine.asleep == asleep)
                return;
        c->machine.asleep = asleep;
        log_info(asleep ? "the machine goes to sleep" : "the machine is awake again");
        if (!c->started)
                return;
        c->listener->on_changed(c->userdata);
        c->listener->on_sleep(c->userdata, asleep);
}

static void on_surroundings(void *userdata, const Surroundings *now)
{
        Conditions *c = userdata;
        Machine *machine = &c->machine;
        uint32_t before = machine->network_state, state = network_state(now);
        bool other = take(&machine->metered, now->metered);

        take_sleep(c, now->going_to_sleep);
        if (other)
                log_info("the network's cost state is 0x%02x now",
                         machine_cost_state(machine, c->config));
        other = take(&machine->on_battery, now->on_battery) || other;
        other = take(&machine->battery_warning, now->warning_level) || other;
        if (before != state && machine_set_network(machine, state)) {
                network_changed(c);
                other = other || machine->offline; /* its end is told when it has settled */
        } else if (before >= NETWORK_STATE_CONNECTED && state > before)
                wait_until_settled(c); /* POL-382: the way leads farther */
        if (other && c->started && !is_settling(c))
                c->listener->on_changed(c->userdata);
}

/* POL-380, POL-382: a default route helps those, too, who found none while there was another
   network. */
void conditions_set_reach(Conditions *c, Reach reach, bool local_proxy)
{
        Reach before = c->machine.reach;
        bool changed = c->machine.local_proxy != local_proxy;

        c->machine.local_proxy = local_proxy;
        if (machine_set_reach(&c->machine, reach)) {
                network_changed(c);
                changed = changed || c->machine.offline;
        } else if (reach > before && before != REACH_UNKNOWN && !c->machine.offline &&
                   machine_goes_by_routes(&c->machine))
                wait_until_settled(c);
        if (changed && c->started && !is_settling(c))
                c->listener->on_changed(c->userdata);
}

/* ---- life ---- */

static int add_clock(Conditions *c, sd_event *event)
{
        int r;

        c->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (c->clock_fd < 0)
                return -errno;
        r = arm_clock(c->clock_fd);
        if (r >= 0)
                r = sd_event_add_io(event, &c->clock_set, c->clock_fd, EPOLLIN, on_clock_set, c);
        if (r >= 0)
                r = sd_event_add_time(event, &c->hour, CLOCK_REALTIME, 0, EXACT_USEC, on_hour, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->hour, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &c->settled, CLOCK_MONOTONIC, 0, 0, on_settled, c);
        return r < 0 ? r : sd_event_source_set_enabled(c->settled, SD_EVENT_OFF);
}

int conditions_new(sd_event *event, sd_bus *bus, const Config *config,
                   const ConditionsListener *listener, void *userdata, Conditions **ret)
{
        _cleanup_(conditions_freep) Conditions *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->clock_fd = -EBADF;
        c->config = config;
        c->listener = listener;
        c->userdata = userdata;
        c->gate = (Gate){ check, c };
        machine_init(&c->machine);
        c->machine.hosts = &c->hosts;
        r = add_clock(c, event);
        if (r >= 0)
                r = zone_new(event, on_zone, c, &c->zone);
        if (r >= 0)
                look_at_clock(c);
        if (r >= 0)
                r = watch_new(bus, on_surroundings, c, &c->watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

void conditions_free(Conditions *c)
{
        if (!c)
                return;
        watch_free(c->watch);
        zone_free(c->zone);
        sd_event_source_disable_unref(c->hour);
        sd_event_source_disable_unref(c->clock_set);
        sd_event_source_disable_unref(c->settled);
        fd_close(c->clock_fd);
        hosts_done(&c->hosts);
        free(c);
}

void conditions_configured(Conditions *c)
{
        c->started = true;
        look_at_clock(c);
        c->listener->on_rates(c->userdata, &c->machine.rates);
        c->listener->on_changed(c->userdata);
}

const Gate *conditions_gate(const Conditions *c)
{
        return &c->gate;
}
