#include "basic/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        LINE_BYTES = 2048,
};

static struct {
        const char *program;
        int max_level;
        bool journal;
} log_state = { "openbits", LOG_INFO, false };

/* The journal announces its stream as "device:inode"; anything else on standard error is a file,
   a pipe or a terminal. */
static bool stderr_is_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void log_open(const char *program, int max_level)
{
        log_state.program = program;
        log_state.max_level = max_level;
        log_state.journal = stderr_is_journal();
}

static void write_line(int level, const char *text)
{
        char line[LINE_BYTES + 64];
        int n;

        if (log_state.journal)
                n = snprintf(line, sizeof(line), "<%d>%s\n", level, text);
        else
                n = snprintf(line, sizeof(line), "%s[%d]: %s\n", log_state.program, (int)getpid(),
                             text);
        if (n > 0 && write(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1)) < 0)
                return; /* nobody is left to tell */
}

void log_write(int level, const char *format, ...)
{
        char text[LINE_BYTES];
        int saved = errno;
        va_list args;

        if (level > log_state.max_level)
                return;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        write_line(level, text);
        errno = saved;
}

int log_errno(int level, int error, const char *format, ...)
{
        char text[LINE_BYTES], what[LINE_BYTES - 128];
        va_list args;

        if (level > log_state.max_level)
                return error;
        va_start(args, format);
        vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        snprintf(text, sizeof(text), "%s: %s", what, strerror(error < 0 ? -error : error));
        write_line(level, text);
        return error;
}
