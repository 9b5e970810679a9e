#include "test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUESTS 4096
#define MAX_CONNECTIONS 64 /* at a time */
#define MAX_BYTES (64u << 20)

struct test_server {
    int listening;
    int port;
    char url[64];
    pthread_t acceptor;
    pthread_mutex_t lock;
    int stopping;
    const test_reply *replies;
    size_t n_replies, next_reply;
    test_handler handler;
    void *ctx;
    test_request requests[MAX_REQUESTS];
    size_t n_requests;
    struct connection {
        test_server *server;
        int fd, number;
        int over; /* its thread is about to end */
        pthread_t thread;
    } connections[MAX_CONNECTIONS];
    int n_connections; /* slots in use or used before */
    int n_accepted;
};

static void stop_test(const char *what) {
    perror(what);
    abort();
}

static void *must(void *p) {
    if (!p)
        stop_test("test server: memory");
    return p;
}

static int is_stopping(test_server *s) {
    pthread_mutex_lock(&s->lock);
    int stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

/* Waits for input or the end; 1 where there is some. */
static int wait_input(test_server *s, int fd) {
    while (!is_stopping(s)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 20) > 0)
            return 1;
    }
    return 0;
}

static void pause_for(test_server *s, double seconds) {
    for (; seconds > 0 && !is_stopping(s); seconds -= 0.01)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
}

static int send_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
        if (put <= 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int send_body(test_server *s, int fd, const char *p, size_t n, double drip_s) {
    if (drip_s <= 0)
        return send_all(fd, p, n);
    for (size_t i = 0; i < n; i++) {
        if (send_all(fd, p + i, 1) || is_stopping(s))
            return -1;
        pause_for(s, drip_s);
    }
    return 0;
}

static const char *find_header(const char *head, const char *name) {
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && strncmp(line, "\r\n\r\n", 4) != 0;
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            return line + 3 + n;
    return NULL;
}

/* Reads one request into *out; 0 where the peer is gone. */
static int read_request(test_server *s, int fd, test_request *out) {
    size_t cap = 65536, len = 0;
    char *raw = must(malloc(cap));
    raw[0] = 0;
    for (;;) {
        char *end = strstr(raw, "\r\n\r\n");
        if (end) {
            size_t head = (size_t)(end - raw) + 4;
            const char *length = find_header(raw, "content-length");
            size_t body = length ? strtoul(length, NULL, 10) : 0;
            if (len >= head + body) {
                *out = (test_request){.raw = raw, .len = len, .body = raw + head, .body_len = body};
                return 1;
            }
        }
        if (len + 1 == cap && cap < MAX_BYTES)
            raw = must(realloc(raw, cap *= 2));
        ssize_t got = wait_input(s, fd) ? recv(fd, raw + len, cap - 1 - len, 0) : 0;
        if (got <= 0) {
            free(raw);
            return 0;
        }
        len += (size_t)got;
        raw[len] = 0;
    }
}

/* 1 to go on with the connection. */
static int answer(test_server *s, int fd, const test_reply *reply, int is_head) {
    pause_for(s, reply->delay_s);
    if (reply->hang) {
        wait_input(s, fd); /* until the client gives up */
        return 0;
    }
    if (reply->drop)
        return 0;
    if (reply->raw) {
        (void)send_body(s, fd, reply->raw, strlen(reply->raw), reply->drip_s);
        return !reply->close;
    }
    size_t n = reply->body ? (reply->body_len ? reply->body_len : strlen(reply->body)) : 0;
    char head[4096], length[64] = "";
    if (!reply->no_length)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n",
                 reply->declared ? (size_t)reply->declared : n);
    int head_len =
        snprintf(head, sizeof head, "HTTP/1.1 %d Test\r\n%s%s\r\n",
                 reply->status ? reply->status : 200, length, reply->headers ? reply->headers : "");
    if (head_len < 0 || (size_t)head_len >= sizeof head)
        stop_test("test server: headers too long");
    if (send_all(fd, head, (size_t)head_len))
        return 0;
    if (reply->cut) {
        send_all(fd, reply->body, reply->cut < n ? reply->cut : n);
        nanosleep(&(struct timespec){0, 20000000}, NULL); /* let the bytes arrive before the RST */
        struct linger reset = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        return 0;
    }
    if (!is_head && send_body(s, fd, reply->body, n, reply->drip_s))
        return 0;
    return !(reply->close || reply->no_length || reply->declared);
}

