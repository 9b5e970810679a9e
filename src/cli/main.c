/* The caracola command: finds the command that was named and runs it. */
#include "cli/cli.h"

#include <caracola/version.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"transcribe", cara_cmd_transcribe, "turn speech into text"},
    {"handle", cara_cmd_handle, "turn WhatsApp events into records"},
    {"worker", cara_cmd_worker, "turn the WhatsApp events of an SQS queue into records"},
    {"setup", cara_cmd_setup, "set it up in an AWS account, or change that"},
    {"teardown", cara_cmd_teardown, "remove from an AWS account what setup made"},
    {"model", cara_cmd_model, "look at a model, convert or make one"},
    {"bench", cara_cmd_bench, "measure a model on this machine"},
    {"doctor", cara_cmd_doctor, "say what is fine, what is missing, and how to fix it"},
    {"help", cmd_help, "show the help of a command"},
    {"version", cmd_version, "show the version"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *out) {
    fputs("caracola: WhatsApp voice notes to text, on your own machine.\n"
          "\n"
          "Usage: caracola COMMAND [FLAG]... [OPERAND]...\n"
          "\n"
          "Commands:\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs(
        "\n"
        "`caracola COMMAND --help` says what a command takes.\n"
        "\n"
        "Exit status: 0 done, 1 some inputs failed, 2 usage, 3 audio, 4 model, 5 files or store,\n"
        "6 event, 7 network, 8 doctor found a failure, 70 internal, 130 interrupted.\n",
        out);
}

static int find(const char *name) {
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return i;
    return -1;
}

static int unknown_command(const char *name) {
    const char *names[N_COMMANDS + 1] = {NULL};
    for (int i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = cara_cli_nearest(name, names);
    if (near)
        return cara_cli_fail(CARA_EXIT_USAGE, "there is no command \"%s\"; did you mean \"%s\"?",
                             name, near);
    return cara_cli_fail(CARA_EXIT_USAGE,
                         "there is no command \"%s\"; `caracola help` lists what there is", name);
}

static int cmd_version(int argc, char **argv) {
    if (argc > 1)
        return cara_cli_fail(CARA_EXIT_USAGE, "version takes nothing, got \"%s\"", argv[1]);
    puts("caracola " CARA_VERSION);
    return CARA_EXIT_OK;
}

static int cmd_help(int argc, char **argv) {
    if (argc < 2) {
        usage(stdout);
        return CARA_EXIT_OK;
    }
    int i = find(argv[1]);
    if (i < 0)
        return unknown_command(argv[1]);
    if (commands[i].run == cmd_help || commands[i].run == cmd_version) {
        usage(stdout);
        return CARA_EXIT_OK;
    }
    /* `help model convert` is `model convert --help`. */
    static char flag[] = "--help";
    char *args[4] = {argv[1], NULL, NULL, NULL};
    int n = 1;
    if (argc > 2 && argv[2][0] != '-')
        args[n++] = argv[2];
    args[n++] = flag;
    return commands[i].run(n, args);
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return CARA_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    if (name[0] == '-')
        return cara_cli_fail(CARA_EXIT_USAGE,
                             "a command comes before its flags, got \"%s\"; `caracola help` lists "
                             "the commands",
                             name);
    int i = find(name);
    if (i < 0)
        return unknown_command(name);
    return commands[i].run(argc - 1, argv + 1);
}

/* With descriptor 0, 1 or 2 closed, the next file opened would take its place and our messages
 * would be written into it. */
static int open_standard_descriptors(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            return -1;
    return 0;
}

int main(int argc, char **argv) {
    if (open_standard_descriptors() != 0)
        return CARA_EXIT_INTERNAL;
    /* A closed pipe then fails the write, which is reported, and does not kill the process. */
    signal(SIGPIPE, SIG_IGN);
    int status = cara_cli_is_lambda(argc, argv) ? cara_cmd_lambda() : run(argc, argv);
    cara_exit flushed = cara_cli_flush_stdout();
    return status != CARA_EXIT_OK ? status : (int)flushed;
}
