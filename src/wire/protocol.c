#include "wire/protocol.h"

/* Writers: every field in table order. SEC-03 */
#define PUT_U32(name)  message_put_u32(m, x->name);
#define PUT_U64(name)  message_put_u64(m, x->name);
#define PUT_STR(name)  message_put_string(m, x->name);
#define PUT_U32S(name) message_put_u32_list(m, &x->name);
#define PUT_FD(name)   message_put_fd(m, x->name);
#define PUT_FDS(name)                                \
        for (unsigned i = 0; i < x->name.count; i++) \
                message_put_fd(m, x->name.items[i]);

/* Readers: descriptors are noted here and taken only when the whole message was right. */
#define GET_U32(name)  message_get_u32(m, &ret->name);
#define GET_U64(name)  message_get_u64(m, &ret->name);
#define GET_STR(name)  message_get_string(m, &ret->name);
#define GET_U32S(name) message_get_u32_list(m, &ret->name);
#define GET_FD(name)   message_get_fd(m, &ret->name);
#define GET_FDS(name)                            \
        while (m->next_fd < m->n_fds && !m->bad) \
                message_get_fd(m, &ret->name.items[ret->name.count++]);

/* Descriptors start as none, and are none again when the message was wrong elsewhere: they then
   stay the message's. */
#define NONE_OF(name)
#define NONE_FD(name)  ret->name = -EBADF;
#define NONE_FDS(name) ret->name.count = 0;

#define DEFINE_MESSAGE(number, Type, stem, TABLE)                                     \
        void stem##_write(Message *m, uint32_t serial, const Type *x)                 \
        {                                                                             \
                (void)x;                                                              \
                message_begin(m, MESSAGE_##TABLE, serial);                            \
                FIELDS_##TABLE(PUT_U32, PUT_U64, PUT_STR, PUT_U32S, PUT_FD, PUT_FDS)  \
        }                                                                             \
        int stem##_read(Message *m, Type *ret)                                        \
        {                                                                             \
                *ret = (Type){ 0 };                                                   \
                FIELDS_##TABLE(NONE_OF, NONE_OF, NONE_OF, NONE_OF, NONE_FD, NONE_FDS) \
                        FIELDS_##TABLE(GET_U32, GET_U64, GET_STR, GET_U32S, GET_FD,   \
                                       GET_FDS) if (message_end(m)) return 0;         \
                m->next_fd = 0;                                                       \
                FIELDS_##TABLE(NONE_OF, NONE_OF, NONE_OF, NONE_OF, NONE_FD,           \
                               NONE_FDS) return -EBADMSG;                             \
        }
MESSAGES(DEFINE_MESSAGE)

const char *message_type_name(uint16_t type)
{
        switch (type) {
#define NAME_CASE(number, Type, stem, TABLE) \
        case number:                         \
                return #TABLE;
                MESSAGES(NAME_CASE)
        }
        return NULL;
}

const char *worker_kind_name(WorkerKind kind)
{
        static const char *const names[] = {
                [WORKER_FILE] = "bits-file",
                [WORKER_NET] = "bits-net",
                [WORKER_COMMAND] = "bits-command",
        };
        static_assert_table(names, WORKER_KIND_MAX);

        return kind >= 0 && kind < WORKER_KIND_MAX ? names[kind] : NULL;
}

const char *refusal_text(Refusal reason)
{
        static const char *const texts[] = {
                [REFUSED_UNKNOWN_OWNER] = "the owner is not signed on and never presented itself",
                [REFUSED_DEAD_TOKEN] = "the token is not one of this broker, or its life has ended",
                [REFUSED_NO_PRIVILEGE] = "this service runs without root and has one identity only",
                [REFUSED_TOO_MANY] = "too many workers or tokens at the same time",
                [REFUSED_START_FAILED] = "the worker could not be started",
                [REFUSED_NO_COMMAND] = "no such command line is kept for that user",
        };
        static_assert_table(texts, REFUSAL_MAX);

        return reason >= 0 && reason < REFUSAL_MAX ? texts[reason] : NULL;
}
