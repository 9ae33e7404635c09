/*
 * The least work with which a file can come over HTTP: one connection, requests sent ahead, recv(),
 * write(). What this takes is the machine's limit, and every client is measured against it.
 *
 *     limit [-d] PORT DIRECTORY < PATHS
 *
 * Fetches http://127.0.0.1:PORT/PATH for every line of standard input into DIRECTORY, under the
 * last component of the path. It knows no answer but 200 with a Content-Length; anything else ends
 * it.
 *
 * With -d the files are safe from a power cut when it ends, as those of bits are: written under
 * another name, synced by the batch, renamed, and at last the directory is synced.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "basic/fd.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        RECEIVE_BYTES = 1024 * 1024,
        AHEAD = 64,                   /* requests sent before their answers are read */
        BATCH = 64,                   /* files that are synced together */
        KICK_BYTES = 8 * 1024 * 1024, /* written before the kernel is asked to begin */
};

typedef struct Paths {
        char **items;
        size_t n;
} Paths;

typedef struct Client {
        int socket, directory;
        bool durable;
        const Paths *paths;
        size_t sent; /* requests */
        char *data;  /* received: [begin, end) is not used yet */
        size_t begin, end;
        int open[BATCH]; /* written, not yet synced */
        const char *names[BATCH];
        unsigned n_open;
} Client;

static void paths_read(Paths *paths)
{
        char *line = NULL;
        size_t size = 0;

        while (getline(&line, &size, stdin) > 0) {
                line[strcspn(line, "\n")] = '\0';
                paths->items = reallocarray(paths->items, paths->n + 1, sizeof(char *));
                if (!paths->items)
                        err(1, "memory");
                paths->items[paths->n++] = line;
                line = NULL;
                size = 0;
        }
        free(line);
}

static int connect_to(const char *port)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)atoi(port)),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                err(1, "port %s", port);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        return fd;
}

/* ---- requests ---- */

static void send_ahead(Client *c, size_t received)
{
        char text[AHEAD * 256];
        size_t n = 0;

        if (c->sent > received + AHEAD / 2)
                return;
        while (c->sent < c->paths->n && c->sent < received + AHEAD && n < sizeof(text) - 256)
                n += (size_t)snprintf(text + n, 256, "GET /%.200s HTTP/1.1\r\nHost: limit\r\n\r\n",
                                      c->paths->items[c->sent++]);
        if (n > 0 && send(c->socket, text, n, MSG_NOSIGNAL) != (ssize_t)n)
                err(1, "send");
}

static void receive(Client *c)
{
        ssize_t n;

        if (c->begin == c->end)
                c->begin = c->end = 0;
        else if (c->end == RECEIVE_BYTES) {
                memmove(c->data, c->data + c->begin, c->end - c->begin);
                c->end -= c->begin;
                c->begin = 0;
        }
        n = recv(c->socket, c->data + c->end, RECEIVE_BYTES - c->end, 0);
        if (n <= 0)
                err(1, "the connection ended");
        c->end += (size_t)n;
}

/* The length of the body that begins now. */
static uint64_t read_header(Client *c)
{
        static const char name[] = "Content-Length: ";
        char *start, *end, *length;

        while (!(end = memmem(c->data + c->begin, c->end - c->begin, "\r\n\r\n", 4)))
                receive(c);
        start = c->data + c->begin;
        *end = '\0';
        length = strstr(start, name);
        if (strncmp(start, "HTTP/1.1 200 ", 13) != 0 || !length)
                errx(1, "answer: %.60s", start);
        c->begin = (size_t)(end + 4 - c->data);
        return strtoull(length + sizeof(name) - 1, NULL, 10);
}

/* ---- files ---- */

static void temporary_name(const char *name, char ret[static NAME_MAX + 1])
{
        snprintf(ret, NAME_MAX + 1, ".%.200s.limit", name);
}

static void finish_batch(Client *c)
{
        char temporary[NAME_MAX + 1];

        /* Begun for all first, so that one commit of the file system's journal serves them all. */
        for (unsigned i = 0; i < c->n_open; i++)
                (void)sync_file_range(c->open[i], 0, 0, SYNC_FILE_RANGE_WRITE);
        for (unsigned i = 0; i < c->n_open; i++) {
                temporary_name(c->names[i], temporary);
                if (fdatasync(c->open[i]) < 0 || close(c->open[i]) < 0 ||
                    renameat(c->directory, temporary, c->directory, c->names[i]) < 0)
                        err(1, "%s", c->names[i]);
        }
        c->n_open = 0;
}

static void write_body(Client *c, int fd, uint64_t left)
{
        uint64_t written = 0, kicked = 0;

        while (left > 0) {
                size_t n;

                if (c->begin == c->end)
                        receive(c);
                n = c->end - c->begin < left ? c->end - c->begin : (size_t)left;
                if (write(fd, c->data + c->begin, n) != (ssize_t)n)
                        err(1, "write");
                c->begin += n;
                left -= n;
                written += n;
                if (c->durable && written - kicked >= KICK_BYTES) {
                        (void)sync_file_range(fd, (off_t)kicked, (off_t)(written - kicked),
                                              SYNC_FILE_RANGE_WRITE);
                        kicked = written;
                }
        }
}

static void fetch(Client *c, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        char temporary[NAME_MAX + 1];
        uint64_t length = read_header(c);
        int fd;

        temporary_name(name, temporary);
        fd = openat(c->directory, c->durable ? temporary : name,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                err(1, "%s", name);
        write_body(c, fd, length);
        if (!c->durable) {
                close(fd);
                return;
        }
        c->open[c->n_open] = fd;
        c->names[c->n_open++] = name;
        if (c->n_open == BATCH)
                finish_batch(c);
}

int main(int argc, char **argv)
{
        bool durable = argc == 4 && strcmp(argv[1], "-d") == 0;
        Paths paths = { 0 };
        Client c = { .durable = durable, .paths = &paths };

        if (argc != (durable ? 4 : 3))
                errx(2, "usage: limit [-d] PORT DIRECTORY < PATHS");
        paths_read(&paths);
        c.data = malloc(RECEIVE_BYTES);
        c.directory = open(argv[argc - 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!c.data || c.directory < 0)
                err(1, "%s", argv[argc - 1]);
        c.socket = connect_to(argv[argc - 2]);
        for (size_t i = 0; i < paths.n; i++) {
                send_ahead(&c, i);
                fetch(&c, paths.items[i]);
        }
        finish_batch(&c);
        if (durable && fsync(c.directory) < 0)
                err(1, "%s", argv[argc - 1]);
        return 0;
}
