/*
 * One question to a proxy configuration script, asked by a bits-pac of its own: that process gets
 * the script and the URL, may ask for the addresses of names, and says what the script says.
 */
#pragma once

#include "net/resolver.h"

typedef struct Evaluation Evaluation;

typedef enum EvaluationEnd {
        EVALUATION_ANSWERED, /* `text`: what the script says */
        EVALUATION_FAILED,   /* `text`: in what it failed */
        EVALUATION_BROKEN,   /* the process has ended: too much time, too much memory */
        EVALUATION_END_MAX,
        EVALUATION_END_INVALID = -1,
} EvaluationEnd;

/* The evaluation may be freed. `text` is borrowed. */
typedef void (*OnEvaluated)(void *userdata, EvaluationEnd end, const char *text);

typedef struct EvaluationTerms {
        sd_event *event;
        int64_t priority;
        int keeper; /* who starts bits-pac */
        Resolver *resolver;
        const char *script;
        const char *url, *host; /* as the script is to know them */
} EvaluationTerms;

/* Nothing of `terms` is kept but event, keeper and resolver. 0: `on_evaluated` follows from the
   loop, unless the evaluation is freed before. -errno. */
int evaluation_new(const EvaluationTerms *terms, OnEvaluated on_evaluated, void *userdata,
                   Evaluation **ret);
/* NULL is fine. */
void evaluation_free(Evaluation *evaluation);
DEFINE_CLEANUP(Evaluation, evaluation_free);
