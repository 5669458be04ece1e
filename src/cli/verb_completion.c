/* verb_completion.c - `fieldgate completion SHELL`. */
#include "cli/completion.h"
#include "cli/verbs.h"

static const struct {
    const char *shell;
    void (*print)(FILE *, const struct verb *const *);
} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

static int run(struct verb_call *call)
{
    const char *asked = call->options->args.at[0];
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(asked, shells[i].shell) != 0)
            continue;
        shells[i].print(call->out, call->verbs);
        return STATUS_DONE;
    }
    return verb_usage(call, "the shell is bash, zsh or fish, got '%s'", asked);
}

const struct verb verb_completion = {
    .name = "completion",
    .group = "care",
    .summary = "the script with which a shell completes verbs and flags",
    .examples = {"source <(fieldgate completion bash)",
                 "fieldgate completion zsh > /usr/share/zsh/site-functions/_fieldgate",
                 "fieldgate completion fish | source"},
    .args = "bash|zsh|fish",
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
