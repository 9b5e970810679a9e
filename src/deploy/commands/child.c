#include "deploy/commands/child.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { TICK_MS = 100, GRACE_S = 5 };

int cara_child_find(const char *name, char *dst, size_t size, cara_error *err) {
    if (strchr(name, '/')) {
        if ((size_t)snprintf(dst, size, "%s", name) < size && access(dst, X_OK) == 0)
            return CARA_OK;
        return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "%.200s is no program that can be run", name);
    }
    const char *path = getenv("PATH");
    for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
        size_t n = strcspn(p, ":");
        int wrote = snprintf(dst, size, "%.*s/%s", (int)n, p, name);
        if (n && wrote > 0 && (size_t)wrote < size && access(dst, X_OK) == 0)
            return CARA_OK;
        p += n + (p[n] == ':');
    }
    return cara_fail(err, CARA_ERR_NOT_FOUND, -1, "%.200s is not installed", name);
}

static int names_same(const char *a, const char *b) {
    size_t n = strcspn(a, "=");
    return n == strcspn(b, "=") && strncmp(a, b, n) == 0;
}

/* Ours less what `extra` sets, then `extra`. The array is malloc'd, its texts are borrowed. */
static char **environment(const char *const *extra) {
    size_t n = 0, m = 0, at = 0;
    while (environ[n])
        n++;
    while (extra && extra[m])
        m++;
    char **out = calloc(n + m + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        int replaced = 0;
        for (size_t k = 0; k < m; k++)
            replaced |= names_same(environ[i], extra[k]);
        if (!replaced)
            out[at++] = environ[i];
    }
    for (size_t k = 0; out && k < m; k++)
        out[at++] = (char *)(uintptr_t)extra[k];
    return out;
}

enum { IN, OUT, ERR, EXEC, N_PIPES };

typedef struct child {
    const cara_child_spec *spec;
    cara_child_result *result;
    pid_t pid;
    int fd[N_PIPES]; /* our ends; -1 once closed */
    size_t sent;     /* of the input */
} child;

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the child after fork(): only async-signal-safe functions. */
static void exec_program(const cara_child_spec *spec, char **env, int child_fd[N_PIPES],
                         pid_t parent) {
    static const int numbers[] = {SIGPIPE, SIGINT, SIGTERM};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        signal(numbers[i], SIG_DFL);
    int in = child_fd[IN] >= 0 ? child_fd[IN] : open("/dev/null", O_RDONLY);
    if (dup2(in, 0) >= 0 && dup2(child_fd[OUT], 1) >= 0 && dup2(child_fd[ERR], 2) >= 0)
        execve(spec->program, (char *const *)(uintptr_t)spec->argv, env);
    int code = errno;
    ssize_t wrote = write(child_fd[EXEC], &code, sizeof code);
    (void)wrote;
    _exit(127);
}

static int start(child *c, cara_error *err) {
    const cara_child_spec *spec = c->spec;
    int child_fd[N_PIPES] = {-1, -1, -1, -1}, rc = CARA_OK, code = 0;
    char **env = environment(spec->extra);
    if (!env)
        return cara_fail(err, CARA_ERR_MEMORY, -1, "no memory to start %s", spec->argv[0]);
    for (int i = 0; i < N_PIPES && !rc; i++) {
        int ends[2];
        if (i == IN && !spec->input)
            continue;
        if (pipe(ends) != 0) {
            rc = cara_fail_errno(err, "a pipe to %s", spec->argv[0]);
            break;
        }
        c->fd[i] = ends[i == IN];
        child_fd[i] = ends[i != IN];
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        if (i != EXEC)
            fcntl(c->fd[i], F_SETFL, O_NONBLOCK);
    }
    pid_t parent = getpid();
    if (!rc && (c->pid = fork()) < 0)
        rc = cara_fail_errno(err, "starting %s", spec->argv[0]);
    if (!rc && c->pid == 0)
        exec_program(spec, env, child_fd, parent);
    if (!rc)
        setpgid(c->pid, c->pid); /* parent or child, whichever is first */
    free(env);
    for (int i = 0; i < N_PIPES; i++)
        close_fd(&child_fd[i]);
    if (!rc) {
        ssize_t got;
        do
            got = read(c->fd[EXEC], &code, sizeof code);
        while (got < 0 && errno == EINTR);
        if (got == (ssize_t)sizeof code) {
            waitpid(c->pid, NULL, 0);
            c->pid = -1;
            errno = code;
            rc = cara_fail_errno(err, "starting %s", spec->program);
        }
    }
    close_fd(&c->fd[EXEC]);
    return rc;
}

static void send_input(child *c) {
    const char *bytes = c->spec->input;
    ssize_t n = write(c->fd[IN], bytes + c->sent, c->spec->n_input - c->sent);
    if (n > 0)
        c->sent += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || c->sent == c->spec->n_input)
        close_fd(&c->fd[IN]);
}

