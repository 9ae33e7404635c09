/*
 * Every message between the programs, and the order in which they come.
 *
 * bitsd talks to the broker and to each worker over one SOCK_SEQPACKET pair. A request carries a
 * serial, its answer repeats it. A peer that sends anything which is not drawn here, or out of
 * order, is cut off.
 *
 *      bitsd                          bits-broker
 *        │ ◄──────────── BROKER_HELLO ─┤   on connect
 *        ├─ START_OWNER, START_TOKEN ─►│
 *        │ ◄──── BROKER_WORKER + fd ───┤   or BROKER_REFUSED
 *        ├─ DESCRIBE_TOKEN + fd ──────►│
 *        │ ◄──────────── BROKER_TOKEN ─┤   or BROKER_REFUSED
 *        ├─ END_WORKER ───────────────►│   no answer
 *        ├─ KEEP_COMMAND + fd ────────►│   a user's sealed command line
 *        │ ◄────────── BROKER_COMMAND ─┤   or BROKER_REFUSED
 *        ├─ DROP_COMMAND ─────────────►│   no answer
 *        ├─ START_COMMAND ────────────►│   the one that was kept
 *        │ ◄──── BROKER_WORKER + fd ───┤   or BROKER_REFUSED
 *        ├─ WATCH_ROUTES ─────────────►│   of the network in which workers are
 *        │ ◄──── BROKER_ROUTES + fds ──┤   or BROKER_REFUSED
 *
 *      bitsd                          bits-file
 *        │ ◄──────────── WORKER_HELLO ─┤   once, after the sandbox has proved itself
 *        ├─ FILE_CHECK, FILE_ACCESS ──►│   FILE_SAME: is it the caller's directory, too?
 *        │ ◄───────────── FILE_RESULT ─┤
 *        ├─ FILE_OPEN ────────────────►│   the temporary file: the recorded one, or a new one
 *        │ ◄─────── FILE_OPENED (+ fd)─┤
 *        ├─ FILE_READ ────────────────►│   a certificate or a key: its content
 *        │ ◄───────── FILE_OPENED + fd ┤   in a sealed file, FILE_OPENED without one after an error
 *        ├─ FILE_SYNC + fds ──────────►│
 *        │ ◄───────────── FILE_SYNCED ─┤
 *        ├─ FILE_COMMIT, FILE_DISCARD ►│   rename to the final name; remove
 *        │ ◄───────────── FILE_RESULT ─┤
 *        ├─ FILE_ATTRIBUTES + fd ─────►│   owner, group and rights of the remote file
 *        │ ◄───────────── FILE_RESULT ─┤
 *        ├─ FILE_SYNC_DIRECTORIES ────►│   of every directory changed since the last one
 *        │ ◄───────────── FILE_RESULT ─┤
 *        ├─ FILE_OPEN_SOURCE ─────────►│   an upload's file, for reading
 *        ├─ FILE_READ_REPLY ──────────►│   a copy of a small reply
 *        │ ◄─────── FILE_SOURCE (+ fd)─┤
 *
 *      bitsd                          bits-file of the network identity (file:// remote files)
 *        ├─ COPY_START + fd ──────────►│   a remote file into that descriptor
 *        │ ◄───────────── NET_STARTED ─┤   as bits-net does; status 0
 *        │ ◄──────────── NET_PROGRESS ─┤
 *        ├─ NET_STOP ─────────────────►│
 *        │ ◄──────────────── NET_DONE ─┤   exactly once for each COPY_START, unless it is
 *        │ ◄─────────────── COPY_DONE ─┤   complete
 *        ├─ COPY_PUT + fd ────────────►│   an upload's file, to a place beside the remote name
 *        │ ◄───────────── COPY_PLACED ─┤   instead of NET_STARTED; the rest likewise
 *
 *      bitsd                          bits-net
 *        │ ◄──────────── WORKER_HELLO ─┤
 *        ├─ NET_START + fds ──────────►│
 *        │ ◄───────── NET_CERTIFICATE ─┤   only if NET_START asks for it: maybe several times
 *        ├─ NET_ACCEPT ───────────────►│   exactly once for each of them, unless it ends before
 *        │ ◄───────────── NET_STARTED ─┤   headers of the answer; at most once
 *        │ ◄──────────── NET_PROGRESS ─┤   now and then while bytes arrive
 *        ├─ NET_STOP ─────────────────►│   at any time
 *        ├─ NET_RATES ────────────────►│   at any time, for all of background work
 *        │ ◄──────────────── NET_DONE ─┤   exactly once for each NET_START
 *        ├─ NET_UPLOAD + fd ──────────►│   or NET_FAREWELL, to end a session
 *        │ ◄───────────── NET_SESSION ─┤   whenever the server said more about it
 *        ├─ NET_CLOSE ────────────────►│   exactly once for each that says it is closing, unless it
 *        │                             │   ends before: Close-Session may be sent
 *        │ ◄──────────── NET_PROGRESS ─┤   after each acknowledgement
 *        │ ◄──────────────── NET_DONE ─┤   exactly once for each
 *
 *      bitsd                          bits-command
 *        │ ◄──────────── WORKER_HELLO ─┤
 *        ├─ COMMAND_RUN ──────────────►│   once
 *        │ ◄───────── COMMAND_STARTED ─┤   or why not
 *        │ ◄─────────── COMMAND_ENDED ─┤   then it ends by itself
 *
 *      bits-net                       bits-pac
 *        ├─ PAC_SCRIPT ───────────────►│   a piece of the script, until all are there
 *        ├─ PAC_FIND ─────────────────►│   once
 *        │ ◄───────────── PAC_RESOLVE ─┤   whenever the script asks for a name's addresses
 *        ├─ PAC_ADDRESSES ────────────►│
 *        │ ◄─────────────── PAC_FOUND ─┤   then it ends by itself
 *
 * Each message is a table of fields; structures, writers and readers are made from the table
 * (protocol.c), so the two sides cannot differ. Fields: U32, U64, STR (borrowed from the message
 * when read), U32S (a list), FD (one descriptor), FDS (the remaining descriptors, maybe none).
 */
