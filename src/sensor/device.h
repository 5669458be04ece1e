/* device.h - the sensors of this machine, as Linux shows them: IIO (a DHT11, a BME280, an ADC) and hwmon (temperatures, fans,
 * voltages).
 *
 *   SYS/bus/iio/devices/iio:device0/name            dht11@4
 *                                   in_temp_input   21000          milli degrees; or in_temp_raw, _offset, _scale
 *                                   in_humidityrelative_input      milli percent
 *   SYS/class/hwmon/hwmon2/name                     coretemp
 *                          temp1_input, temp1_label 45000, "Core 0"
 *
 * SYS is /sys; a test gives another folder. Reading asks the hardware: a DHT11 takes tens of milliseconds, and every tenth time or
 * so it fails (-EIO, -ETIMEDOUT), so it is done off the loop and tried again. Thread: any; nothing is kept.
 */
#pragma once

#include "base/io.h"

enum { SENSOR_CHANNELS_MAX = 64, SENSOR_NAME = 64 };

/* What is measured; says in which unit sensor_read gives it. */
enum sensor_quantity {
    SENSOR_TEMPERATURE, /* degrees Celsius */
    SENSOR_HUMIDITY,    /* percent         */
    SENSOR_PRESSURE,    /* hPa             */
    SENSOR_LIGHT,       /* lux             */
    SENSOR_VOLTAGE,     /* V               */
    SENSOR_CURRENT,     /* A               */
    SENSOR_POWER,       /* W               */
    SENSOR_SPEED,       /* rotations per minute */
    SENSOR_QUANTITIES
};
struct sensor_unit {
    const char *quantity; /* "temperature"                                       */
    const char *symbol;   /* "\u00b0C"                                           */
    const char *name;     /* "degree Celsius"                                    */
    char        code[4];  /* its common code of UN/ECE Recommendation 20: "CEL"  */
    double      low, high; /* what such sensors measure at most, for charts       */
};
extern const struct sensor_unit sensor_units[SENSOR_QUANTITIES];

struct sensor_channel {
    char device[SENSOR_NAME]; /* "dht11@4"; "hwmon2" when it has no name        */
    char name[SENSOR_NAME];   /* "Temperature", "Core 0", "Temperature 2"; one of its kind in the device */
    enum sensor_quantity quantity;
    char   path[160];         /* of the file that is read */
    double scale, offset;     /* value = (file + offset) * scale */
};
/* All there are, in the order of their devices; 0: none. At most `max`. */
size_t sensor_scan(const struct io *, const char *sys, struct sensor_channel *out, size_t max);
/* CODE_IO: it did not answer (worth another try); CODE_NOTFOUND: it is gone; CODE_MALFORMED: it says no number. */
FG_CHECK enum code sensor_read(const struct io *, const struct sensor_channel *, double *out, struct fault *why);
