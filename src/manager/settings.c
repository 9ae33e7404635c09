/*
 * libinih takes the lines apart; its line numbers reach its caller only after the end, so the
 * lines are handed to it one by one from here and counted on the way. A line that is longer than
 * its buffer would come in two pieces: it is refused instead.
 */
#include "manager/settings.h"

#include "basic/fd.h"
#include "basic/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
        FILE_BYTES_MAX = 256 * 1024,
};

typedef struct FileList {
        char *paths[CONFIG_FILES_MAX];
        uint32_t n;
} FileList;

struct Settings {
        char *directory;
        Config config;
        FileList files; /* those that `config` came from */
};

typedef struct Reader {
        FILE *stream;
        const char *path;
        Config *config;
        uint32_t file, line;
        size_t bytes;
        unsigned wrong;
} Reader;

static void file_list_done(FileList *list)
{
        for (uint32_t i = 0; i < list->n; i++)
                free(list->paths[i]);
        list->n = 0;
}

static bool find_account(const char *name, uid_t *ret)
{
        const struct passwd *account = getpwnam(name);

        if (account)
                *ret = account->pw_uid;
        return account != NULL;
}

/* ---- one file ---- */

/* POL-202: all of them are told, so that one look mends the file. */
static void complain(Reader *reader, const char *why)
{
        log_error("%s:%u: %s", reader->path, reader->line, why);
        reader->wrong++;
}

static bool is_whole_line(const char *text, int room)
{
        size_t n = strlen(text);

        return n > 0 && (text[n - 1] == '\n' || n < (size_t)room - 1);
}

static void skip_line(Reader *reader)
{
        int c;

        while (reader->bytes++ <= FILE_BYTES_MAX && (c = getc(reader->stream)) != EOF && c != '\n')
                ;
}

/* inih's fgets(). */
static char *on_line(char *text, int room, void *userdata)
{
        Reader *reader = userdata;

        if (reader->bytes > FILE_BYTES_MAX || !fgets(text, room, reader->stream))
                return NULL;
        reader->line++;
        reader->bytes += strlen(text) + 1;
        if (reader->bytes > FILE_BYTES_MAX)
                complain(reader, "the file is too long to be a configuration");
        if (!is_whole_line(text, room) && !feof(reader->stream)) {
                complain(reader, "the line is too long, or has a NUL in it");
                skip_line(reader);
                snprintf(text, (size_t)room, "\n");
        }
        return text;
}

static int on_setting(void *userdata, const char *section, const char *name, const char *value)
{
        Reader *reader = userdata;
        char why[CONFIG_WHY_MAX];

        if (config_set(reader->config, section, name, value, find_account, reader->file,
                       reader->line, why) < 0)
                complain(reader, why);
        return 1;
}

/* The number of a line that is neither a section nor a setting comes back from inih; only the
   first of them. */
static int read_stream(Reader *reader)
{
        int r;

        ini_allow_multiline = false; /* an indented line is a line */
        r = ini_parse_stream(on_line, reader, on_setting, reader);
        if (r > 0) {
                reader->line = (uint32_t)r;
                complain(reader, "the line is neither [Section] nor Name=value");
        }
        if (ferror(reader->stream))
                return log_errno(LOG_ERR, -EIO, "cannot read %s", reader->path);
        return reader->wrong > 0 ? -EINVAL : 0;
}

/* What has no end, or keeps its reader waiting, is no file. */
static int open_file(const char *path, FILE **ret)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = fdopen(fd, "r");
        if (!*ret)
                return -errno;
        (void)TAKE_FD(fd);
        return 0;
}

/* 0 also when there is no such file. */
static int read_file(Config *config, FileList *files, const char *path)
{
        Reader reader = { .path = path, .config = config, .file = files->n + 1 };
        int r;

        r = open_file(path, &reader.stream);
        if (r < 0)
                return r == -ENOENT ? 0 : log_errno(LOG_ERR, r, "cannot read %s", path);
        r = read_stream(&reader);
        fclose(reader.stream);
        if (r < 0)
                return r;
        if (files->n == CONFIG_FILES_MAX)
                return log_errno(LOG_ERR, -E2BIG, "more than %d files with settings: %s",
                                 CONFIG_FILES_MAX, path);
        files->paths[files->n] = strdup(path);
        return files->paths[files->n] ? (files->n++, 0) : -ENOMEM;
}

/* ---- all of them ---- */

static int is_conf(const struct dirent *entry)
{
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* By bytes: the same order in every language. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* Goes on after a wrong file, so that all are told; the first error is the answer. */
static int read_folder(Config *config, FileList *files, const char *folder)
{
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, is_conf, by_name), r = 0;

        if (n < 0)
                return errno == ENOENT ? 0 : log_errno(LOG_ERR, -errno, "cannot read %s", folder);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL;
                int one;

                if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
                        path = NULL;
                one = path ? read_file(config, files, path) : -ENOMEM;
                r = r < 0 ? r : one;
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int read_all(const char *directory, Config *config, FileList *files)
{
        _cleanup_free_ char *first = NULL, *folder = NULL;
        int r, more;

        if (asprintf(&first, "%s/bitsd.conf", directory) < 0)
                first = NULL;
        if (asprintf(&folder, "%s/bitsd.conf.d", directory) < 0)
                folder = NULL;
        if (!first || !folder)
                return -ENOMEM;
        r = read_file(config, files, first);
        more = read_folder(config, files, folder);
        return r < 0 ? r : more;
}

/* POL-209 */
int settings_reload(Settings *settings)
{
        FileList files = { 0 };
        Config config;
        int r;

        config_init(&config);
        r = read_all(settings->directory, &config, &files);
        if (r < 0) {
                file_list_done(&files);
                return r;
        }
        file_list_done(&settings->files);
        settings->files = files;
        settings->config = config;
        return 0;
}

int settings_new(const char *directory, Settings **ret)
{
        _cleanup_(settings_freep) Settings *settings = calloc(1, sizeof(*settings));
        int r;

        if (!settings)
                return -ENOMEM;
        settings->directory = strdup(directory);
        if (!settings->directory)
                return -ENOMEM;
        r = settings_reload(settings);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(settings);
        return 0;
}

void settings_free(Settings *settings)
{
        if (!settings)
                return;
        file_list_done(&settings->files);
        free(settings->directory);
        free(settings);
}

const Config *settings_config(const Settings *settings)
{
        return &settings->config;
}

const char *settings_file(const Settings *settings, uint32_t number)
{
        return number > 0 && number <= settings->files.n ? settings->files.paths[number - 1] : NULL;
}
