/* The caracola command. */
#include "cli/cli.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

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
    signal(SIGXFSZ, SIG_IGN); /* the same for a file that grows beyond `ulimit -f` */
    int status = cara_cli_is_lambda(argc, argv) ? cara_cmd_lambda() : cara_cli_run(argc, argv);
    cara_exit flushed = cara_cli_flush_stdout();
    /* A result that was not written is worse than one with failures in it. */
    return flushed != CARA_EXIT_OK && status <= CARA_EXIT_SOME ? (int)flushed : status;
}
