/* crc32c.h - CRC-32C (Castagnoli, reflected, polynomial 0x1EDC6F41), the checksum of every frame on disk.
 * crc32c(0, "123456789", 9) == 0xE3069283. Chain by passing the previous value. Any thread. Uses the
 * processor's instruction where it has one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *at, size_t n);
/* The table form, so that a test can compare the two. */
uint32_t crc32c_portable(uint32_t crc, const void *at, size_t n);
