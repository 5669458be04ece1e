#include "cli/verbs.h"

#include <stdio.h>

struct version {
    enum output_format format;
};

static const struct flag flags[] = { FLAG_OUTPUT(struct version, format), FLAGS_END };

static int run(struct verb_call *call)
{
    struct version *v = call->values;
    static const struct column columns[] = { { "NAME", "name", COLUMN_TEXT },
                                             { "VERSION", "version", COLUMN_TEXT } };
    if (v->format == OUTPUT_TABLE) {
        (void)fprintf(call->out, "fieldgate %s\n", FG_VERSION);
        return STATUS_DONE;
    }
    struct output o;
    output_open(&o, call->out, v->format, "programs", columns, 2);
    o.err = call->err;
    output_text(&o, BYTES_LIT("fieldgate"));
    output_text(&o, bytes_str(FG_VERSION));
    return output_close(&o);
}

const struct verb verb_version = {
    .name = "version",
    .group = "care",
    .summary = "the version of this program",
    .examples = { "fieldgate version", "fieldgate --version", "fieldgate version -o json" },
    .flags = flags,
    .values_size = sizeof(struct version),
    .run = run,
};
