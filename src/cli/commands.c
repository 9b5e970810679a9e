/* All commands, and those that say something about the others: help, version, completion. */
#include "cli/commands.h"

#include "cli/cli.h"
#include "cli/describe/describe.h"
#include "cli/describe/each.h"

#include <caracola/version.h>
#include <string.h>
#include <unistd.h>

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);
static int cmd_completion(int argc, char **argv);

static const cara_cli_status help_statuses[] = {
    {CARA_EXIT_OK, "the help was shown"},
    {CARA_EXIT_USAGE, "there is no such command"},
    {CARA_EXIT_FILES, "standard output could not be written"},
    {0, NULL},
};

static const cara_cli_command help_command = {
    .name = "help",
    .summary = "show the help of a command",
    .run = cmd_help,
    .operands = "[COMMAND]",
    .details =
        "Without COMMAND, the list of commands. `caracola help model convert` is the same as\n"
        "`caracola model convert --help`.",
    .statuses = help_statuses,
};

static const cara_cli_status version_statuses[] = {
    {CARA_EXIT_OK, "the version was shown"},
    {CARA_EXIT_USAGE, "an operand or flag that does not exist"},
    {CARA_EXIT_FILES, "standard output could not be written"},
    {0, NULL},
};

static const cara_cli_command version_command = {
    .name = "version",
    .summary = "show the version",
    .run = cmd_version,
    .statuses = version_statuses,
};

static const cara_cli_value completion_values[] = {
    {"SHELL", CARA_CLI_CHOICE, "bash zsh fish", NULL},
    {NULL, CARA_CLI_TEXT, NULL, NULL},
};

static const cara_cli_status completion_statuses[] = {
    {CARA_EXIT_OK, "the script was printed"},
    {CARA_EXIT_USAGE, "there is no script for such a shell"},
    {CARA_EXIT_FILES, "standard output could not be written"},
    {0, NULL},
};

static const cara_cli_command completion_command = {
    .name = "completion",
    .summary = "print a shell's completion of these commands",
    .run = cmd_completion,
    .operands = "SHELL",
    .details =
        "SHELL is bash, zsh or fish. `make install` and the .deb put all three where the shells\n"
        "look for them. Without those, for this shell alone:\n"
        "\n"
        "  bash  source <(caracola completion bash)\n"
        "  zsh   source <(caracola completion zsh)     (after compinit)\n"
        "  fish  caracola completion fish | source",
    .values = completion_values,
    .statuses = completion_statuses,
};

const cara_cli_command *const cara_cli_commands[] = {
    &cara_command_transcribe, &cara_command_handle,   &cara_command_worker,
    &cara_command_setup,      &cara_command_teardown, &cara_command_model,
    &cara_command_bench,      &cara_command_doctor,   &help_command,
    &version_command,         &completion_command,    NULL};

static void usage(FILE *out) {
    fputs("caracola: WhatsApp voice notes to text, on your own machine.\n"
          "\n"
          "Usage: caracola COMMAND [FLAG]... [OPERAND]...\n"
          "\n"
          "Commands:\n",
          out);
    for (const cara_cli_command *const *c = cara_cli_commands; *c; c++)
        fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
    fputs("\n`caracola COMMAND --help` says what a command takes.\n\nExit status:\n", out);
    for (const cara_cli_status *status = cara_cli_statuses; status->meaning; status++)
        fprintf(out, "  %-4d %s\n", status->status, status->meaning);
}

static const cara_cli_command *find(const cara_cli_command *const *commands, const char *name) {
    for (; *commands; commands++)
        if (strcmp(cara_each_own_name(*commands), name) == 0)
            return *commands;
    return NULL;
}

/* Names of other programs' commands. */
static const cara_cli_advice advice[] = {
    {"run", "main", "`caracola transcribe FILE` turns speech into text"},
    {"translate", NULL, "`caracola transcribe --task translate FILE` translates into English"},
    {"whisper", "whisper-cli", "`caracola transcribe FILE` turns speech into text"},
    {"info", NULL, "`caracola model info FILE` says what a model file is"},
    {"convert", NULL, "`caracola model convert IN OUT` writes a .cara file"},
    {"quantize", "quantise", "`caracola model convert IN OUT --compute_type int8` does it"},
    {"fetch", "download", "`caracola model fetch s3://BUCKET/KEY FILE` brings a model from S3"},
    {"deploy", "install", "`caracola setup` sets it up in an AWS account"},
    {"destroy", "delete", "`caracola teardown` removes what setup made"},
    {"uninstall", "remove", "`caracola teardown` removes what setup made"},
    {"check", "status", "`caracola doctor` says what is fine and what is missing"},
    {"completions", NULL, "`caracola completion SHELL` prints a shell's completion"},
    {"lambda", "bootstrap", "as a Lambda function the program is started under the name bootstrap"},
    {NULL, NULL, NULL},
};

