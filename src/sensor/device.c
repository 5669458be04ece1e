#include "sensor/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
const struct sensor_unit sensor_units[SENSOR_QUANTITIES] = {
    [SENSOR_TEMPERATURE] = { "temperature", "\xc2\xb0""C", "degree Celsius", "CEL", -40, 125 },
    [SENSOR_HUMIDITY]    = { "humidity", "%", "percent", "P1", 0, 100 },
    [SENSOR_PRESSURE]    = { "pressure", "hPa", "hectopascal", "A97", 300, 1100 },
    [SENSOR_LIGHT]       = { "light", "lx", "lux", "LUX", 0, 100000 },
    [SENSOR_VOLTAGE]     = { "voltage", "V", "volt", "VLT", 0, 60 },
    [SENSOR_CURRENT]     = { "current", "A", "ampere", "AMP", 0, 100 },
    [SENSOR_POWER]       = { "power", "W", "watt", "WTT", 0, 10000 },
    [SENSOR_SPEED]       = { "speed", "r/min", "revolutions per minute", "RPM", 0, 20000 },
};

/* How files begin, and what their number times `scale` is. */
struct kind {
    const char *prefix;
    enum sensor_quantity quantity;
    double scale;
};
static const struct kind iio_kinds[] = {
    { "in_temp", SENSOR_TEMPERATURE, 0.001 },
    { "in_humidityrelative", SENSOR_HUMIDITY, 0.001 },
    { "in_pressure", SENSOR_PRESSURE, 10 }, /* kilopascal */
    { "in_illuminance", SENSOR_LIGHT, 1 },
    { "in_voltage", SENSOR_VOLTAGE, 0.001 },
    { "in_current", SENSOR_CURRENT, 0.001 },
    { "in_power", SENSOR_POWER, 0.001 },
    { NULL, 0, 0 },
};
static const struct kind hwmon_kinds[] = {
    { "temp", SENSOR_TEMPERATURE, 0.001 },
    { "humidity", SENSOR_HUMIDITY, 0.001 },
    { "in", SENSOR_VOLTAGE, 0.001 },
    { "curr", SENSOR_CURRENT, 0.001 },
    { "power", SENSOR_POWER, 0.000001 },
    { "fan", SENSOR_SPEED, 1 },
    { NULL, 0, 0 },
};
/* clang-format on */

struct names {
    char   list[128][SENSOR_NAME];
    size_t count;
};

static void note(void *ctx, const char *name)
{
    struct names *n = ctx;
    if (n->count < sizeof n->list / sizeof *n->list && strlen(name) < SENSOR_NAME)
        snprintf(n->list[n->count++], SENSOR_NAME, "%s", name);
}

/* "hwmon10" behind "hwmon9". */
static int in_order(const void *a, const void *b)
{
    return strverscmp(a, b);
}

static void list_sorted(const struct io *io, const char *path, struct names *n)
{
    n->count = 0;
    if (io->list(io->self, path, note, n) < 0)
        n->count = 0;
    qsort(n->list, n->count, SENSOR_NAME, in_order);
}

/* The first line of a small file, printable; false: not there, or empty. */
static bool read_line(const struct io *io, const char *dir, const char *name, char *out, size_t cap)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!io_read_text(io, path, out, cap))
        return false;
    out[strcspn(out, "\r\n")] = 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '/' || *c == 0x7f)
            *c = '_';
    return out[0] && utf8_valid(bytes_str(out), false);
}

static double read_number(const struct io *io, const char *dir, const char *name, double otherwise)
{
    char text[64];
    return read_line(io, dir, name, text, sizeof text) ? strtod(text, NULL) : otherwise;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

/* The longest prefix wins: in_temp before in. What follows it is a number, or "_". */
static const struct kind *kind_of(const struct kind *kinds, const char *file)
{
    for (const struct kind *k = kinds; k->prefix; k++) {
        size_t n = strlen(k->prefix);
        if (!strncmp(file, k->prefix, n) && (file[n] == '_' || (file[n] >= '0' && file[n] <= '9')))
            return k;
    }
    return NULL;
}

struct scan {
    const struct io *io;
    struct sensor_channel *out;
    size_t max, count, device; /* the first channel of the device at hand */
};

static bool taken(const struct scan *s, const char *name)
{
    for (size_t i = s->device; i < s->count; i++)
        if (!strcmp(s->out[i].name, name))
            return true;
    return false;
}

/* The label, or the quantity; with a number when there is one of that name already. */
static void give_name(const struct scan *s, struct sensor_channel *c, const char *label)
{
    char base[SENSOR_NAME - 8];
    snprintf(base, sizeof base, "%s", label[0] ? label : sensor_units[c->quantity].quantity);
    if (!label[0])
        base[0] = (char)(base[0] - 'a' + 'A');
    snprintf(c->name, sizeof c->name, "%s", base);
    for (unsigned i = 2; taken(s, c->name) && i < 1000; i++)
        snprintf(c->name, sizeof c->name, "%s %u", base, i);
}

static void add(struct scan *s, const char *dir, const char *device, const char *file, const struct kind *kind,
                const char *label, double scale, double offset)
{
    if (s->count == s->max)
        return;
    struct sensor_channel *c = &s->out[s->count];
    *c = (struct sensor_channel){ .quantity = kind->quantity, .scale = kind->scale * scale, .offset = offset };
    snprintf(c->device, sizeof c->device, "%s", device);
    if ((size_t)snprintf(c->path, sizeof c->path, "%s/%s", dir, file) >= sizeof c->path)
        return;
    give_name(s, c, label);
    s->count++;
}

static void scan_hwmon(struct scan *s, const char *dir, const char *device, const struct names *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *file = files->list[i];
        const struct kind *kind = ends_with(file, "_input") ? kind_of(hwmon_kinds, file) : NULL;
        if (!kind)
            continue;
        char label_file[SENSOR_NAME + 8], label[SENSOR_NAME];
        snprintf(label_file, sizeof label_file, "%.*s_label", (int)(strlen(file) - strlen("_input")), file);
        if (!read_line(s->io, dir, label_file, label, sizeof label))
            label[0] = 0;
        add(s, dir, device, file, kind, label, 1, 0);
    }
}

