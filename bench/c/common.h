/* What the generator and the server share: failing, the clock, descriptor limits, addresses.
 * It knows nothing of what is measured. */
#ifndef TAILRACE_BENCH_COMMON_H
#define TAILRACE_BENCH_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un local;
    } to;
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static inline void address_of_path(struct address *out, const char *path) {
    memset(out, 0, sizeof *out);
    out->to.local.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof out->to.local.sun_path) die("path too long: %s", path);
    strcpy(out->to.local.sun_path, path);
    out->length = sizeof out->to.local;
}

static inline void address_of_host(struct address *out, const char *host, int port) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->to.ip4.sin_addr) == 1) {
        out->to.ip4.sin_family = AF_INET;
        out->to.ip4.sin_port = htons((uint16_t)port);
        out->length = sizeof out->to.ip4;
    } else if (inet_pton(AF_INET6, host, &out->to.ip6.sin6_addr) == 1) {
        out->to.ip6.sin6_family = AF_INET6;
        out->to.ip6.sin6_port = htons((uint16_t)port);
        out->length = sizeof out->to.ip6;
    } else {
        die("not a numeric address: %s", host);
    }
}

static inline long number_of(const char *option, const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *text == '\0' || *end != '\0' || value < 0)
        die("%s takes a number of zero or more, not '%s'", option, text);
    return value;
}

static inline void no_delay(int fd, const struct address *address) {
    int on = 1;
    if (address->to.any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

#endif