#pragma once

#include "wire/message.h"

enum {
        PROTOCOL_VERSION = 5,
        WORKER_CHANNEL_FD = 3, /* where a worker finds its end of the channel */
        WORKER_COMMAND_FD = 4, /* and bits-command the command line */
};

typedef enum WorkerKind {
        WORKER_FILE,
        WORKER_NET,
        WORKER_COMMAND, /* by START_COMMAND only */
        WORKER_KIND_MAX,
        WORKER_KIND_INVALID = -1,
} WorkerKind;

/* Why the broker started nothing. */
typedef enum Refusal {
        REFUSED_UNKNOWN_OWNER, /* neither signed on nor ever presented: see the broker's ledger */
        REFUSED_DEAD_TOKEN,    /* not minted by this broker, or its life has ended */
        REFUSED_NO_PRIVILEGE,  /* this broker cannot become another identity (user mode) */
        REFUSED_TOO_MANY,      /* workers or tokens at their limit */
        REFUSED_START_FAILED,  /* fork, exec or a system limit; `error` has the errno */
        REFUSED_NO_COMMAND,    /* no such command line is kept, or the file is none */
        REFUSAL_MAX,
        REFUSAL_INVALID = -1,
} Refusal;

/* How a network transfer ended. */
typedef enum NetOutcome {
        NET_COMPLETE,        /* every byte of the remote file is in the local one */
        NET_STOPPED,         /* on NET_STOP; `written` bytes are there */
        NET_VERSION_CHANGED, /* the server has another version than the one asked for: nothing was
                                written, start over with a new temporary file */
        NET_FAILED,          /* `context` and `code` say why */
        NET_OUTCOME_MAX,
        NET_OUTCOME_INVALID = -1,
} NetOutcome;

/* What a command line is run for: the numbers of BG_NOTIFY_…. */
enum {
        COMMAND_EVENT_TRANSFERRED = 1,
        COMMAND_EVENT_ERROR = 2,
};

/* NET_START flags. */
enum {
        NET_FLAG_BACKGROUND = 1u << 0, /* not FOREGROUND: may be paced */
        NET_FLAG_REDIRECT_DISALLOW = 1u << 1,
        NET_FLAG_REDIRECT_HTTPS_TO_HTTP = 1u << 2, /* permit the downgrade */
        NET_FLAG_NO_CERTIFICATE = 1u << 3,         /* a server that asks for one is told: none */
        NET_FLAG_PROXY_TICKETS = 1u << 4,          /* a proxy may be shown the identity's tickets */
        NET_FLAG_MAX = (1u << 5) - 1,
};