/* Keeps the end of standard error, where programs usually write what was wrong. */
static void append_stderr(cara_child_result *r, const char *bytes, size_t n) {
    size_t room = sizeof r->err - 1;
    if (n > room) {
        bytes += n - room;
        n = room;
    }
    if (r->n_err + n > room) {
        size_t drop = r->n_err + n - room;
        memmove(r->err, r->err + drop, r->n_err - drop);
        r->n_err -= drop;
    }
    memcpy(r->err + r->n_err, bytes, n);
    r->n_err += n;
    r->err[r->n_err] = 0;
}

static int read_output(child *c, int which, cara_error *err) {
    char bytes[16384];
    ssize_t n = read(c->fd[which], bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&c->fd[which]);
    if (n <= 0)
        return CARA_OK;
    if (which == ERR) {
        append_stderr(c->result, bytes, (size_t)n);
        return CARA_OK;
    }
    if (c->spec->seen)
        c->spec->seen(c->spec->seen_cookie, bytes, (size_t)n);
    int full = cara_buf_add(&c->result->out, bytes, (size_t)n);
    OPENSSL_cleanse(bytes, sizeof bytes); /* it may be a password */
    return full ? cara_fail(err, CARA_ERR_MEMORY, -1, "%s printed more than %zu bytes",
                            c->spec->argv[0], c->spec->max_output)
                : CARA_OK;
}

/* Reaps it once it has ended, and kills what it left behind in its group, whose number
 * no other group can have before it is reaped. */
static int reap(child *c) {
    siginfo_t info = {.si_pid = 0};
    int status = 0;
    if (c->pid <= 0)
        return 1;
    int got = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (got == 0 && info.si_pid == 0)
        return 0;
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    c->result->status = WIFEXITED(status)     ? WEXITSTATUS(status)
                        : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                              : 127;
    c->pid = -1;
    return 1;
}

static void sleep_tick(void) {
    nanosleep(&(struct timespec){0, 20 * 1000 * 1000}, NULL);
}

static void terminate(child *c) {
    double since = cara_clock_monotonic();
    if (c->pid > 0)
        kill(-c->pid, SIGINT);
    while (c->pid > 0 && !reap(c)) {
        if (cara_clock_monotonic() - since > GRACE_S)
            kill(-c->pid, SIGKILL);
        sleep_tick();
    }
}

static int serve_pipes(child *c, cara_error *err) {
    const cara_child_spec *spec = c->spec;
    double begun = cara_clock_monotonic();
    int rc = CARA_OK;
    while (!rc) {
        int ended = reap(c); /* before the read, so that nothing it wrote is missed */
        struct pollfd fds[3];
        for (int i = 0; i < 3; i++)
            fds[i] = (struct pollfd){c->fd[i], i == IN ? POLLOUT : POLLIN, 0};
        int open = c->fd[OUT] >= 0 || c->fd[ERR] >= 0;
        int ready = open || c->fd[IN] >= 0 ? poll(fds, 3, ended ? 0 : TICK_MS) : 0;
        if (ready > 0 && fds[IN].revents)
            send_input(c);
        for (int i = OUT; i <= ERR && !rc && ready > 0; i++)
            if (fds[i].revents)
                rc = read_output(c, i, err);
        if (ended && ready <= 0)
            break;
        if (!ended && !open)
            sleep_tick();
        if (!rc && spec->stop && spec->stop(spec->stop_cookie))
            rc = cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted");
        else if (!rc && spec->timeout_s > 0 && cara_clock_monotonic() - begun > spec->timeout_s)
            rc = cara_fail(err, CARA_ERR_NETWORK, -1, "%s did not end within %.0f s", spec->argv[0],
                           spec->timeout_s);
        if (ended && c->fd[OUT] < 0 && c->fd[ERR] < 0)
            break;
    }
    return rc;
}

int cara_child_run(const cara_child_spec *spec, cara_child_result *result, cara_error *err) {
    *result = (cara_child_result){.status = 127};
    cara_buf_init(&result->out, spec->max_output);
    child c = {.spec = spec, .result = result, .pid = -1, .fd = {-1, -1, -1, -1}};
    int rc = start(&c, err);
    if (!rc)
        rc = serve_pipes(&c, err);
    terminate(&c);
    for (int i = 0; i < N_PIPES; i++)
        close_fd(&c.fd[i]);
    return rc;
}

void cara_child_free(cara_child_result *result) {
    if (result->out.data)
        OPENSSL_cleanse(result->out.data, result->out.cap);
    cara_buf_free(&result->out);
    OPENSSL_cleanse(result->err, sizeof result->err);
}
