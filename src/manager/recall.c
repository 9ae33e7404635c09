/*
 * A token that the broker does not know any more is let go; the job will say what it needs when it
 * needs it. So is one for whose description the broker takes too long: jobs without helpers shall
 * not wait for ever.
 */
#include "manager/recall.h"

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/log.h"

#include <fcntl.h>
#include <time.h>

#define PATIENCE_USEC (10 * UINT64_C(1000000))

typedef struct Recall {
        Keeper *keeper;
        BrokerLink *broker;
        JobTable *jobs;
        LIST_HEAD(, Question) questions;
} Recall;

typedef struct Question {
        LIST_ENTRY(Question) entries;
        Recall *recall;
        Job *job;
        int fd;
        uint64_t ticket;
} Question;

static void question_free(Question *question)
{
        LIST_REMOVE(question, entries);
        broker_cancel(question->recall->broker, question->ticket);
        fd_close(question->fd);
        free(question);
}

Token *token_from_description(const BrokerToken *described, int *fd)
{
        _cleanup_(token_freep) Token *token = calloc(1, sizeof(*token));

        if (!token)
                return NULL;
        token->fd = -EBADF;
        token->cookie = described->cookie;
        token->uid = (uid_t)described->uid;
        token->gid = (gid_t)described->gid;
        token->signed_on = described->signed_on != 0;
        token->session = strdup(described->session);
        if (!token->session)
                return NULL;
        token->fd = TAKE_FD(*fd); /* TOK-53, TOK-83: a copy of our own */
        return TAKE_PTR(token);
}

static void on_described(void *userdata, BrokerAnswer *answer)
{
        Question *question = userdata;
        Job *job = question->job;

        question->ticket = 0;
        if (!answer->refused)
                job->token = token_from_description(&answer->token, &question->fd);
        if (job->token)
                log_info("job %s has its helper token again", job->id);
        else {
                log_notice("job %s has lost its helper token: the broker does not know it",
                           job->id);
                keeper_set(question->recall->keeper, job->id, NULL);
        }
        question_free(question);
}

/* OPS-51 */
static void on_token(void *userdata, const char *job_id, int fd, uint64_t cookie)
{
        Recall *recall = userdata;
        Job *job = job_table_find(recall->jobs, job_id);
        Question *question = job && !job->token ? calloc(1, sizeof(*question)) : NULL;

        (void)cookie;
        if (!question) {
                keeper_set(recall->keeper, job_id, NULL);
                return;
        }
        question->recall = recall;
        question->job = job;
        question->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        LIST_INSERT_HEAD(&recall->questions, question, entries);
        if (question->fd >= 0)
                question->ticket =
                        broker_describe_token(recall->broker, question->fd, on_described, question);
        if (question->ticket == 0)
                question_free(question);
}

int recall_tokens(sd_event *event, Keeper *keeper, BrokerLink *broker, JobTable *jobs)
{
        Recall recall = { .keeper = keeper, .broker = broker, .jobs = jobs };
        uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        int r = 0;

        LIST_INIT(&recall.questions);
        keeper_recall(keeper, on_token, &recall);
        while (r >= 0 && !LIST_EMPTY(&recall.questions)) {
                uint64_t now = clock_usec(CLOCK_MONOTONIC);

                if (now >= deadline)
                        break;
                r = sd_event_run(event, deadline - now);
                if (sd_event_get_state(event) == SD_EVENT_FINISHED)
                        r = -ECANCELED;
        }
        while (!LIST_EMPTY(&recall.questions)) {
                Question *question = LIST_FIRST(&recall.questions);

                if (r >= 0) {
                        log_warning("job %s has lost its helper token: the broker does not answer",
                                    question->job->id);
                        keeper_set(keeper, question->job->id, NULL);
                }
                question_free(question);
        }
        return r < 0 ? r : 0;
}