/* NET_START secrets: which descriptors come, in this order. Each is a file of basic/secret.h. */
enum {
        NET_SECRET_CREDENTIALS = 1u << 0, /* credentials_encode() */
        NET_SECRET_HEADERS = 1u << 1,     /* lines divided by CRLF or LF */
        NET_SECRET_CERTIFICATE = 1u << 2, /* PEM or PKCS#12 */
        NET_SECRET_KEY = 1u << 3,         /* if it has a file of its own */
        NET_SECRET_PASSPHRASE = 1u << 4,
        NET_SECRET_MAX = (1u << 5) - 1,
};

/* FILE_ATTRIBUTES flags: what is to be carried over. */
enum {
        ATTRIBUTE_OWNER = 1u << 0,
        ATTRIBUTE_GROUP = 1u << 1,
        ATTRIBUTE_RIGHTS = 1u << 2, /* permission bits and access list */
        ATTRIBUTE_TIME = 1u << 3,   /* of modification */
};

/* NET_START: what its part of the remote file is. */
enum {
        NET_PART = 1u << 0,           /* a part is wanted: the whole file is no answer */
        NET_PART_KEEP_TAIL = 1u << 1, /* the local file is not cut behind what is written */
        NET_PART_MAX = (1u << 2) - 1,
};

/* Of background work; neither: of normal priority. */
#define NET_FLAG_HIGH (1u << 30)
#define NET_FLAG_LOW  (1u << 31)

/* Which work a transfer is: those of a class share its rate. In the order of BITS's priorities. */
typedef enum NetClass {
        NET_FOREGROUND,
        NET_HIGH,
        NET_NORMAL,
        NET_LOW,
        NET_CLASS_MAX,
        NET_CLASS_INVALID = -1,
} NetClass;

/* The class of a transfer with these flags, and the flags of a class. */
static inline NetClass net_class_of(uint32_t flags)
{
        if ((flags & NET_FLAG_BACKGROUND) == 0)
                return NET_FOREGROUND;
        return flags & NET_FLAG_HIGH ? NET_HIGH : flags & NET_FLAG_LOW ? NET_LOW : NET_NORMAL;
}

static inline uint32_t net_class_flags(NetClass class)
{
        return (class == NET_FOREGROUND ? 0 : NET_FLAG_BACKGROUND) |
               (class == NET_HIGH ? NET_FLAG_HIGH : 0) | (class == NET_LOW ? NET_FLAG_LOW : 0);
}

#define RATE_NONE    UINT64_MAX /* no limit */

/* Unknown length of a remote file (BG_SIZE_UNKNOWN). */
#define SIZE_UNKNOWN UINT64_MAX

/* ---- bits-broker ---- */

#define FIELDS_BROKER_HELLO(U32, U64, STR, U32S, FD, FDS)                 \
        U32(version)                                                      \
        U32(may_switch) /* 1: can start workers under other identities */ \
        U32(uid)        /* its own; the only identity when may_switch is 0 */

#define FIELDS_BROKER_START_OWNER(U32, U64, STR, U32S, FD, FDS) \
        U32(kind) /* WorkerKind */                              \
        U32(uid)                                                \
        STR(ccache) /* KRB5CCNAME of the worker, "": the default */

#define FIELDS_BROKER_START_TOKEN(U32, U64, STR, U32S, FD, FDS) \
        U32(kind)                                               \
        STR(ccache)                                             \
        FD(token)

#define FIELDS_BROKER_DESCRIBE_TOKEN(U32, U64, STR, U32S, FD, FDS) FD(token)

#define FIELDS_BROKER_END_WORKER(U32, U64, STR, U32S, FD, FDS)     U32(pid)

#define FIELDS_BROKER_WORKER(U32, U64, STR, U32S, FD, FDS) \
        U32(pid)                                           \
        FD(channel)

#define FIELDS_BROKER_REFUSED(U32, U64, STR, U32S, FD, FDS) \
        U32(reason) /* Refusal */                           \
        U32(error)  /* errno, or 0 */

#define FIELDS_BROKER_TOKEN(U32, U64, STR, U32S, FD, FDS)                 \
        U64(cookie)                                                       \
        U32(uid)                                                          \
        U32(gid)                                                          \
        STR(session)   /* login session at the capture, "" outside any */ \
        U32(signed_on) /* 1: its user was signed on at the capture */

/* A sealed file of basic/command-file.h. Its author is the user who will run it. */
#define FIELDS_BROKER_KEEP_COMMAND(U32, U64, STR, U32S, FD, FDS) \
        STR(job) /* id of the job, 36 characters */              \
        FD(command)

#define FIELDS_BROKER_COMMAND(U32, U64, STR, U32S, FD, FDS) U32(uid) /* the author */

