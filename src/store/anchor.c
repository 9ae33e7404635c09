#include "store/anchor.h"

#include "basic/log.h"

#include <stdio.h>
#include <sys/stat.h>

int anchor_set(const char *path, Anchor *ret)
{
        Anchor anchor = { 0 };
        struct stat database, log;
        int r = 0;

        anchor.database.path = strdup(path);
        if (asprintf(&anchor.log.path, "%s-wal", path) < 0)
                anchor.log.path = NULL;
        if (!anchor.database.path || !anchor.log.path)
                r = -ENOMEM;
        else if (stat(path, &database) < 0 || stat(anchor.log.path, &log) < 0)
                r = -errno;
        if (r < 0) {
                anchor_done(&anchor);
                return r;
        }
        anchor.database.device = database.st_dev;
        anchor.database.inode = database.st_ino;
        anchor.log.device = log.st_dev;
        anchor.log.inode = log.st_ino;
        *ret = anchor;
        return 0;
}

void anchor_done(Anchor *anchor)
{
        free(anchor->database.path);
        free(anchor->log.path);
        *anchor = (Anchor){ 0 };
}

static bool is_there(const char *path, dev_t device, ino_t inode)
{
        struct stat st;

        return stat(path, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

bool anchor_holds_log(const Anchor *anchor)
{
        return is_there(anchor->log.path, anchor->log.device, anchor->log.inode);
}

/* DUR-481 */
int anchor_check(Anchor *anchor)
{
        bool database =
                is_there(anchor->database.path, anchor->database.device, anchor->database.inode);

        if (database && anchor_holds_log(anchor)) {
                anchor->told = false;
                return 0;
        }
        if (!anchor->told && !database)
                log_error("the job store %s was moved, removed or replaced while it is in use: "
                          "put it back, or restart the service to begin with what is there now",
                          anchor->database.path);
        else if (!anchor->told)
                log_error("the job store's log %s was removed or replaced while it is in use: "
                          "restart the service, which stores all that was in it",
                          anchor->log.path);
        anchor->told = true;
        return -ESTALE;
}
