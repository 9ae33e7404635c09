/*
 * One question is one CheckAuthorization call under way. Its subject is the caller's name on the
 * bus: a name is never given twice, so it cannot become somebody else's before polkit looks. polkit
 * answers bitsd about others because the policy file names bitsd's account as the action's owner.
 *
 * A caller who does not want to be asked gets an answer at once. One who does (the message's flag)
 * may take his time in front of a password prompt, hence no limit; what a user can have waiting is
 * bounded instead.
 */
#include "bus/authorize.h"

#include "basic/log.h"
#include "basic/tally.h"
#include "core/policy.h"

#include <sys/queue.h>

#define ACTION "org.openbits.manage-all-jobs"

enum {
        ALLOW_USER_INTERACTION = 1u << 0,
};

#define QUICK_USEC (20 * UINT64_C(1000000))

typedef struct Question {
        Authorizer *authorizer;
        sd_bus_message *call;
        uid_t uid;
        AuthorizedCall then;
        void *userdata;
        sd_bus_slot *slot;
        LIST_ENTRY(Question) entries;
} Question;

struct Authorizer {
        sd_bus *bus;
        bool ask;
        bool told; /* that polkit cannot be asked */
        Tally asked;
        LIST_HEAD(, Question) questions;
};

int authorizer_new(sd_bus *bus, bool ask, Authorizer **ret)
{
        Authorizer *authorizer = calloc(1, sizeof(*authorizer));

        if (!authorizer)
                return -ENOMEM;
        authorizer->bus = bus;
        authorizer->ask = ask;
        LIST_INIT(&authorizer->questions);
        *ret = authorizer;
        return 0;
}

static void question_free(Question *question)
{
        LIST_REMOVE(question, entries);
        tally_down(&question->authorizer->asked, question->uid);
        sd_bus_slot_unref(question->slot);
        sd_bus_message_unref(question->call);
        free(question);
}

void authorizer_free(Authorizer *authorizer)
{
        Question *question;

        if (!authorizer)
                return;
        while ((question = LIST_FIRST(&authorizer->questions)))
                question_free(question);
        tally_done(&authorizer->asked);
        free(authorizer);
}

/* SEC-94: without an answer nobody is let in. */
static Verdict read_verdict(Authorizer *authorizer, sd_bus_message *answer)
{
        const sd_bus_error *error = sd_bus_message_get_error(answer);
        int allowed, challenge, r;

        if (error) {
                if (!authorizer->told)
                        log_notice(
                                "polkit cannot be asked, only root manages other users' jobs: %s",
                                error->message ? error->message : error->name);
                authorizer->told = true;
                return VERDICT_REFUSED;
        }
        r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");
        if (r > 0)
                r = sd_bus_message_read(answer, "bb", &allowed, &challenge);
        if (r <= 0) {
                log_warning("polkit's answer makes no sense");
                return VERDICT_REFUSED;
        }
        authorizer->told = false;
        if (allowed)
                return VERDICT_ALLOWED;
        return challenge ? VERDICT_CHALLENGE : VERDICT_REFUSED;
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *unused)
{
        Question *question = userdata;
        Verdict verdict = read_verdict(question->authorizer, answer);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_message_rewind(question->call, true);

        (void)unused;
        if (verdict == VERDICT_ALLOWED)
                log_info("polkit lets uid %u manage all jobs", (unsigned)question->uid);
        if (r >= 0)
                r = question->then(question->call, question->userdata, verdict, &error);
        if (r < 0)
                (void)sd_bus_reply_method_errno(question->call, r, &error);
        sd_bus_error_free(&error);
        question_free(question);
        return 0;
}

static int ask(Question *question)
{
        sd_bus *bus = question->authorizer->bus;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(question->call) > 0;
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                bus, &m, "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
                "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(question->call), ACTION, 0,
                                          interactive ? ALLOW_USER_INTERACTION : 0, "");
        if (r >= 0)
                r = sd_bus_call_async(bus, &question->slot, m, on_answer, question,
                                      interactive ? UINT64_MAX : QUICK_USEC);
        sd_bus_message_unref(m);
        return r;
}

/* SEC-90, SEC-93 */
int authorize(Authorizer *authorizer, sd_bus_message *m, uid_t uid, AuthorizedCall call,
              void *userdata, sd_bus_error *error)
{
        Question *question;
        int r = sd_bus_message_rewind(m, true);

        if (r < 0)
                return r;
        if (identity_is_administrator(uid))
                return call(m, userdata, VERDICT_ALLOWED, error);
        if (!authorizer->ask)
                return call(m, userdata, VERDICT_REFUSED, error);
        if (tally_get(&authorizer->asked, uid) >= policy_limit(LIMIT_QUESTIONS_PER_USER, uid))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many of your calls wait for an authorization.");
        question = calloc(1, sizeof(*question));
        if (!question || tally_up(&authorizer->asked, uid) < 0) {
                free(question);
                return -ENOMEM;
        }
        question->authorizer = authorizer;
        question->call = sd_bus_message_ref(m);
        question->uid = uid;
        question->then = call;
        question->userdata = userdata;
        LIST_INSERT_HEAD(&authorizer->questions, question, entries);
        r = ask(question);
        if (r < 0) {
                question_free(question);
                return r;
        }
        return 1;
}
