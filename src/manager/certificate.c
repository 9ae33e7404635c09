#include "manager/certificate.h"

#include "basic/closer.h"

struct CertificateReading {
        Worker *worker;
        char *certificate_name, *key_name;
        int certificate, key;
        CertificateCallback callback;
        void *userdata;
};

void certificate_reading_free(CertificateReading *reading)
{
        if (!reading)
                return;
        worker_release(reading->worker);
        closer_close(reading->certificate);
        closer_close(reading->key);
        free(reading->certificate_name);
        free(reading->key_name);
        free(reading);
}

static void tell(CertificateReading *reading, WorkResult result, int error, const char *name)
{
        CertificateAnswer answer = { .result = result,
                                     .error = error,
                                     .name = name,
                                     .certificate = TAKE_FD(reading->certificate),
                                     .key = TAKE_FD(reading->key) };

        reading->callback(reading->userdata, &answer);
        closer_close(answer.certificate);
        closer_close(answer.key);
}

static int ask(CertificateReading *reading, const char *name, FileCallback callback)
{
        return worker_read(reading->worker,
                           &(FileRead){ .local_name = name, .size_max = CERTIFICATE_BYTES_MAX },
                           callback, reading);
}

static bool take(FileAnswer *answer, int *ret)
{
        if (answer->result != WORK_DONE || answer->error != 0)
                return false;
        *ret = TAKE_FD(answer->opened.file.items[0]);
        return true;
}

static void on_key(void *userdata, FileAnswer *answer)
{
        CertificateReading *reading = userdata;

        (void)take(answer, &reading->key);
        tell(reading, answer->result, answer->error, reading->key_name);
}

static void on_certificate(void *userdata, FileAnswer *answer)
{
        CertificateReading *reading = userdata;

        if (!take(answer, &reading->certificate) || !*reading->key_name)
                tell(reading, answer->result, answer->error, reading->certificate_name);
        else if (ask(reading, reading->key_name, on_key) < 0)
                tell(reading, WORK_NOT_STARTED, 0, reading->key_name);
}

/* SEC-150 */
int certificate_read(WorkerPool *pool, const WorkerIdentity *identity, const char *certificate,
                     const char *key, CertificateCallback callback, void *userdata,
                     CertificateReading **ret)
{
        _cleanup_(certificate_reading_freep) CertificateReading *reading =
                calloc(1, sizeof(*reading));
        int r;

        if (!reading)
                return -ENOMEM;
        *reading = (CertificateReading){ .certificate_name = strdup(certificate),
                                         .key_name = strdup(key),
                                         .certificate = -EBADF,
                                         .key = -EBADF,
                                         .callback = callback,
                                         .userdata = userdata };
        reading->worker = worker_acquire(pool, WORKER_FILE, identity);
        if (!reading->certificate_name || !reading->key_name || !reading->worker)
                return -ENOMEM;
        r = ask(reading, reading->certificate_name, on_certificate);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(reading);
        return 0;
}

/* SEC-158 */
BitsCode certificate_code(int error, bool to_a_job)
{
        switch (error) {
        case EACCES:
        case EPERM:
                return to_a_job ? BITS_E_NO_PRIVATE_KEY : BITS_E_ACCESS_DENIED;
        case ENOENT:
        case ENOTDIR:
                return BITS_E_FILE_NOT_FOUND;
        }
        return code_from_errno(error);
}