#define FIELDS_BROKER_DROP_COMMAND(U32, U64, STR, U32S, FD, FDS) \
        U32(uid)                                                 \
        STR(job)

#define FIELDS_BROKER_START_COMMAND(U32, U64, STR, U32S, FD, FDS) \
        U32(uid)                                                  \
        STR(job)

#define FIELDS_BROKER_WATCH_ROUTES(U32, U64, STR, U32S, FD, FDS)

/* Two sockets of the kernel's, for reading: that something changed, and which routes there are. */
#define FIELDS_BROKER_ROUTES(U32, U64, STR, U32S, FD, FDS)                              \
        U32(local_proxy) /* 1: the proxy of the workers' environment is this machine */ \
        FD(events)                                                                      \
        FD(questions)

/* ---- all workers ---- */

#define FIELDS_WORKER_HELLO(U32, U64, STR, U32S, FD, FDS) \
        U32(version)                                      \
        U32(kind)                                         \
        U32(uid)                                          \
        U32(layers) /* SANDBOX_LAYER_… that are in force */

/* ---- bits-file. `error` is an errno, 0 for success ---- */

#define FIELDS_FILE_CHECK(U32, U64, STR, U32S, FD, FDS) STR(local_name)

/* Has the directory of that name these numbers? EXDEV: it is another one. */
#define FIELDS_FILE_SAME(U32, U64, STR, U32S, FD, FDS) \
        STR(local_name)                                \
        U64(device)                                    \
        U64(inode)

/* Could this identity go on with a file that another one began? */
#define FIELDS_FILE_ACCESS(U32, U64, STR, U32S, FD, FDS)                \
        STR(local_name)                                                 \
        STR(temporary_name)                                             \
        U64(device) /* of the temporary file; 0 and 0: there is none */ \
        U64(inode)                                                      \
        U64(birth)                                                      \
        U32(writing) /* 1: it is to be written, 0: only to be renamed */

#define FIELDS_FILE_OPEN(U32, U64, STR, U32S, FD, FDS)                                    \
        STR(local_name)     /* final path: its directory holds the temporary file */      \
        STR(temporary_name) /* one component */                                           \
        U64(device)         /* of the recorded temporary file; 0 and 0: make a new one */ \
        U64(inode)                                                                        \
        U64(birth)   /* ns since 1970, 0: its file system knows none */                   \
        U64(kept)    /* its first bytes that are on the disk */                           \
        U64(written) /* its first bytes that are wanted; 0: replace it by a new one */

#define FIELDS_FILE_OPENED(U32, U64, STR, U32S, FD, FDS)                                  \
        U32(error)                                                                        \
        U32(fresh) /* 1: new and empty, 0: the recorded one, or a copy of `kept` bytes */ \
        U64(device)                                                                       \
        U64(inode)                                                                        \
        U64(birth)                                                                        \
        U64(size)                                                                         \
        FDS(file) /* one descriptor for writing, none after an error */

/* A whole regular file of at most `size_max` bytes; answered by FILE_OPENED: only error, size and
   file are set. */
#define FIELDS_FILE_READ(U32, U64, STR, U32S, FD, FDS) \
        STR(local_name)                                \
        U64(size_max)

#define FIELDS_FILE_SYNC(U32, U64, STR, U32S, FD, FDS)   FDS(files)

#define FIELDS_FILE_SYNCED(U32, U64, STR, U32S, FD, FDS) U32S(errors) /* as many as files */

#define FIELDS_FILE_COMMIT(U32, U64, STR, U32S, FD, FDS) \
        STR(local_name)                                  \
        STR(temporary_name)                              \
        U64(device)                                      \
        U64(inode)                                       \
        U64(birth)                                       \
        U64(modification_time) /* seconds since 1970, 0: leave */

#define FIELDS_FILE_DISCARD(U32, U64, STR, U32S, FD, FDS) \
        STR(local_name)                                   \
        STR(temporary_name)                               \
        U64(device)                                       \
        U64(inode)                                        \
        U64(birth)                                        \
        U64(own) /* 1: only if this identity made it */

#define FIELDS_FILE_SYNC_DIRECTORIES(U32, U64, STR, U32S, FD, FDS)

