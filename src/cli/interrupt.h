/* interrupt.h - Ctrl-C and SIGTERM, counted, for verbs that end in order when asked. Thread: any may look. */
#pragma once

#include <signal.h>

/* How often: 1 asks for an end in order, 2 for one at once. */
extern volatile sig_atomic_t interrupts;
void interrupt_watch(void); /* from now on */
