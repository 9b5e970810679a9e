#include "cli/setup/request.h"

#include "cli/setup/answers.h"
#include "cli/setup/shared.h"
#include "deploy/tags.h"

#include <string.h>

enum {
    REGION,
    PROFILE,
    STACK,
    ZIP,
    IMAGE,
    MODEL,
    WABA,
    NO_LINK,
    TAKE_OVER,
    TAGS,
    ANSWERS,
    WRITE_ANSWERS,
    AWS,
    SKOPEO,
    YES,
    DRY_RUN,
    FIRST_SETTING
};

const cara_cli_option cara_setup_options[FIRST_SETTING + 1] = {
    [REGION] = CARA_FLAG_REGION,
    [PROFILE] = CARA_FLAG_PROFILE,
    [STACK] = CARA_FLAG_STACK,
    [ZIP] = {"zip", 0, "ZIP", "the package for Lambda"},
    [IMAGE] = {"image", 0, "TAR", "or the package as an image, an OCI archive"},
    [MODEL] = {"model", 'm', "MODEL", "a .cara; without it, the one inside the package"},
    [WABA] = {"waba", 0, "ID", "the WhatsApp account, where there are several"},
    [NO_LINK] = {"no-link", 0, NULL, "leave the WhatsApp account's event destination alone"},
    [TAKE_OVER] = {"take-over", 0, NULL, "send its events here though they go elsewhere now"},
    [TAGS] = {"tags", 0, "TAGS",
              "Key=Value,Key=Value for everything that is made; none takes them away"},
    [ANSWERS] = {"answers", 0, "JSON",
                 "read flags from a file, as {\"region\": \"us-east-1\", \"memory\": 3008};\n"
                 "those on the command line win"},
    [WRITE_ANSWERS] = {"write-answers", 0, "JSON",
                       "write what was answered and given into such a file"},
    [AWS] = CARA_FLAG_AWS,
    [SKOPEO] = {"skopeo", 0, "PATH", "which pushes images; without it the one in PATH"},
    [YES] = CARA_FLAG_YES,
    [DRY_RUN] = CARA_FLAG_DRY_RUN,
};

int cara_setup_setting_option(int i, cara_cli_option *option, cara_cli_value *value) {
    if (i >= CARA_N_SETTINGS)
        return -1;
    const cara_setting *setting = &cara_deploy_settings[i];
    *option = (cara_cli_option){setting->flag, 0, setting->takes, setting->help};
    *value = (cara_cli_value){setting->takes,
                              setting->choices               ? CARA_CLI_CHOICE
                              : setting->min != setting->max ? CARA_CLI_NUMBER
                                                             : CARA_CLI_TEXT,
                              setting->choices, NULL};
    return 0;
}

static int read_setting(cara_setup *s, const cara_cli_args *args, int id) {
    const cara_setting *setting = &cara_deploy_settings[id];
    /* As on a terminal: "none" takes a value away. */
    int none = strcmp(args->value, "none") == 0 && !setting->fallback[0];
    s->request.values[id] = none ? "" : args->value;
    s->named = 1;
    if (cara_setting_fits(setting, s->request.values[id]))
        return 0;
    char takes[200];
    cara_setting_takes(setting, takes, sizeof takes);
    return cara_cli_bad_value(args, takes);
}

static int read_tags(cara_setup *s, const char *value) {
    cara_error err = {.code = CARA_OK, .position = -1};
    s->named = 1;
    s->tags = value;
    json_decref(s->request.tags);
    s->request.tags = NULL;
    if (cara_tags_read(value, &s->request.tags, &err) == CARA_OK)
        return 0;
    cara_cli_fail_error(&err);
    return -1;
}

/* A package of the one kind replaces one of the other that an earlier source named. */
static void read_package(cara_setup *s, const cara_cli_args *args, int at, int from_file) {
    const char **own = at == ZIP ? &s->request.zip : &s->request.image;
    const char **other = at == ZIP ? &s->request.image : &s->request.zip;
    *own = args->value;
    if (!from_file && *other && cara_answers_own(s->file, *other))
        *other = NULL;
    s->named = 1;
}

static int read_flag(cara_setup *s, const cara_cli_args *args, int at, int from_file) {
    const char *const value = args->value;
    switch (at) {
    case REGION:
        s->cli.region = value;
        return 0;
    case PROFILE:
        s->cli.profile = value;
        return 0;
    case STACK:
        return cara_setup_stack(value, &s->request.stack);
    case ZIP:
    case IMAGE:
        read_package(s, args, at, from_file);
        return 0;
    case MODEL:
        s->request.model = value;
        break;
    case WABA:
        s->request.waba = value;
        break;
    case NO_LINK:
        s->request.no_link = 1;
        return 0;
    case TAKE_OVER:
        s->request.take_over = 1;
        return 0;
    case TAGS:
        return read_tags(s, value);
    case ANSWERS:
        s->answers_file = value;
        return 0;
    case WRITE_ANSWERS:
        s->write_file = value;
        return 0;
    case AWS:
        s->cli.program = value;
        return 0;
    case SKOPEO:
        s->request.skopeo = value;
        return 0;
    case YES:
        s->yes = 1;
        return 0;
    case DRY_RUN:
        s->dry = 1;
        return 0;
    default:
        return read_setting(s, args, at - FIRST_SETTING);
    }
    s->named = 1;
    return 0;
}