/* What a file carries besides its content. */
#define FIELDS_FILE_ATTRIBUTES(U32, U64, STR, U32S, FD, FDS)            \
        U32(flags)             /* ATTRIBUTE_… */                      \
        U64(modification_time) /* seconds since 1970 */                 \
        U32(modification_nsec)                                          \
        U32(owner)                                                      \
        U32(group)                                                      \
        U32(mode) /* permission bits */                                 \
        STR(acl)  /* system.posix_acl_access in hexadecimal, "" none */ \
        FD(file)

#define FIELDS_FILE_RESULT(U32, U64, STR, U32S, FD, FDS) U32(error)

/* ---- bits-file, of the network identity ---- */

#define FIELDS_COPY_START(U32, U64, STR, U32S, FD, FDS)                                   \
        U64(transfer) /* chosen by bitsd, not in use */                                   \
        STR(path)                                                                         \
        U64(offset)  /* bytes already in the file: go on from here */                     \
        U64(limit)   /* the file may not get longer; SIZE_UNKNOWN: any length */          \
        STR(version) /* of which they are, as the etag of NET_STARTED said; "" unknown */ \
        FD(file)

#define FIELDS_COPY_DONE(U32, U64, STR, U32S, FD, FDS)              \
        U64(transfer)                                               \
        U64(written)                                                \
        U64(modification_time) /* seconds since 1970, 0: unknown */ \
        U32(modification_nsec)                                      \
        U32(owner)                                                  \
        U32(group)                                                  \
        U32(mode) /* permission bits */                             \
        STR(acl)  /* system.posix_acl_access in hexadecimal, "" none */

#define FIELDS_COPY_PUT(U32, U64, STR, U32S, FD, FDS)                                     \
        U64(transfer)                                                                     \
        STR(path)                                                                         \
        STR(temporary_name) /* one component, beside it */                                \
        U64(device)         /* of the recorded temporary file; 0 and 0: make a new one */ \
        U64(inode)                                                                        \
        U64(birth)                                                                        \
        U64(offset)            /* bytes already in it */                                  \
        U64(total)             /* of the local file, when the upload began */             \
        U64(modification_time) /* likewise, ns since 1970 */                              \
        U32(flags)             /* ATTRIBUTE_… to be carried over */                     \
        FD(file)

#define FIELDS_COPY_PLACED(U32, U64, STR, U32S, FD, FDS) \
        U64(transfer)                                    \
        U64(device) /* of the temporary file */          \
        U64(inode)                                       \
        U64(birth)                                       \
        U64(offset) /* where writing begins: the one asked for, or 0 */

/* ---- bits-net ---- */

#define FIELDS_NET_START(U32, U64, STR, U32S, FD, FDS)                                      \
        U64(transfer) /* chosen by bitsd, not in use */                                     \
        STR(url)                                                                            \
        U32(flags)                                                                          \
        U32(part)          /* NET_PART… */                                                \
        U64(offset)        /* of the remote file: go on from here */                        \
        U64(end)           /* and up to here; SIZE_UNKNOWN: to its end */                   \
        U64(position)      /* where in the file that begins */                              \
        U64(limit)         /* the file may not get longer; or SIZE_UNKNOWN */               \
        U64(total)         /* of the version known, or SIZE_UNKNOWN */                      \
        STR(etag)          /* of the version known, "" if none */                           \
        STR(last_modified) /* likewise, as the server wrote it */                           \
        U32(proxy_usage)   /* ProxyUsage of core/proxy.h */                                 \
        STR(proxy_list)    /* "" unless PROXY_OVERRIDE */                                   \
        STR(proxy_bypass)                                                                   \
        U32(security)   /* HTTP_CERTIFICATE_FLAGS */                                        \
        STR(method)     /* "": GET */                                                       \
        STR(validation) /* "", or NET_CERTIFICATE is wanted: whose answers may be shared */ \
        U32(secrets)    /* NET_SECRET_… */                                                \
        FD(file)                                                                            \
        FDS(secret_files)

#define FIELDS_NET_STOP(U32, U64, STR, U32S, FD, FDS) U64(transfer)

/* Bytes a second of the background transfers of each class together, and of all of them; RATE_NONE:
   no limit, as it is before the first of these; 0: they stand still. */
#define FIELDS_NET_RATES(U32, U64, STR, U32S, FD, FDS) \
        U64(high)                                      \
        U64(normal)                                    \
        U64(low)                                       \
        U64(all)

#define FIELDS_NET_STARTED(U32, U64, STR, U32S, FD, FDS)                          \
        U64(transfer)                                                             \
        U32(status)                                                               \
        U64(offset) /* of the body in the remote file: the one asked for, or 0 */ \
        U64(total)                                                                \
        STR(etag)                                                                 \
        STR(last_modified)                                                        \
        U32(resumable)   /* 1: the server takes ranges and names a version */     \
        STR(remote_name) /* after redirects; "" if it is the one asked for */     \
        STR(headers)     /* the answer's lines, plain ASCII, maybe cut */

