/* breakage.h - promises that test builds can break on purpose, to show that the tests which judge them see it. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

#ifdef FG_TEST
enum broker_breakage { BREAK_NOTHING, BREAK_EARLY_ACK /* does not wait for the disk */, BREAK_FORGET_PID /* not in the log */,
                       BREAK_FORGET_ORDINAL /* a job's words are published however often they come */ };
/* The n-th time from now that it could happen, it does, once; with n = 0 every time. For all brokers of the process. */
void broker_break(enum broker_breakage, unsigned n);
/* FIELDGATE_TEST_BREAK=early-ack, forget-pid or forget-ordinal: every time. */
void broker_break_by_name(const char *name);
bool broker_breaks(enum broker_breakage);
/* Who a CONNECT's user name stands for, one reference, before anybody else is asked; NULL: the others decide. */
extern struct principal *(*broker_test_principal)(struct bytes user);
#else
#define broker_break_by_name(name) ((void)0)
#define broker_breaks(what) false
#endif
