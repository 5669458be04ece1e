#include "mirror/units.h"

static const struct {
    const char *code, *symbol, *name;
} units[] = {
    { "CEL", "°C", "degree Celsius" },          { "FAH", "°F", "degree Fahrenheit" },       { "KEL", "K", "kelvin" },
    { "P1", "%", "percent" },                   { "C62", "1", "one" },                      { "BAR", "bar", "bar" },
    { "MBR", "mbar", "millibar" },              { "PAL", "Pa", "pascal" },                  { "KPA", "kPa", "kilopascal" },
    { "A97", "hPa", "hectopascal" },            { "MPA", "MPa", "megapascal" },             { "PS", "psi", "pound-force per square inch" },
    { "MTR", "m", "metre" },                    { "CMT", "cm", "centimetre" },              { "MMT", "mm", "millimetre" },
    { "4H", "µm", "micrometre" },               { "KMT", "km", "kilometre" },               { "INH", "in", "inch" },
    { "MTK", "m²", "square metre" },            { "MTQ", "m³", "cubic metre" },             { "LTR", "l", "litre" },
    { "MLT", "ml", "millilitre" },              { "KGM", "kg", "kilogram" },                { "GRM", "g", "gram" },
    { "TNE", "t", "tonne" },                    { "SEC", "s", "second" },                   { "C26", "ms", "millisecond" },
    { "MIN", "min", "minute" },                 { "HUR", "h", "hour" },                     { "DAY", "d", "day" },
    { "HTZ", "Hz", "hertz" },                   { "KHZ", "kHz", "kilohertz" },              { "MHZ", "MHz", "megahertz" },
    { "RPM", "r/min", "revolutions per minute" }, { "MTS", "m/s", "metre per second" },     { "2X", "m/min", "metre per minute" },
    { "KMH", "km/h", "kilometre per hour" },    { "MSK", "m/s²", "metre per second squared" }, { "C16", "mm/s", "millimetre per second" },
    { "NEW", "N", "newton" },                   { "B47", "kN", "kilonewton" },              { "NU", "N·m", "newton metre" },
    { "JOU", "J", "joule" },                    { "KJO", "kJ", "kilojoule" },               { "WTT", "W", "watt" },
    { "KWT", "kW", "kilowatt" },                { "MAW", "MW", "megawatt" },                { "WHR", "W·h", "watt hour" },
    { "KWH", "kWh", "kilowatt hour" },          { "MWH", "MWh", "megawatt hour" },          { "VLT", "V", "volt" },
    { "2Z", "mV", "millivolt" },                { "KVT", "kV", "kilovolt" },                { "AMP", "A", "ampere" },
    { "4K", "mA", "milliampere" },              { "OHM", "Ω", "ohm" },                      { "D46", "V·A", "volt ampere" },
    { "KVA", "kVA", "kilovolt ampere" },        { "KVR", "kvar", "kilovar" },               { "DD", "°", "degree (angle)" },
    { "C81", "rad", "radian" },                 { "LUX", "lx", "lux" },                     { "2N", "dB", "decibel" },
    { "59", "ppm", "parts per million" },       { "MQH", "m³/h", "cubic metre per hour" },  { "L2", "l/min", "litre per minute" },
    { "LD", "l/d", "litre per day" },           { "KGS", "kg/s", "kilogram per second" },   { "E93", "kg/h", "kilogram per hour" },
    { "H87", "piece", "piece" },                { "Q30", "pH", "pH (potential of hydrogen)" }, { "D10", "S/m", "siemens per metre" },
    { "GM", "g/m²", "gram per square metre" },  { "KMQ", "kg/m³", "kilogram per cubic metre" },
};

static int32_t number_of(const char *code)
{
    int32_t n = 0;
    for (; *code; code++)
        n = n << 8 | (uint8_t)*code;
    return n;
}

void mirror_unit(struct bytes text, struct ua_eu_information *out)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes_is(text, units[i].code) || bytes_is(text, units[i].symbol)) {
            *out = (struct ua_eu_information){ .namespace_uri = BYTES_LIT("http://www.opcfoundation.org/UA/units/un/cefact"),
                                               .unit_id = number_of(units[i].code),
                                               .display_name = { BYTES_NONE, bytes_str(units[i].symbol) },
                                               .description = { BYTES_NONE, bytes_str(units[i].name) } };
            return;
        }
    *out = (struct ua_eu_information){ .namespace_uri = BYTES_LIT("urn:fieldgate:units"),
                                       .unit_id = -1,
                                       .display_name = { BYTES_NONE, text },
                                       .description = { BYTES_NONE, text } };
}