#define FIELDS_NET_PROGRESS(U32, U64, STR, U32S, FD, FDS) \
        U64(transfer)                                     \
        U64(written) /* the first `written` bytes of the file are there, unsynced */

#define FIELDS_NET_DONE(U32, U64, STR, U32S, FD, FDS)                                      \
        U64(transfer)                                                                      \
        U32(outcome) /* NetOutcome */                                                      \
        U32(context) /* ErrorContext of core/error.h, 0 unless NET_FAILED */               \
        U32(code)    /* BITS number, 0 unless NET_FAILED */                                \
        U64(written)                                                                       \
        U64(modification_time) /* of the remote file, seconds since 1970, 0: unknown */    \
        STR(detail)            /* one English sentence for people, "" unless NET_FAILED */ \
        STR(remote_name)       /* where a redirect led that was not permitted, else "" */  \
        STR(headers)           /* of the answer that was the failure, as above, else "" */

/* The certificate of a server that the system accepts: may the request be sent? */
#define FIELDS_NET_CERTIFICATE(U32, U64, STR, U32S, FD, FDS)  \
        U64(transfer)                                         \
        STR(peer)        /* host:port */                      \
        STR(fingerprint) /* SHA-256, 64 hexadecimal digits */ \
        STR(chain)       /* PEM, the server's own first */

#define FIELDS_NET_ACCEPT(U32, U64, STR, U32S, FD, FDS) \
        U64(transfer)                                   \
        U32(code) /* 0: yes */                          \
        STR(detail)

/* ---- bits-command. Numbers only: no text of bitsd gets near the command ---- */

#define FIELDS_COMMAND_RUN(U32, U64, STR, U32S, FD, FDS)    \
        U32(event)   /* COMMAND_EVENT_… */                \
        U32(code)    /* the error's BITS number, 0: none */ \
        U32(seconds) /* that it may run, at least 1 */

#define FIELDS_COMMAND_STARTED(U32, U64, STR, U32S, FD, FDS) U32(error) /* errno; then no more */

#define FIELDS_COMMAND_ENDED(U32, U64, STR, U32S, FD, FDS) \
        U32(result) /* COMMAND_STATUS, COMMAND_SIGNAL, COMMAND_TIMED_OUT of core/command-line.h */
/* ---- uploads ---- */

#define FIELDS_FILE_OPEN_SOURCE(U32, U64, STR, U32S, FD, FDS) STR(local_name)

#define FIELDS_FILE_READ_REPLY(U32, U64, STR, U32S, FD, FDS)                            \
        STR(local_name)                                                                 \
        STR(temporary_name)                                                             \
        U64(device) /* of the file, under either name; 0 and 0: as the local name is */ \
        U64(inode)                                                                      \
        U64(birth)                                                                      \
        U64(limit) /* bytes: of a longer one only the size is told */

#define FIELDS_FILE_SOURCE(U32, U64, STR, U32S, FD, FDS) \
        U32(error)                                       \
        U64(size)                                        \
        U64(modification_time) /* ns since 1970 */       \
        FDS(file) /* one descriptor for reading; none after an error, or beyond the limit */

/* The fields of the job that both messages have in common with NET_START bear the same names. */
#define FIELDS_NET_UPLOAD(U32, U64, STR, U32S, FD, FDS)                                    \
        U64(transfer)                                                                      \
        STR(url)                                                                           \
        U32(flags)                                                                         \
        U64(offset)            /* bytes the server has acknowledged */                     \
        U64(total)             /* of the file, when the upload began */                    \
        U64(modification_time) /* likewise, ns since 1970 */                               \
        STR(content_name)      /* what the server is told */                               \
        STR(session)           /* to go on with, "": none */                               \
        STR(host)              /* BITS-Host-Id, "": none */                                \
        U32(host_fallback)     /* s, UINT32_MAX: never */                                  \
        U32(closing)           /* 1: the session may have been closed already */           \
        U32(wants_reply)       /* 1: the session stays open, a URL for the reply is due */ \
        U32(proxy_usage)                                                                   \
        STR(proxy_list)                                                                    \
        STR(proxy_bypass)                                                                  \
        U32(security)                                                                      \
        STR(validation)                                                                    \
        U32(secrets)                                                                       \
        FD(file)                                                                           \
        FDS(secret_files)

