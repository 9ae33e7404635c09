/*
 * Workers: starting one under an identity, knowing which live, ending one. The loop never waits for
 * a child: the outcome of a start is told later.
 */
#pragma once

#include "core/identity.h"
#include "wire/protocol.h"

#include <systemd/sd-event.h>

#include <sys/resource.h>

enum {
        WORKERS_MAX = 1024,
        WORKERS_PER_USER = 16,
        COMMANDS_AT_A_TIME = 4,    /* of one user; they are not counted among his workers */
        WORKER_START_SECONDS = 20, /* for the account databases; then the child is ended */
};

typedef struct Spawner Spawner;

typedef struct SpawnListener {
        /* The worker runs; `channel` is borrowed, the spawner closes its copy afterwards. */
        void (*on_started)(void *userdata, uint64_t tag, pid_t pid, int channel);
        void (*on_failed)(void *userdata, uint64_t tag, int error); /* negative errno */
} SpawnListener;

typedef struct SpawnerConfig {
        const char *libexec_directory;
        bool switch_identity; /* false: every worker stays this user */
        struct rlimit files;  /* RLIMIT_NOFILE for the workers */
} SpawnerConfig;

typedef struct SpawnRequest {
        uint64_t tag; /* handed back to the listener */
        WorkerKind kind;
        uid_t uid;             /* whose worker it is */
        const Identity *token; /* become exactly this; NULL: the owner `uid` */
        bool has_fallback_gid; /* for an owner without an account */
        gid_t fallback_gid;
        const char *ccache; /* KRB5CCNAME of the worker; "" or NULL: the default */
        int command;        /* WORKER_COMMAND: what it reads (borrowed); else -EBADF */
} SpawnRequest;

/* SIGCHLD must be blocked. `config` is copied. 0 or -errno. */
int spawner_new(sd_event *event, const SpawnerConfig *config, const SpawnListener *listener,
                void *userdata, Spawner **ret);
/* Forgets the workers; those that run end with their channels. NULL is fine. */
void spawner_free(Spawner *spawner);
DEFINE_CLEANUP(Spawner, spawner_free);

/* 0: exactly one call of the listener follows, from the loop. -EUSERS: too many workers of this
   user or of all. Other -errno: nothing was started. */
int spawner_start(Spawner *spawner, const SpawnRequest *request);

/* SIGKILL to a worker that was started here and still lives; any other number: -ESRCH. */
int spawner_end(Spawner *spawner, pid_t pid);