static void scan_iio(struct scan *s, const char *dir, const char *device, const struct names *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *file = files->list[i];
        bool raw = ends_with(file, "_raw");
        const struct kind *kind = raw || ends_with(file, "_input") ? kind_of(iio_kinds, file) : NULL;
        if (!kind)
            continue;
        int stem = (int)(strlen(file) - strlen(raw ? "_raw" : "_input"));
        char other[SENSOR_NAME + 16], label[SENSOR_NAME];
        snprintf(other, sizeof other, "%.*s_label", stem, file);
        if (!read_line(s->io, dir, other, label, sizeof label))
            label[0] = 0;
        if (!raw) {
            add(s, dir, device, file, kind, label, 1, 0);
            continue;
        }
        snprintf(other, sizeof other, "%.*s_input", stem, file);
        char path[320];
        struct io_stat st;
        snprintf(path, sizeof path, "%s/%s", dir, other);
        if (s->io->stat(s->io->self, path, &st) == 0)
            continue; /* the driver does the arithmetic already */
        /* Of its own, or shared by all channels of the kind: in_voltage_scale. */
        snprintf(other, sizeof other, "%s_scale", kind->prefix);
        double scale = read_number(s->io, dir, other, 1);
        snprintf(other, sizeof other, "%.*s_scale", stem, file);
        scale = read_number(s->io, dir, other, scale);
        snprintf(other, sizeof other, "%.*s_offset", stem, file);
        add(s, dir, device, file, kind, label, scale, read_number(s->io, dir, other, 0));
    }
}

static void scan_all(struct scan *s, const char *root, const char *prefix,
                     void (*one)(struct scan *, const char *, const char *, const struct names *))
{
    struct names devices, files;
    list_sorted(s->io, root, &devices);
    for (size_t i = 0; i < devices.count; i++) {
        char dir[256], name[SENSOR_NAME];
        if (strncmp(devices.list[i], prefix, strlen(prefix)) != 0)
            continue;
        snprintf(dir, sizeof dir, "%s/%s", root, devices.list[i]);
        if (!read_line(s->io, dir, "name", name, sizeof name))
            snprintf(name, sizeof name, "%s", devices.list[i]);
        list_sorted(s->io, dir, &files);
        s->device = s->count;
        one(s, dir, name, &files);
    }
}

size_t sensor_scan(const struct io *io, const char *sys, struct sensor_channel *out, size_t max)
{
    struct scan s = { .io = io, .out = out, .max = max };
    char root[160];
    snprintf(root, sizeof root, "%s/bus/iio/devices", sys);
    scan_all(&s, root, "iio:device", scan_iio);
    snprintf(root, sizeof root, "%s/class/hwmon", sys);
    scan_all(&s, root, "hwmon", scan_hwmon);
    return s.count;
}

enum code sensor_read(const struct io *io, const struct sensor_channel *c, double *out, struct fault *why)
{
    char text[64] = "";
    int file = io->open(io->self, c->path, IO_READ);
    int64_t n = file < 0 ? file : io->pread(io->self, file, text, sizeof text - 1, 0);
    if (file >= 0)
        io->close(io->self, file);
    if (n == -ENOENT || n == -ENODEV || n == -ENXIO)
        return FAIL_SYS(why, CODE_NOTFOUND, (int)-n, "sensor %s %s is gone (%s)", c->device, c->name, c->path);
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "sensor %s %s did not answer (%s)", c->device, c->name, c->path);
    char *end;
    text[n] = 0;
    double v = strtod(text, &end);
    if (end == text || (*end && *end != '\n') || !(v > -1e300 && v < 1e300))
        return FAIL(why, CODE_MALFORMED, 0, "sensor %s %s says '%.20s', which is no number (%s)", c->device, c->name, text, c->path);
    *out = (v + c->offset) * c->scale;
    return CODE_OK;
}
