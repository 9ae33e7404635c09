/*
 * bits-pac: asks a proxy configuration script about one URL, and ends. The script came from the
 * network and may be anything; so this process has nothing: no path, no socket but the one to the
 * bits-net that had it started, no credentials, no past. What it must not use too much of is
 * bounded before it reads a byte: memory, processor time, and the time it exists, by the kernel.
 */
#include "basic/log.h"
#include "pac/script.h"
#include "sandbox/sandbox.h"
#include "wire/protocol.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
        PROCESSOR_SECONDS = 2,
        LIFE_SECONDS = 20, /* name servers may be slow */
        SPACE_BYTES = 256 * 1024 * 1024,
        TEXT_BYTES_MAX = 1024 * 1024,
};

typedef struct Session {
        Message in, out;
        char *text; /* of the script */
        size_t length;
} Session;

/* The next message: 0, or -ECONNRESET: nobody wants an answer any more. */
static int receive(Session *s)
{
        int r = message_receive(&s->in, WORKER_CHANNEL_FD);

        return r > 0 ? 0 : r == 0 ? -ECONNRESET : r;
}

static int take_piece(Session *s)
{
        PacScript script;
        size_t length;
        char *longer;

        if (pac_script_read(&s->in, &script) < 0)
                return -EBADMSG;
        length = strlen(script.piece);
        if (length > TEXT_BYTES_MAX - s->length)
                return -EBADMSG;
        longer = realloc(s->text, s->length + length + 1);
        if (!longer)
                return -ENOMEM;
        memcpy(longer + s->length, script.piece, length + 1);
        s->text = longer;
        s->length += length;
        return 0;
}

static int resolve(void *userdata, const char *host, char ret[SCRIPT_ADDRESSES_MAX])
{
        Session *s = userdata;
        PacAddresses answer;
        int r;

        pac_resolve_write(&s->out, 0, &(PacResolve){ .host = host });
        r = message_send(&s->out, WORKER_CHANNEL_FD);
        if (r >= 0)
                r = receive(s);
        if (r < 0)
                return r;
        if (s->in.type != MESSAGE_PAC_ADDRESSES || pac_addresses_read(&s->in, &answer) < 0)
                return -EBADMSG;
        snprintf(ret, SCRIPT_ADDRESSES_MAX, "%s", answer.addresses);
        return 0;
}

/* The strings of the question lie in a message that the addresses of names will overwrite. */
static int answer(Session *s)
{
        _cleanup_free_ char *url = NULL, *host = NULL, *addresses = NULL;
        ScriptWorld world = { .resolve = resolve, .userdata = s };
        ScriptAnswer said;
        PacFind find;

        if (pac_find_read(&s->in, &find) < 0 || !s->text)
                return -EBADMSG;
        url = strdup(find.url);
        host = strdup(find.host);
        world.addresses = addresses = strdup(find.addresses);
        if (!url || !host || !addresses)
                return -ENOMEM;
        script_ask(s->text, &world, url, host, &said);
        pac_found_write(&s->out, 0, &(PacFound){ .failed = said.failed, .text = said.text });
        return message_send(&s->out, WORKER_CHANNEL_FD);
}

static int serve(Session *s)
{
        for (;;) {
                int r = receive(s);

                if (r >= 0 && s->in.type == MESSAGE_PAC_FIND)
                        return answer(s);
                if (r >= 0)
                        r = s->in.type == MESSAGE_PAC_SCRIPT ? take_piece(s) : -EBADMSG;
                if (r < 0)
                        return r;
        }
}

/* NET-447: what is beyond is the end of the process. */
static int bound_resources(void)
{
        const struct rlimit processor = { PROCESSOR_SECONDS, PROCESSOR_SECONDS };
        const struct itimerval life = { .it_value.tv_sec = LIFE_SECONDS };

        if (setrlimit(RLIMIT_CPU, &processor) < 0 || setitimer(ITIMER_REAL, &life, NULL) < 0)
                return -errno;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they map all there is */
        if (setrlimit(RLIMIT_AS, &(struct rlimit){ SPACE_BYTES, SPACE_BYTES }) < 0)
                return -errno;
#endif
        return 0;
}

/* With a name the C library keeps what it knows, and does not ask for the file again. */
static void learn_time_zone(void)
{
        (void)setenv("TZ", ":/etc/localtime", 0);
        tzset();
}

int main(void)
{
        Session s = { 0 };
        int r;

        log_open("bits-pac", LOG_INFO);
        learn_time_zone();
        r = bound_resources();
        if (r >= 0)
                r = message_init(&s.in);
        if (r >= 0)
                r = message_init(&s.out);
        /* SEC-440 */
        if (r >= 0)
                r = sandbox_enter(SANDBOX_SCRIPT, NULL, NULL);
        if (r >= 0)
                r = sandbox_prove(SANDBOX_SCRIPT);
        if (r < 0) {
                log_errno(LOG_ERR, r, "cannot enter the sandbox");
                return EX_SOFTWARE;
        }
        r = serve(&s);
        if (r < 0 && !message_peer_is_gone(r))
                log_errno(LOG_ERR, r, "no answer");
        return r < 0 && !message_peer_is_gone(r) ? EXIT_FAILURE : EXIT_SUCCESS;
}
