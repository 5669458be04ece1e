/* hash.h - hashes for tables and for partitions.
 *
 * hash_keyed is SipHash-2-4 with a key drawn at start: peers choose names, so they must not be able to
 * choose collisions. hash_partition is fixed for ever (FNV-1a, 64 bit, then a mix): its name is written
 * in format.json, because the partition of a device must not change with the program. Pure, any thread.
 */
#pragma once

#include "base/bytes.h"

#define HASH_PARTITION_NAME "fnv1a64-mix13"

void     hash_seed(const uint8_t key[16]); /* once, before the first table; default key is zero (tests) */
uint64_t hash_keyed(struct bytes b);
uint64_t hash_partition(struct bytes b);