#define FIELDS_NET_FAREWELL(U32, U64, STR, U32S, FD, FDS)     \
        U64(transfer)                                         \
        STR(url)                                              \
        U32(flags)                                            \
        STR(session)                                          \
        STR(host)                                             \
        U32(host_fallback)                                    \
        U32(cancel) /* 1: Cancel-Session, 0: Close-Session */ \
        U32(proxy_usage)                                      \
        STR(proxy_list)                                       \
        STR(proxy_bypass)                                     \
        U32(security)                                         \
        STR(validation)                                       \
        U32(secrets)                                          \
        FDS(secret_files)

#define FIELDS_NET_SESSION(U32, U64, STR, U32S, FD, FDS)                  \
        U64(transfer)                                                     \
        STR(session) /* "": it is over, or the server knows it no more */ \
        STR(host)                                                         \
        U32(host_fallback)                                                \
        STR(reply_url) /* absolute, "": none */                           \
        U32(closing)   /* 1: Close-Session is to be sent, after NET_CLOSE */

#define FIELDS_NET_CLOSE(U32, U64, STR, U32S, FD, FDS)  U64(transfer)

/* ---- bits-pac ---- */

#define FIELDS_PAC_SCRIPT(U32, U64, STR, U32S, FD, FDS) STR(piece) /* UTF-8 */

#define FIELDS_PAC_FIND(U32, U64, STR, U32S, FD, FDS) \
        STR(url)                                      \
        STR(host)                                     \
        STR(addresses) /* of this machine, divided by blanks */

#define FIELDS_PAC_RESOLVE(U32, U64, STR, U32S, FD, FDS)   STR(host)

#define FIELDS_PAC_ADDRESSES(U32, U64, STR, U32S, FD, FDS) STR(addresses) /* "": there are none */

#define FIELDS_PAC_FOUND(U32, U64, STR, U32S, FD, FDS) \
        U32(failed)                                    \
        STR(text) /* what the script says, or in what it failed */

/* Message number, structure name, stem of the functions, table. Numbers are never reused. */
#define MESSAGES(M)                                                                \
        M(0x01, BrokerHello, broker_hello, BROKER_HELLO)                           \
        M(0x02, BrokerStartOwner, broker_start_owner, BROKER_START_OWNER)          \
        M(0x03, BrokerStartToken, broker_start_token, BROKER_START_TOKEN)          \
        M(0x04, BrokerDescribeToken, broker_describe_token, BROKER_DESCRIBE_TOKEN) \
        M(0x05, BrokerEndWorker, broker_end_worker, BROKER_END_WORKER)             \
        M(0x06, BrokerWorker, broker_worker, BROKER_WORKER)                        \
        M(0x07, BrokerRefused, broker_refused, BROKER_REFUSED)                     \
        M(0x08, BrokerToken, broker_token, BROKER_TOKEN)                           \
        M(0x10, WorkerHello, worker_hello, WORKER_HELLO)                           \
        M(0x20, FileCheck, file_check, FILE_CHECK)                                 \
        M(0x21, FileOpen, file_open, FILE_OPEN)                                    \
        M(0x22, FileOpened, file_opened, FILE_OPENED)                              \
        M(0x23, FileSync, file_sync, FILE_SYNC)                                    \
        M(0x24, FileSynced, file_synced, FILE_SYNCED)                              \
        M(0x25, FileCommit, file_commit, FILE_COMMIT)                              \
        M(0x26, FileDiscard, file_discard, FILE_DISCARD)                           \
        M(0x27, FileSyncDirectories, file_sync_directories, FILE_SYNC_DIRECTORIES) \
        M(0x28, FileResult, file_result, FILE_RESULT)                              \
        M(0x2a, FileAccess, file_access, FILE_ACCESS)                              \
        M(0x40, CopyStart, copy_start, COPY_START)                                 \
        M(0x41, CopyDone, copy_done, COPY_DONE)                                    \
        M(0x43, CopyPut, copy_put, COPY_PUT)                                       \
        M(0x44, CopyPlaced, copy_placed, COPY_PLACED)                              \
        M(0x42, FileAttributes, file_attributes, FILE_ATTRIBUTES)                  \
        M(0x30, NetStart, net_start, NET_START)                                    \
        M(0x31, NetStop, net_stop, NET_STOP)                                       \
        M(0x32, NetStarted, net_started, NET_STARTED)                              \
        M(0x33, NetProgress, net_progress, NET_PROGRESS)                           \
        M(0x34, NetDone, net_done, NET_DONE)                                       \
        M(0x50, FileOpenSource, file_open_source, FILE_OPEN_SOURCE)                \
        M(0x51, FileReadReply, file_read_reply, FILE_READ_REPLY)                   \
        M(0x52, FileSource, file_source, FILE_SOURCE)                              \
        M(0x53, NetUpload, net_upload, NET_UPLOAD)                                 \
        M(0x54, NetFarewell, net_farewell, NET_FAREWELL)                           \
        M(0x55, NetSession, net_session, NET_SESSION)                              \
        M(0x60, FileRead, file_read, FILE_READ)                                    \
        M(0x61, NetCertificate, net_certificate, NET_CERTIFICATE)                  \
        M(0x62, NetAccept, net_accept, NET_ACCEPT)                                 \
        M(0x80, NetRates, net_rates, NET_RATES)                                    \
        M(0x90, BrokerKeepCommand, broker_keep_command, BROKER_KEEP_COMMAND)       \
        M(0x91, BrokerCommand, broker_command, BROKER_COMMAND)                     \
        M(0x92, BrokerDropCommand, broker_drop_command, BROKER_DROP_COMMAND)       \
        M(0x93, BrokerStartCommand, broker_start_command, BROKER_START_COMMAND)    \
        M(0x94, CommandRun, command_run, COMMAND_RUN)                              \
        M(0x95, CommandStarted, command_started, COMMAND_STARTED)                  \
        M(0x96, CommandEnded, command_ended, COMMAND_ENDED)                        \
        M(0xa4, FileSame, file_same, FILE_SAME)                                    \
        M(0xa8, BrokerWatchRoutes, broker_watch_routes, BROKER_WATCH_ROUTES)       \
        M(0xa9, BrokerRoutes, broker_routes, BROKER_ROUTES)                        \
        M(0xac, NetClose, net_close, NET_CLOSE)                                    \
        M(0xb0, PacScript, pac_script, PAC_SCRIPT)                                 \
        M(0xb1, PacFind, pac_find, PAC_FIND)                                       \
        M(0xb2, PacResolve, pac_resolve, PAC_RESOLVE)                              \
        M(0xb3, PacAddresses, pac_addresses, PAC_ADDRESSES)                        \
        M(0xb4, PacFound, pac_found, PAC_FOUND)

