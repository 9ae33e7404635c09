/*
 * Whoever has the name wpad.<domain> says where all the traffic of <domain> goes. So the search
 * goes up from a domain of the machine ("lab.example.co.uk", then "example.co.uk"), and ends at the
 * organisation's domain: what the public suffix list calls the registrable one. A domain that is
 * itself a public suffix ("co.uk"), or that has a single label, belongs to nobody in particular and
 * is never asked; nor is the name "wpad" alone. Of single labels many have become top-level domains
 * on the Internet after networks had used them. "home.arpa" and "internal" are reserved for
 * networks that nobody registers.
 */
#include "net/wpad.h"

#include <ctype.h>
#include <fcntl.h>
#include <libpsl.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
        DOMAIN_MAX = 253,
        RESOLVER_CONF_MAX = 16 * 1024,
};

static bool ends_with(const char *domain, const char *tail)
{
        size_t n = strlen(domain), m = strlen(tail);

        return n >= m && strcmp(domain + n - m, tail) == 0;
}

static bool is_below(const char *domain, const char *reserved)
{
        size_t n = strlen(domain), m = strlen(reserved);

        return ends_with(domain, reserved) && (n == m || domain[n - m - 1] == '.');
}

/* NET-442: the part of the domain at which the search ends, NULL: it is not begun. */
static const char *organisation_of(const char *domain)
{
        static const char *const reserved[] = { "home.arpa", "internal" };
        const psl_ctx_t *list = psl_builtin();

        for (size_t i = 0; i < ELEMENTS(reserved); i++)
                if (is_below(domain, reserved[i]))
                        return domain + strlen(domain) - strlen(reserved[i]);
        return list && strchr(domain, '.') ? psl_registrable_domain(list, domain) : NULL;
}

/* In lower case, without dots at its end; false: it is no domain. An address is none. */
static bool read_domain(const char *text, size_t length, char ret[DOMAIN_MAX + 1])
{
        bool letters = false;

        while (length > 0 && text[length - 1] == '.')
                length--;
        if (length == 0 || length > DOMAIN_MAX || text[0] == '.' || text[0] == '-')
                return false;
        for (size_t i = 0; i < length; i++) {
                unsigned char c = (unsigned char)text[i];

                if (!isalnum(c) && c != '-' && c != '_' && !(c == '.' && text[i - 1] != '.'))
                        return false;
                letters = letters || isalpha(c);
                ret[i] = (char)tolower(c);
        }
        ret[length] = 0;
        return letters;
}

static void add_place(WpadPlaces *places, const char *domain)
{
        char url[WPAD_URL_MAX];

        snprintf(url, sizeof(url), "http://wpad.%s/wpad.dat", domain);
        for (size_t i = 0; i < places->count; i++)
                if (string_equal(places->urls[i], url))
                        return;
        if (places->count < WPAD_PLACES_MAX)
                strcpy(places->urls[places->count++], url);
}

/* NET-441 */
void wpad_places(const char *domains, WpadPlaces *ret)
{
        static const char blanks[] = " \t\r\n";

        ret->count = 0;
        while (*(domains += strspn(domains, blanks))) {
                size_t length = strcspn(domains, blanks);
                char domain[DOMAIN_MAX + 1];
                const char *end, *d = domain;

                end = read_domain(domains, length, domain) ? organisation_of(domain) : NULL;
                domains += length;
                for (; end && d < end; d = strchr(d, '.') + 1)
                        add_place(ret, d);
                if (end)
                        add_place(ret, end);
        }
}

/* The last of the lines counts, as for the resolver. */
static const char *searched_domains(const char *text, size_t *ret_length)
{
        const char *found = "";

        *ret_length = 0;
        while (*text) {
                size_t length = strcspn(text, "\n"), word = strcspn(text, " \t\n");

                if ((word == strlen("search") && strncmp(text, "search", word) == 0) ||
                    (word == strlen("domain") && strncmp(text, "domain", word) == 0)) {
                        found = text + word;
                        *ret_length = length - word;
                }
                text += length + (text[length] == '\n');
        }
        return found;
}

char *wpad_domains(const char *resolver_conf, const char *local, const char *host_name)
{
        const char *own = strchr(host_name, '.'), *searched;
        char *domains;
        size_t length;

        if (local) {
                searched = local;
                length = strlen(local);
        } else
                searched = searched_domains(resolver_conf, &length);
        return asprintf(&domains, "%.*s %s", (int)length, searched, own ? own + 1 : "") < 0
                       ? NULL
                       : domains;
}

char *wpad_own_domains(void)
{
        static char text[RESOLVER_CONF_MAX + 1];
        int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, RESOLVER_CONF_MAX);
        struct utsname machine;

        if (fd >= 0)
                close(fd);
        text[MAX(n, 0)] = 0;
        if (uname(&machine) < 0)
                machine.nodename[0] = 0;
        return wpad_domains(text, getenv("LOCALDOMAIN"), machine.nodename);
}
