/*
 * bits-net: fetches remote files under one identity, into descriptors that it is handed. It reads
 * what strangers send, so it holds nothing that a stranger could want: it enters the sandbox first,
 * proves that it is closed, and only then says hello on the channel that it inherited.
 *
 * Environment: the usual proxy variables (libcurl reads them, NET-38), SSL_CERT_FILE and
 * SSL_CERT_DIR, KRB5_CONFIG, KRB5CCNAME. For tests only: OPENBITS_NET_STALL_SECONDS and
 * OPENBITS_NET_IDLE_SECONDS shorten two waits.
 */
#include "basic/log.h"
#include "net/keeper.h"
#include "net/service.h"
#include "sandbox/sandbox.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>

enum {
        STALL_SECONDS = 5 * 60, /* reference: the timer for receiving */
        IDLE_SECONDS = 60,
        READABLE_MAX = 72,
        HEAP_SLACK_BYTES = 8 * 1024 * 1024,
};

static uint64_t seconds_from_environment(const char *name, uint64_t standard)
{
        const char *text = getenv(name);
        uint64_t seconds;

        return text && number_parse(text, &seconds) && seconds > 0 && seconds < 86400 ? seconds
                                                                                      : standard;
}

static const char *path_from_environment(const char *name)
{
        const char *path = getenv(name);

        return string_empty(path) ? NULL : path;
}

/* Each transfer holds a file and maybe a connection. The soft limit is for users of select(). */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* libcurl takes and gives back a large buffer for each transfer; asking the kernel for it each time
   costs more than a small file does. */
static void keep_buffers(void)
{
        (void)mallopt(M_MMAP_THRESHOLD, HEAP_SLACK_BYTES);
        (void)mallopt(M_TRIM_THRESHOLD, HEAP_SLACK_BYTES);
}

/* NET-45 */
static int enter_sandbox(const RequestSettings *settings, const Kerberos *kerberos,
                         uint32_t *ret_layers)
{
        const char *readable[READABLE_MAX + 1] = { settings->ca_file ? settings->ca_file : "",
                                                   settings->ca_path ? settings->ca_path : "" };
        const char *const *more = kerberos_readable(kerberos);
        SandboxPaths paths = { .readable = readable };
        int r;

        for (size_t n = 2; *more && n < READABLE_MAX; n++)
                readable[n] = *more++;

        r = sandbox_enter(SANDBOX_NET, &paths, ret_layers);
        if (r < 0)
                return log_errno(LOG_ERR, r, "Could not enter the sandbox");
        r = sandbox_prove(SANDBOX_NET);
        if (r < 0)
                return log_errno(LOG_ERR, r, "The sandbox does not hold");
        return 0;
}

static int serve(const ServiceOptions *options, uint32_t layers)
{
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(service_freep) Service *service = NULL;
        int r;

        r = sd_event_new(&event);
        if (r >= 0)
                r = service_new(event, WORKER_CHANNEL_FD, options, &service);
        if (r >= 0)
                r = service_hello(service, layers);
        if (r < 0)
                return log_errno(LOG_ERR, r, "Could not start");
        return sd_event_loop(event);
}

int main(void)
{
        ServiceOptions options = {
                .idle_usec = seconds_from_environment("OPENBITS_NET_IDLE_SECONDS", IDLE_SECONDS) *
                             1000000,
                .request = {
                        .ca_file = path_from_environment("SSL_CERT_FILE"),
                        .ca_path = path_from_environment("SSL_CERT_DIR"),
                        .stall_seconds = (long)seconds_from_environment(
                                "OPENBITS_NET_STALL_SECONDS", STALL_SECONDS),
                },
        };
        _cleanup_(kerberos_freep) Kerberos *kerberos = NULL;
        uint32_t layers;
        int r;

        log_open("bits-net", LOG_INFO);
        options.keeper = keeper_start();
        if (options.keeper < 0)
                log_errno(LOG_WARNING, options.keeper, "No proxies will be autodetected");
        /* A peer that is gone and a file at its limit are errors of one transfer. */
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
        keep_buffers();
        raise_descriptor_limit();
        if (kerberos_new(&kerberos) < 0)
                return EX_SOFTWARE;
        options.kerberos = kerberos;
        if (enter_sandbox(&options.request, kerberos, &layers) < 0)
                return EX_SOFTWARE;
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return EX_SOFTWARE;
        options.request.headers = curl_slist_append(NULL, "Accept-Encoding: identity");
        r = options.request.headers ? serve(&options, layers) : -ENOMEM;
        curl_slist_free_all(options.request.headers);
        curl_global_cleanup();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
