/* Load for TLS servers: echoes over many connections, or one handshake after the other.
 *
 *   tls_loadgen PORT echo CONNECTIONS SIZE ROUNDS    a message on each connection, then all answers
 *   tls_loadgen PORT handshake COUNT                 connect, 16 bytes and back, close_notify
 *   tls_loadgen PORT resumed COUNT                   the same with the session of the one before
 *   tls_loadgen PORT idle CONNECTIONS                opens, says so, and waits for stdin to end
 *
 * One thread, blocking sockets, TLS 1.3. Certificates are not verified: the server is measured.
 * Prints the operations done. Any short answer or error ends it with status 1.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_SESSION *latest;
static int resumed;

static void die(const char *what) {
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int keep(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    SSL_SESSION_free(latest);
    latest = session;
    return 1;
}

static SSL *dial(SSL_CTX *context, int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (resumed && latest) SSL_set_session(ssl, latest);
    if (SSL_connect(ssl) != 1) die("SSL_connect");
    return ssl;
}

static void hang_up(SSL *ssl) {
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void send_all(SSL *ssl, const char *data, int size) {
    if (SSL_write(ssl, data, size) != size) die("SSL_write");
}

static void receive(SSL *ssl, char *into, int size) {
    for (int got = 0; got < size;) {
        int count = SSL_read(ssl, into, size - got);
        if (count <= 0) die("SSL_read");
        got += count;
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    signal(SIGPIPE, SIG_IGN);
    int port = atoi(argv[1]), count = atoi(argv[3]);
    const char *what = argv[2];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context, keep);
    if (!strcmp(what, "echo") && argc > 5) {
        int size = atoi(argv[4]), rounds = atoi(argv[5]);
        char *data = calloc(1, size);
        SSL **all = calloc(count, sizeof *all);
        for (int i = 0; i < count; i++) all[i] = dial(context, port);
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < count; i++) send_all(all[i], data, size);
            for (int i = 0; i < count; i++) receive(all[i], data, size);
        }
        for (int i = 0; i < count; i++) hang_up(all[i]);
        printf("%d\n", rounds * count);
    } else if (!strcmp(what, "idle")) {
        for (int i = 0; i < count; i++) dial(context, port);
        printf("%d\n", count);
        fflush(stdout);
        while (getchar() != EOF) continue;
    } else {
        char data[16] = {0};
        int reused = 0;
        resumed = !strcmp(what, "resumed");
        for (int i = 0; i < count; i++) {
            SSL *ssl = dial(context, port);
            send_all(ssl, data, sizeof data);
            receive(ssl, data, sizeof data);
            reused += SSL_session_reused(ssl);
            hang_up(ssl);
        }
        if (resumed && reused < count - 1) {
            fprintf(stderr, "only %d of %d resumed\n", reused, count);
        }
        printf("%d\n", count);
    }
    return 0;
}
