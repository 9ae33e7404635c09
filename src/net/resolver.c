/*
 * A thread belongs to nobody: it has a copy of the name and the writing end of a pipe of its own,
 * into which it says what it found. Whoever drops a lookup closes the other end, and the thread,
 * which may wait for a name server that is silent, ends when it ends.
 */
#include "net/resolver.h"

#include "basic/fd.h"
#include "basic/thread.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        THREADS_MAX = 32,
        ANY_PORT = 9,
};

/* Of the whole process: those that were dropped count, too. */
static atomic_uint threads;

struct Resolver {
        sd_event *event;
        int64_t priority;
};

struct Lookup {
        OnAddresses on_addresses;
        void *userdata;
        int answer;
        sd_event_source *source;
};

typedef struct Errand {
        int answer;
        char host[];
} Errand;

/* ---- the thread ---- */

static_assert(RESOLVER_ADDRESSES_MAX <= 4096, "a pipe takes it in one piece");

static void append_address(char *list, const struct sockaddr *address)
{
        size_t used = strlen(list);
        char text[INET6_ADDRSTRLEN];
        const void *bytes;

        if (address->sa_family == AF_INET)
                bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
        else if (address->sa_family == AF_INET6)
                bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        else
                return;
        if (inet_ntop(address->sa_family, bytes, text, sizeof(text)) &&
            used + strlen(text) + 2 <= RESOLVER_ADDRESSES_MAX)
                snprintf(list + used, RESOLVER_ADDRESSES_MAX - used, "%s%s", used ? " " : "", text);
}

static void *look_up(void *userdata)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
        char list[RESOLVER_ADDRESSES_MAX] = "";
        Errand *errand = userdata;

        if (getaddrinfo(errand->host, NULL, &hints, &found) == 0) {
                for (const struct addrinfo *a = found; a; a = a->ai_next)
                        append_address(list, a->ai_addr);
                freeaddrinfo(found);
        }
        (void)!write(errand->answer, list, strlen(list) + 1); /* nobody may listen any more */
        fd_close(errand->answer);
        free(errand);
        atomic_fetch_sub(&threads, 1);
        return NULL;
}

/* Takes the errand. 0 or -errno. */
static int start(Errand *errand)
{
        int r = atomic_fetch_add(&threads, 1) >= THREADS_MAX ? -EAGAIN
                                                             : thread_start(look_up, errand);

        if (r >= 0)
                return 0;
        atomic_fetch_sub(&threads, 1);
        fd_close(errand->answer);
        free(errand);
        return r;
}

/* ---- the loop's side ---- */

void resolver_drop(Lookup *lookup)
{
        if (!lookup)
                return;
        sd_event_source_disable_unref(lookup->source);
        fd_close(lookup->answer);
        free(lookup);
}
DEFINE_CLEANUP(Lookup, resolver_drop);

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char list[RESOLVER_ADDRESSES_MAX];
        Lookup *lookup = userdata;
        OnAddresses on_addresses = lookup->on_addresses;
        void *asker = lookup->userdata;
        ssize_t n = read(fd, list, sizeof(list));

        (void)source;
        (void)events;
        list[MAX(n, 1) - 1] = 0;
        resolver_drop(lookup);
        on_addresses(asker, list);
        return 0;
}

int resolver_ask(Resolver *resolver, const char *host, OnAddresses on_addresses, void *userdata,
                 Lookup **ret)
{
        _cleanup_(resolver_dropp) Lookup *lookup = malloc(sizeof(*lookup));
        Errand *errand;
        int pair[2], r;

        if (!lookup)
                return -ENOMEM;
        *lookup = (Lookup){ on_addresses, userdata, -EBADF, NULL };
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        lookup->answer = pair[0];
        r = sd_event_add_io(resolver->event, &lookup->source, pair[0], EPOLLIN, on_answer, lookup);
        if (r >= 0)
                r = sd_event_source_set_priority(lookup->source, resolver->priority);
        errand = r < 0 ? NULL : malloc(sizeof(*errand) + strlen(host) + 1);
        if (!errand) {
                fd_close(pair[1]);
                return r < 0 ? r : -ENOMEM;
        }
        errand->answer = pair[1];
        strcpy(errand->host, host);
        r = start(errand);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(lookup);
        return 0;
}

int resolver_new(sd_event *event, int64_t priority, Resolver **ret)
{
        Resolver *resolver = malloc(sizeof(*resolver));

        if (!resolver)
                return -ENOMEM;
        *resolver = (Resolver){ sd_event_ref(event), priority };
        *ret = resolver;
        return 0;
}

void resolver_free(Resolver *resolver)
{
        if (!resolver)
                return;
        sd_event_unref(resolver->event);
        free(resolver);
}

/* ---- this machine ---- */

/* Nothing is sent: the kernel only chooses. Nobody has these addresses (RFC 5737, RFC 3849). */
static void append_own(char *list, const struct sockaddr *somewhere, socklen_t size)
{
        _cleanup_close_ int fd = socket(somewhere->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage own;
        socklen_t own_size = sizeof(own);

        if (fd >= 0 && connect(fd, somewhere, size) == 0 &&
            getsockname(fd, (struct sockaddr *)&own, &own_size) == 0)
                append_address(list, (const struct sockaddr *)&own);
}

void resolver_own_addresses(char ret[RESOLVER_ADDRESSES_MAX])
{
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(ANY_PORT) };
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(ANY_PORT) };

        *ret = 0;
        inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
        inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
        append_own(ret, (const struct sockaddr *)&four, sizeof(four));
        append_own(ret, (const struct sockaddr *)&six, sizeof(six));
}
