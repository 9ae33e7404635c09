#include "core/hosts.h"

#include "basic/loopback.h"

#include <strings.h>

#define BLANKS " \t\r"

static int compare(const void *a, const void *b)
{
        return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static int append(Hosts *hosts, size_t *room, char *name)
{
        if (hosts->count == *room) {
                size_t more = MAX(*room * 2, (size_t)16);
                char **names = reallocarray(hosts->names, more, sizeof(*names));

                if (!names)
                        return -ENOMEM;
                hosts->names = names;
                *room = more;
        }
        hosts->names[hosts->count++] = name;
        return 0;
}

/* An address, then names. */
static int take_line(Hosts *hosts, size_t *room, char *line)
{
        char *next, *word;
        int r = 0;

        line[strcspn(line, "#")] = 0;
        word = strtok_r(line, BLANKS, &next);
        if (!word || !loopback_is_address(word))
                return 0;
        while (r >= 0 && (word = strtok_r(NULL, BLANKS, &next)))
                r = append(hosts, room, word);
        return r;
}

int hosts_parse(const char *text, Hosts *ret)
{
        Hosts hosts = { .text = strdup(text) };
        char *line = hosts.text, *end;
        size_t room = 0;
        int r = line ? 0 : -ENOMEM;

        while (r >= 0 && line) {
                end = strchr(line, '\n');
                if (end)
                        *end++ = 0;
                r = take_line(&hosts, &room, line);
                line = end;
        }
        if (r < 0) {
                hosts_done(&hosts);
                return r;
        }
        if (hosts.count > 0)
                qsort(hosts.names, hosts.count, sizeof(*hosts.names), compare);
        *ret = hosts;
        return 0;
}

void hosts_done(Hosts *hosts)
{
        free(hosts->names);
        free(hosts->text);
        *hosts = (Hosts){ 0 };
}

bool hosts_has(const Hosts *hosts, const char *name)
{
        return hosts->count > 0 &&
               bsearch(&name, hosts->names, hosts->count, sizeof(*hosts->names), compare);
}
