/* ledger_private.h - what the parts of the ledger share. */
#pragma once

#include "base/fault.h"
#include "support/ledger.h"

/* The first one stays. */
void ledger_broken(struct ledger *, const char *fmt, ...) FG_PRINTF(2, 3);
