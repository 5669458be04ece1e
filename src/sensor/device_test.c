/* Sensors in a folder that looks like /sys. */
#include "sensor/device.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[64];

static void put(const char *path, const char *text)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *slash = whole + strlen(root); (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int begin(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/sensor_test.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static struct sensor_channel found[SENSOR_CHANNELS_MAX];

static double value(size_t i)
{
    double v;
    struct fault why;
    if (sensor_read(&io_system, &found[i], &v, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return v;
}

static void a_dht11_is_found(void **state)
{
    (void)state;
    put("bus/iio/devices/iio:device0/name", "dht11@4\n");
    put("bus/iio/devices/iio:device0/in_temp_input", "21000\n");
    put("bus/iio/devices/iio:device0/in_humidityrelative_input", "43000\n");
    put("bus/iio/devices/trigger0/name", "none\n");
    assert_int_equal(sensor_scan(&io_system, root, found, SENSOR_CHANNELS_MAX), 2);
    assert_string_equal(found[0].device, "dht11@4");
    assert_string_equal(found[0].name, "Humidity");
    assert_string_equal(found[1].name, "Temperature");
    assert_true(value(0) == 43.0 && value(1) == 21.0);
    assert_string_equal(sensor_units[found[1].quantity].code, "CEL");
}

static void raw_values_are_scaled(void **state)
{
    (void)state;
    put("bus/iio/devices/iio:device1/name", "ads1015");
    put("bus/iio/devices/iio:device1/in_voltage0_raw", "1000");
    put("bus/iio/devices/iio:device1/in_voltage1_raw", "1000");
    put("bus/iio/devices/iio:device1/in_voltage1_scale", "2");
    put("bus/iio/devices/iio:device1/in_voltage_scale", "3");
    put("bus/iio/devices/iio:device1/in_temp_raw", "500");
    put("bus/iio/devices/iio:device1/in_temp_offset", "-100");
    put("bus/iio/devices/iio:device1/in_temp_scale", "62.5");
    assert_int_equal(sensor_scan(&io_system, root, found, SENSOR_CHANNELS_MAX), 3);
    assert_true(value(0) == 25.0);
    assert_string_equal(found[1].name, "Voltage");
    assert_string_equal(found[2].name, "Voltage 2");
    assert_true(value(1) == 3.0 && value(2) == 2.0);
}

static void hwmon_has_labels(void **state)
{
    (void)state;
    put("class/hwmon/hwmon10/temp1_input", "45000");
    put("class/hwmon/hwmon2/name", "coretemp");
    put("class/hwmon/hwmon2/temp1_input", "51000");
    put("class/hwmon/hwmon2/temp1_label", "Core 0");
    put("class/hwmon/hwmon2/temp2_input", "52000");
    put("class/hwmon/hwmon2/temp2_label", "Core 0");
    put("class/hwmon/hwmon2/temp1_max", "90000");
    put("class/hwmon/hwmon2/fan1_input", "1200");
    put("class/hwmon/hwmon2/intrusion0_alarm", "0");
    assert_int_equal(sensor_scan(&io_system, root, found, SENSOR_CHANNELS_MAX), 4);
    assert_string_equal(found[0].name, "Speed");
    assert_string_equal(found[1].name, "Core 0");
    assert_string_equal(found[2].name, "Core 0 2");
    assert_string_equal(found[3].device, "hwmon10");
    assert_true(value(0) == 1200.0 && value(2) == 52.0 && value(3) == 45.0);
    assert_int_equal(sensor_scan(&io_system, root, found, 3), 3);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    struct fault why;
    double v;
    put("class/hwmon/hwmon0/temp1_input", "warm");
    assert_int_equal(sensor_scan(&io_system, root, found, SENSOR_CHANNELS_MAX), 1);
    assert_int_equal(sensor_read(&io_system, &found[0], &v, &why), CODE_MALFORMED);
    assert_non_null(strstr(why.text, "warm"));
    assert_int_equal(unlink(found[0].path), 0);
    assert_int_equal(sensor_read(&io_system, &found[0], &v, &why), CODE_NOTFOUND);
    assert_int_equal(mkdir(found[0].path, 0700), 0); /* reading a folder fails as a sensor's bus does */
    assert_int_equal(sensor_read(&io_system, &found[0], &v, &why), CODE_IO);
    assert_int_equal(sensor_scan(&io_system, "/nowhere/at/all", found, SENSOR_CHANNELS_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dht11_is_found, begin, end),
        cmocka_unit_test_setup_teardown(raw_values_are_scaled, begin, end),
        cmocka_unit_test_setup_teardown(hwmon_has_labels, begin, end),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