static void *serve(void *arg) {
    struct connection *connection = arg;
    test_server *s = connection->server;
    test_request request;
    while (read_request(s, connection->fd, &request)) {
        request.connection = connection->number;
        test_reply reply = {.status = 599, .body = "no reply is scripted"};
        pthread_mutex_lock(&s->lock);
        int keep = s->n_requests < MAX_REQUESTS; /* a handler may see more, which are not kept */
        if (keep)
            s->requests[s->n_requests++] = request;
        else if (!s->handler)
            stop_test("test server: too many requests");
        char *headers = NULL, *body = NULL;
        if (s->handler) {
            s->handler(s->ctx, &request, &reply);
            /* Copied under the lock: the next request may change what the handler owns. */
            size_t n = reply.body ? (reply.body_len ? reply.body_len : strlen(reply.body)) : 0;
            body = must(malloc(n + 1));
            if (n)
                memcpy(body, reply.body, n);
            body[n] = 0;
            reply.body = body;
            reply.body_len = n;
            headers = must(strdup(reply.headers ? reply.headers : ""));
            reply.headers = headers;
        } else if (s->next_reply < s->n_replies)
            reply = s->replies[s->next_reply++];
        pthread_mutex_unlock(&s->lock);
        int more = answer(s, connection->fd, &reply, strncmp(request.raw, "HEAD ", 5) == 0);
        free(headers);
        free(body);
        if (!keep)
            free(request.raw);
        if (!more)
            break;
    }
    close(connection->fd);
    pthread_mutex_lock(&s->lock);
    connection->over = 1;
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *accept_loop(void *arg) {
    test_server *s = arg;
    while (wait_input(s, s->listening)) {
        int fd = accept(s->listening, NULL, NULL);
        if (fd < 0)
            continue;
        int no_delay = 1; /* head and body are sent apart, and must not wait for each other */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
        int slot = 0;
        pthread_mutex_lock(&s->lock);
        while (slot < s->n_connections && !s->connections[slot].over)
            slot++;
        pthread_mutex_unlock(&s->lock);
        if (slot == MAX_CONNECTIONS)
            stop_test("test server: too many connections");
        struct connection *connection = &s->connections[slot];
        if (slot < s->n_connections)
            pthread_join(connection->thread, NULL);
        else
            s->n_connections++;
        *connection = (struct connection){.server = s, .fd = fd, .number = ++s->n_accepted};
        if (pthread_create(&connection->thread, NULL, serve, connection) != 0)
            stop_test("test server: thread");
    }
    return NULL;
}

static test_server *start(test_server *s) {
    s->listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof address;
    if (s->listening < 0 || bind(s->listening, (struct sockaddr *)&address, n) != 0 ||
        listen(s->listening, 64) != 0 ||
        getsockname(s->listening, (struct sockaddr *)&address, &n) != 0)
        stop_test("test server: socket");
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    pthread_mutex_init(&s->lock, NULL);
    if (pthread_create(&s->acceptor, NULL, accept_loop, s) != 0)
        stop_test("test server: thread");
    return s;
}

test_server *test_server_start(const test_reply *replies, size_t n) {
    test_server *s = must(calloc(1, sizeof *s));
    s->replies = replies;
    s->n_replies = n;
    return start(s);
}

test_server *test_server_start_handler(test_handler handler, void *ctx) {
    test_server *s = must(calloc(1, sizeof *s));
    s->handler = handler;
    s->ctx = ctx;
    return start(s);
}

void test_server_stop(test_server *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->acceptor, NULL);
    for (int i = 0; i < s->n_connections; i++)
        pthread_join(s->connections[i].thread, NULL);
    close(s->listening);
    for (size_t i = 0; i < s->n_requests; i++)
        free(s->requests[i].raw);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *test_server_url(const test_server *s) {
    return s->url;
}

int test_server_port(const test_server *s) {
    return s->port;
}

size_t test_server_count(test_server *s) {
    pthread_mutex_lock(&s->lock);
    size_t n = s->n_requests;
    pthread_mutex_unlock(&s->lock);
    return n;
}

test_request test_server_request(test_server *s, size_t i) {
    static char none[1];
    pthread_mutex_lock(&s->lock);
    test_request request = i < s->n_requests ? s->requests[i] : (test_request){none, 0, none, 0, 0};
    pthread_mutex_unlock(&s->lock);
    return request;
}

const char *test_request_header(const test_request *request, const char *name, char *dst,
                                size_t size) {
    const char *value = find_header(request->raw, name);
    dst[0] = 0;
    if (value) {
        value += strspn(value, " \t");
        snprintf(dst, size, "%.*s", (int)strcspn(value, "\r\n"), value);
    }
    return dst;
}
