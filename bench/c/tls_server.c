/* The limit for TLS: an epoll echo server with OpenSSL on the descriptor, and nothing else.
 *
 *   tls_server CERT KEY          prints the port
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 65536 };

typedef struct {
    SSL *ssl;
    char *queued;
    int size;
    int writing;
} Connection;

static int poller;

static void hang_up(Connection *one) {
    int fd = SSL_get_fd(one->ssl);
    SSL_shutdown(one->ssl);
    SSL_free(one->ssl);
    close(fd);
    free(one->queued);
    free(one);
}

static void watch(Connection *one, int writing) {
    if (writing == one->writing) return;
    one->writing = writing;
    struct epoll_event event = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = one};
    epoll_ctl(poller, EPOLL_CTL_MOD, SSL_get_fd(one->ssl), &event);
}

static void serve(Connection *one) {
    static char buffer[READ];
    for (;;) {
        if (one->size) {
            int sent = SSL_write(one->ssl, one->queued, one->size);
            if (sent <= 0) {
                if (SSL_get_error(one->ssl, sent) == SSL_ERROR_WANT_WRITE) {
                    watch(one, 1);
                    return;
                }
                hang_up(one);
                return;
            }
            one->size = 0;
            watch(one, 0);
        }
        /* All records of a read of 64 KiB, then one write. */
        int got = 0, count = 0;
        while (got < READ && (count = SSL_read(one->ssl, buffer + got, READ - got)) > 0) {
            got += count;
        }
        if (!got) {
            int why = SSL_get_error(one->ssl, count);
            if (why == SSL_ERROR_WANT_READ) return;
            ERR_clear_error();
            hang_up(one);
            return;
        }
        int sent = SSL_write(one->ssl, buffer, got);
        if (sent <= 0) {
            one->queued = realloc(one->queued, READ);
            for (int i = 0; i < got; i++) one->queued[i] = buffer[i];
            one->size = got;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&at, &length);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) {
                serve(events[i].data.ptr);
                continue;
            }
            int fd, one = 1;
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                Connection *made = calloc(1, sizeof *made);
                made->ssl = SSL_new(context);
                SSL_set_fd(made->ssl, fd);
                SSL_set_accept_state(made->ssl);
                event.events = EPOLLIN;
                event.data.ptr = made;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
