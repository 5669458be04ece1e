/* breakage.c - promises that a test build can break on purpose, to show that the tests which judge them see it. */
#include "broker/private.h"

#ifdef FG_TEST
static _Atomic int breakage;
static _Atomic unsigned breaks_in;
static _Atomic bool breaks_always;

void broker_break(enum broker_breakage what, unsigned n)
{
    atomic_store(&breakage, (int)what);
    atomic_store(&breaks_in, n);
    atomic_store(&breaks_always, n == 0);
}

void broker_break_by_name(const char *name)
{
    if (name && strcmp(name, "early-ack") == 0)
        broker_break(BREAK_EARLY_ACK, 0);
    else if (name && strcmp(name, "forget-pid") == 0)
        broker_break(BREAK_FORGET_PID, 0);
    else if (name && strcmp(name, "forget-ordinal") == 0)
        broker_break(BREAK_FORGET_ORDINAL, 0);
}

bool broker_breaks(enum broker_breakage what)
{
    if (atomic_load_explicit(&breakage, memory_order_relaxed) != (int)what)
        return false;
    return atomic_load(&breaks_always) || atomic_fetch_sub(&breaks_in, 1) == 1;
}
#endif
