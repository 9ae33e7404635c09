#include "basic/signals.h"

#include <signal.h>
#include <stddef.h>

void signals_reset(void)
{
        sigset_t none;

        for (int number = 1; number < _NSIG; number++)
                (void)signal(number, SIG_DFL); /* KILL and STOP refuse, rightly */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}