/* ---- the file of answers ---- */

/* 1 for what an answer may not be: it says how this one run goes. */
static int is_of_this_run(int at) {
    return at == ANSWERS || at == WRITE_ANSWERS || at == YES || at == DRY_RUN;
}

typedef struct reading {
    cara_setup *setup;
    const cara_cli_args *args;
} reading;

/* A member of the file, as if it were a flag. */
static int read_answer(void *ctx, const char *name, const char *value) {
    const reading *r = ctx;
    const char *file = r->setup->answers_file, *names[CARA_CLI_MAX_OPTIONS + 1] = {NULL};
    char shown[300];
    size_t n_names = 0;
    for (int i = 0; i < r->args->n_flags - 1; i++) { /* the last is --help */
        const cara_cli_option *option = &r->args->flags[i].option;
        if (is_of_this_run(i))
            continue;
        names[n_names++] = option->name;
        if (strcmp(option->name, name) != 0)
            continue;
        snprintf(shown, sizeof shown, "%.200s: \"%s\"", file, name);
        if (!value != !option->value) {
            cara_cli_fail(CARA_EXIT_USAGE, "%s takes %s", shown,
                          option->value ? "a text or a number" : "true or false");
            return -1;
        }
        cara_cli_args args = *r->args;
        args.flag = shown;
        args.value = value;
        return read_flag(r->setup, &args, i, 1);
    }
    const char *near = cara_cli_nearest(name, names);
    cara_cli_fail(CARA_EXIT_USAGE,
                  "%.200s: there is no \"%.60s\"%s%s%s; the names are those of flags", file, name,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return -1;
}

/* What is to be read first: the file is, though its flag may be the last. */
static int find_file(cara_setup *s, const cara_cli_command *command, int argc, char **argv,
                     cara_cli_args *args) {
    cara_cli_args_init(args, command, argc, argv);
    for (int at; (at = cara_cli_args_next(args)) != CARA_CLI_END;) {
        if (at == CARA_CLI_HELP)
            return CARA_EXIT_OK;
        if (at == CARA_CLI_BAD)
            return CARA_EXIT_USAGE;
        if (at == ANSWERS)
            s->answers_file = args->value;
    }
    if (args->operands < argc)
        return (int)cara_cli_fail(CARA_EXIT_USAGE, "setup takes flags only, got \"%s\"",
                                  argv[args->operands]);
    return CARA_CLI_END;
}

int cara_setup_read(cara_setup *s, const cara_cli_command *command, int argc, char **argv) {
    cara_cli_args args;
    cara_error err = {.code = CARA_OK, .position = -1};
    int status = find_file(s, command, argc, argv, &args);
    if (status != CARA_CLI_END)
        return status;
    if (s->answers_file) {
        reading r = {s, &args};
        if (cara_answers_read(s->answers_file, &s->file, &err))
            return (int)cara_cli_fail_error(&err);
        if (cara_answers_each(s->file, read_answer, &r))
            return CARA_EXIT_USAGE;
    }
    cara_cli_args_init(&args, command, argc, argv);
    for (int at; (at = cara_cli_args_next(&args)) != CARA_CLI_END;)
        if (at < 0 || read_flag(s, &args, at, 0))
            return CARA_EXIT_USAGE;
    return CARA_CLI_END;
}

void cara_setup_free(cara_setup *s) {
    if (!s)
        return;
    json_decref(s->request.tags);
    json_decref(s->file);
}

int cara_setup_each(const cara_setup *s, const cara_deploy *d, cara_setup_each_fn each, void *ctx) {
    const cara_deploy_request *r = &d->request;
    const struct {
        int at;
        const char *value;
    } texts[] = {{REGION, d->cli.region}, {PROFILE, s->cli.profile}, {STACK, r->stack},
                 {ZIP, r->zip},           {IMAGE, r->image},         {MODEL, r->model},
                 {WABA, r->waba},         {TAGS, s->tags},           {AWS, s->cli.program},
                 {SKOPEO, r->skopeo}};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].value)
            rc = each(ctx, cara_setup_options[texts[i].at].name, texts[i].value);
    if (!rc && r->no_link)
        rc = each(ctx, cara_setup_options[NO_LINK].name, NULL);
    if (!rc && r->take_over)
        rc = each(ctx, cara_setup_options[TAKE_OVER].name, NULL);
    for (int id = 0; !rc && id < CARA_N_SETTINGS; id++)
        if (r->values[id])
            rc =
                each(ctx, cara_deploy_settings[id].flag, r->values[id][0] ? r->values[id] : "none");
    return rc;
}
