/* mem.h - the one door to the heap.
 *
 * Everything Fieldgate allocates itself comes through here, so that a test can refuse the
 * n-th allocation and compare what is in use with the budgets. Thread-safe. Failure is NULL
 * and every caller turns it into CODE_NOMEM. Sizes that come from the wire are checked
 * against a limit before they get here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), warn_unused_result));
void *mem_realloc(void *old, size_t size) __attribute__((alloc_size(2), warn_unused_result));
void  mem_free(void *p);
/* A NUL-terminated copy of `len` bytes. */
char *mem_strndup(const void *at, size_t len) __attribute__((malloc, warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));

/* Test door (any build): the n-th allocation from now (1 = the next) by any thread returns
 * NULL, later ones succeed again; 0 turns it off. mem_fail_fired tells whether it happened. */
void mem_fail_at(uint64_t n);
int  mem_fail_fired(void);
/* Bytes handed out and not freed, by the heap's own accounting (usable size). */
uint64_t mem_in_use(void);
/* Bytes the heap has from the system and nobody uses. */
uint64_t mem_idle(void);
/* Gives what lies idle back to the system. Takes milliseconds, in which other threads may wait for memory. */
void mem_give_back(void);
