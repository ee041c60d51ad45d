/* The limit the peers are measured against: an echo server with nothing in it but system calls.
 *
 * One thread, level-triggered epoll, one recv of at most 64 KiB and one send for each readiness. What
 * a send leaves over is kept, and the connection is not read again before it has gone out. It knows
 * no timeouts, no statistics and no protocol.
 *
 *   server --port N [--host ADDRESS] | --path PATH
 *
 * The first line of output is the bound port (0 for a path). */
#include "common.h"

#define READ_SIZE 65536
#define EVENTS 1024
#define BACKLOG 4096

struct rest {
    char *data;
    size_t length, gone;
};

static struct rest *rests; /* by descriptor */
static size_t rests_length;
static char buffer[READ_SIZE];
static int epoll;

static void watch(int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

static void finish(int fd) {
    free(rests[fd].data);
    rests[fd] = (struct rest){0};
    close(fd);
}

static void accept_all(int listener, const struct address *address) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) return;
            if (errno == EINTR || errno == ECONNABORTED) continue;
            die("accept: %s", strerror(errno));
        }
        if ((size_t)fd >= rests_length) {
            size_t length = (size_t)fd * 2 + 64;
            rests = realloc(rests, length * sizeof *rests);
            if (!rests) die("out of memory");
            memset(rests + rests_length, 0, (length - rests_length) * sizeof *rests);
            rests_length = length;
        }
        no_delay(fd, address);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void on_readable(int fd) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        finish(fd);
        return;
    }
    ssize_t sent = send(fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            finish(fd);
            return;
        }
        sent = 0;
    }
    if (sent == got) return;
    struct rest *rest = &rests[fd];
    rest->length = (size_t)(got - sent);
    rest->gone = 0;
    rest->data = malloc(rest->length);
    if (!rest->data) die("out of memory");
    memcpy(rest->data, buffer + sent, rest->length);
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void on_writable(int fd) {
    struct rest *rest = &rests[fd];
    ssize_t sent = send(fd, rest->data + rest->gone, rest->length - rest->gone, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) finish(fd);
        return;
    }
    rest->gone += (size_t)sent;
    if (rest->gone < rest->length) return;
    free(rest->data);
    *rest = (struct rest){0};
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

int main(int count, char **words) {
    const char *host = "127.0.0.1", *path = NULL;
    int port = 0;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count) die("%s lacks its value", words[i]);
        if (!strcmp(words[i], "--port")) port = (int)number_of(words[i], words[i + 1]);
        else if (!strcmp(words[i], "--host")) host = words[i + 1];
        else if (!strcmp(words[i], "--path")) path = words[i + 1];
        else die("unknown option %s", words[i]);
    }
    raise_descriptor_limit();
    struct address address;
    if (path) address_of_path(&address, path);
    else address_of_host(&address, host, port);
    int listener =
        socket(address.to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (listener < 0) die("socket: %s", strerror(errno));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, &address.to.any, address.length) != 0) die("bind: %s", strerror(errno));
    if (listen(listener, BACKLOG) != 0) die("listen: %s", strerror(errno));
    if (!path) {
        getsockname(listener, &address.to.any, &address.length);
        port = ntohs(address.to.any.sa_family == AF_INET ? address.to.ip4.sin_port
                                                         : address.to.ip6.sin6_port);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    printf("%d\n", port);
    fflush(stdout);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(listener, &address);
            else if (rests[fd].data) on_writable(fd);
            else on_readable(fd);
        }
    }
}