/* `group` is NULL at the top. */
static int unknown_command(const cara_cli_command *group, const char *name) {
    enum { MOST = 32 };
    const char *names[MOST + 1] = {NULL};
    const cara_cli_command *const *commands = group ? group->commands : cara_cli_commands;
    for (int i = 0; i < MOST && commands[i]; i++)
        names[i] = cara_each_own_name(commands[i]);
    const char *near = cara_cli_nearest(name, names), *of = group ? group->name : "",
               *blank = group ? " " : "";
    const char *known = group ? NULL : cara_cli_advice_for(advice, name);
    if (known)
        return cara_cli_fail(CARA_EXIT_USAGE, "there is no command \"%s\": %s", name, known);
    if (!near && !group && (strpbrk(name, "./") || access(name, F_OK) == 0))
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "there is no command \"%s\"; did you mean `caracola transcribe %s`?",
                             name, name);
    if (near)
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "there is no command \"%s%s%s\"; did you mean \"%s%s%s\"?", of, blank,
                             name, of, blank, near);
    return cara_cli_fail(CARA_EXIT_USAGE,
                         "there is no command \"%s%s%s\"; `caracola help%s%s` lists what there is",
                         of, blank, name, blank, of);
}

static int is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_in(const cara_cli_command *group, int argc, char **argv) {
    if (argc < 2) {
        cara_cli_print_help(group, stderr);
        return CARA_EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        cara_cli_print_help(group, stdout);
        return CARA_EXIT_OK;
    }
    const cara_cli_command *found = find(group->commands, argv[1]);
    return found ? found->run(argc - 1, argv + 1) : unknown_command(group, argv[1]);
}

/* Reads the flags of a command that has none but --help. CARA_CLI_END, or what it exits with. */
static int read_no_flags(cara_cli_args *args, const cara_cli_command *command, int argc,
                         char **argv) {
    cara_cli_args_init(args, command, argc, argv);
    int at = cara_cli_args_next(args);
    return at == CARA_CLI_HELP ? CARA_EXIT_OK : at == CARA_CLI_BAD ? CARA_EXIT_USAGE : at;
}

static int cmd_version(int argc, char **argv) {
    cara_cli_args args;
    int status = read_no_flags(&args, &version_command, argc, argv);
    if (status != CARA_CLI_END)
        return status;
    if (args.operands < argc)
        return cara_cli_fail(CARA_EXIT_USAGE, "version takes nothing, got \"%s\"",
                             argv[args.operands]);
    puts("caracola " CARA_VERSION);
    return CARA_EXIT_OK;
}

static int cmd_help(int argc, char **argv) {
    cara_cli_args args;
    int status = read_no_flags(&args, &help_command, argc, argv);
    if (status != CARA_CLI_END)
        return status;
    const cara_cli_command *const *commands = cara_cli_commands;
    const cara_cli_command *command = NULL;
    for (int i = args.operands; i < argc; i++) {
        if (!commands)
            return cara_cli_fail(CARA_EXIT_USAGE, "help takes a command, got \"%s\" behind \"%s\"",
                                 argv[i], command->name);
        const cara_cli_command *found = find(commands, argv[i]);
        if (!found)
            return unknown_command(command, argv[i]);
        command = found;
        commands = found->commands;
    }
    if (command)
        cara_cli_print_help(command, stdout);
    else
        usage(stdout);
    return CARA_EXIT_OK;
}

static int cmd_completion(int argc, char **argv) {
    cara_cli_args args;
    int status = read_no_flags(&args, &completion_command, argc, argv);
    if (status != CARA_CLI_END)
        return status;
    if (args.operands + 1 != argc)
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "completion takes one shell, bash, zsh or fish; got %d operands",
                             argc - args.operands);
    const char *shell = argv[args.operands];
    if (strcmp(shell, "bash") == 0)
        cara_describe_bash(cara_cli_commands, stdout);
    else if (strcmp(shell, "zsh") == 0)
        cara_describe_zsh(cara_cli_commands, stdout);
    else if (strcmp(shell, "fish") == 0)
        cara_describe_fish(cara_cli_commands, stdout);
    else
        return cara_cli_fail(CARA_EXIT_USAGE, "completion takes bash, zsh or fish, got \"%s\"",
                             shell);
    return CARA_EXIT_OK;
}

int cara_cli_run(int argc, char **argv) {
    static char help[] = "help", version[] = "version";
    if (argc < 2) {
        usage(stderr);
        return CARA_EXIT_USAGE;
    }
    if (is_help(argv[1]))
        argv[1] = help;
    else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        argv[1] = version;
    if (argv[1][0] == '-') {
        static const char *const own[] = {"--help", "--version", NULL};
        const char *near = cara_cli_nearest(argv[1], own);
        if (near)
            return cara_cli_fail(CARA_EXIT_USAGE, "there is no flag %s; did you mean %s?", argv[1],
                                 near);
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "a command comes before its flags, got \"%s\"; `caracola help` lists "
                             "the commands",
                             argv[1]);
    }
    const cara_cli_command *command = find(cara_cli_commands, argv[1]);
    if (!command)
        return unknown_command(NULL, argv[1]);
    return command->commands ? run_in(command, argc - 1, argv + 1)
                             : command->run(argc - 1, argv + 1);
}
