/* vector.h - a list that grows: of a turn, of a search. One owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define VECTOR(type)                                                                                         \
    struct {                                                                                                 \
        type  *at;                                                                                           \
        size_t count, cap;                                                                                   \
    }
/* Room for one more; false when memory is out. */
#define VECTOR_ROOM(v) ((v).count < (v).cap || vector_grow((void **)&(v).at, &(v).cap, sizeof *(v).at))
bool vector_grow(void **at, size_t *cap, size_t size);
