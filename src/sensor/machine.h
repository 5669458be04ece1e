/* machine.h - a simulated machine with a DHT11-like sensor: temperature and humidity.
 *
 * The true values wander slowly around a working point (drift) and carry noise; the sensor rounds them to its steps (a
 * DHT11: 1 degree, 1 %). Every `disturb_every` readings one disturbance is planted, in turn: a hot spell, a humidity spike, a
 * humidity dip; `disturbed` tells which readings they are, so that a test knows the truth. The same seed gives the same
 * readings. A plain value; one owner; no allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine_config {
    uint64_t seed;
    double   temperature, humidity;           /* working point; 0 = 21 degrees Celsius, 43 %  */
    double   temperature_step, humidity_step; /* 0 = 1                                         */
    double   noise, drift;                    /* 0 = 0.3 and 0.05 (per reading, both quantities) */
    uint32_t disturb_every;                   /* readings between disturbances, 0 = none        */
    uint32_t disturb_first;                   /* the first one's number, 0 = disturb_every      */
};

enum machine_disturbance { MACHINE_CALM, MACHINE_HOT, MACHINE_HUMID, MACHINE_DRY };

struct machine {
    struct machine_config config;
    uint64_t              random;
    double                drift_t, drift_h;
    uint32_t              count, spell;
    enum machine_disturbance now, next;
};

struct reading {
    double                   temperature; /* degrees Celsius */
    double                   humidity;    /* % */
    enum machine_disturbance disturbed;
};

void machine_init(struct machine *, const struct machine_config *);
void machine_read(struct machine *, struct reading *);
/* {"temperature":21,"humidity":43}, with as many decimals as the steps need. Returns its length. */
size_t reading_json(const struct machine *, const struct reading *, char *out, size_t cap);