/* MESSAGE_BROKER_HELLO = 0x01 … */
enum {
#define MESSAGE_NUMBER(number, Type, stem, TABLE) MESSAGE_##TABLE = number,
        MESSAGES(MESSAGE_NUMBER)
#undef MESSAGE_NUMBER
};

/* One structure per message; an empty table gives one unused byte. */
#define MEMBER_U32(name)  uint32_t name;
#define MEMBER_U64(name)  uint64_t name;
#define MEMBER_STR(name)  const char *name;
#define MEMBER_U32S(name) U32List name;
#define MEMBER_FD(name)   int name;
#define MEMBER_FDS(name)  FdList name;
#define MESSAGE_STRUCT(number, Type, stem, TABLE)                                          \
        typedef struct Type {                                                              \
                FIELDS_##TABLE(MEMBER_U32, MEMBER_U64, MEMBER_STR, MEMBER_U32S, MEMBER_FD, \
                               MEMBER_FDS) char _unused;                                   \
        } Type;
MESSAGES(MESSAGE_STRUCT)
#undef MESSAGE_STRUCT

/*
 * For each message x:
 *   void x_write(Message *m, uint32_t serial, const X *x)  begins m and puts every field; strings
 *        that are NULL become "", descriptors are borrowed until the message is sent.
 *   int x_read(Message *m, X *ret)  0, or -EBADMSG and nothing is taken. Strings borrow from m,
 *        descriptors in FD and FDS fields become the caller's.
 */
#define MESSAGE_FUNCTIONS(number, Type, stem, TABLE)                   \
        void stem##_write(Message *m, uint32_t serial, const Type *x); \
        int stem##_read(Message *m, Type *ret);
MESSAGES(MESSAGE_FUNCTIONS)
#undef MESSAGE_FUNCTIONS

/* "FILE_OPEN", or NULL for a number that is no message. */
const char *message_type_name(uint16_t type);
const char *worker_kind_name(WorkerKind kind); /* "bits-file", "bits-net", "bits-command" */
const char *refusal_text(Refusal reason);      /* one English sentence */
