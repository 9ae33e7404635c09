/*
 * What a job says about every request that is made for it, in whichever message: the fields that
 * NET_START, NET_UPLOAD and NET_FAREWELL have in common, and the job's secrets, each as a
 * descriptor that is opened for one message. Whatever kind a transfer is of, it keeps a NetTerms
 * for as long as it lives.
 */
#pragma once

#include "manager/certificate.h"
#include "store/store.h"

/* Designated initialisers, for the beginning of the message's structure. */
#define NET_TERMS(job, remote_name)                                                   \
        .url = (remote_name), .flags = net_terms_flags(job),                          \
        .security = (job)->http.security_flags & HTTP_CERTIFICATE_FLAGS,              \
        .proxy_usage = (uint32_t)(job)->proxy_usage, .proxy_list = (job)->proxy_list, \
        .proxy_bypass = (job)->proxy_bypass

typedef struct NetTermsAnswer {
        WorkResult result;
        BitsCode code;      /* 0: all is there */
        const char *detail; /* one sentence, NULL when there is nothing to say */
} NetTermsAnswer;

typedef struct NetTerms {
        const Job *job;
        Store *store;
        bool secret; /* they may be shown */
        CertificateReading *reading;
        int certificate, key; /* as they were read; negative: none */
        int opened[3];        /* for the message that is being sent */
        void (*on_ready)(void *userdata, const NetTermsAnswer *answer);
        void *userdata;
} NetTerms;

/* `secret`: the job's secrets may be shown where the request goes. */
void net_terms_init(NetTerms *t, Store *store, const Job *job, bool secret);
void net_terms_done(NetTerms *t);

/* Reads the client certificate: 1 when there is none to be read, 0 when on_ready follows, once and
   later; -ENOKEY when that is the helper's and there is none; -ENOMEM. The pool is the one of
   `worker`. */
int net_terms_read(NetTerms *t, Worker *worker,
                   void (*on_ready)(void *userdata, const NetTermsAnswer *answer), void *userdata);

/* NET_FLAG_… that come from the job. */
uint32_t net_terms_flags(const Job *job);
/* Opens the secrets for a message: NET_SECRET_… and the descriptors, which are borrowed until
   net_terms_sent(). */
uint32_t net_terms_open(NetTerms *t, FdList *ret);
void net_terms_sent(NetTerms *t);
