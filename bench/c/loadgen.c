/* The load generator: it drives an echo server as fast as the server answers, and says how fast.
 *
 * One thread, epoll. Every connection has one message in flight (closed loop): send, take the echo
 * back whole, send again. Anything but the exact echo ends the run with status 1. It knows nothing of
 * the server but its address and, if told, its process id, whose CPU time it reads at both ends of
 * the measured window.
 *
 *   loadgen echo|latency|connect|idle --host ADDRESS --port N | --path PATH [options]
 *
 *   echo     --connections N --size BYTES    any size: both directions run at once, so it is bulk too
 *   latency  --size BYTES                    one connection, each round trip timed
 *   connect  --connections N --size BYTES    connect, one echo, close; N of them at a time
 *   idle     reads numbers from standard input; for each, opens connections up to that many, says so
 *            on a line of output, and holds them; ends at the end of input
 *
 *   --warmup MS (200)  --duration MS (1000)  --verify (compare the content)  --watch PID
 *
 * The result is one line of JSON. */
#include "common.h"
#include <dirent.h>

#define READ_SIZE 262144
#define EVENTS 1024
#define OPEN_AT_ONCE 32   /* below the smallest backlog of any peer (50), so that no SYN is dropped */
#define SOURCES 64        /* 28,000 ports of one source address are in TIME_WAIT within a second */
#define PHASES 251        /* messages of different connections start at different bytes */
#define PATIENCE_NS 20000000000u
#define LATENCIES 4000000

struct connection {
    int fd;
    size_t sent, got;
    const char *message;
    bool wants_out, done;
};

struct usage {
    uint64_t ran, waited; /* ns on a core; ns ready to run while others had it */
};

static struct {
    const char *mode, *host, *path;
    long port, connections, size, warmup, duration, watch;
    bool verify;
} options = {.host = "127.0.0.1", .connections = 1, .size = 64, .warmup = 200, .duration = 1000};

static struct address target;
static char *pattern;
static char buffer[READ_SIZE];
static struct epoll_event events[EVENTS];
static int epoll;
static uint64_t received; /* bytes echoed back */
static uint64_t messages; /* whole messages echoed back */

/* /proc/PID/schedstat speaks of the main thread only, so the threads are added up. */
static struct usage usage_of(long pid) {
    struct usage sum = {0};
    char name[64];
    if (pid == 0) return sum;
    snprintf(name, sizeof name, "/proc/%ld/task", pid);
    DIR *tasks = opendir(name);
    if (!tasks) die("no process %ld to watch", pid);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.') continue;
        char file[340];
        snprintf(file, sizeof file, "%s/%s/schedstat", name, entry->d_name);
        FILE *in = fopen(file, "r");
        unsigned long long ran, waited;
        if (!in) continue;
        if (fscanf(in, "%llu %llu", &ran, &waited) == 2) {
            sum.ran += ran;
            sum.waited += waited;
        }
        fclose(in);
    }
    closedir(tasks);
    return sum;
}

static int wait_for_events(uint64_t deadline) {
    uint64_t now = now_ns();
    int limit = deadline > now ? (int)((deadline - now) / 1000000) + 1 : 0;
    int ready = epoll_wait(epoll, events, EVENTS, limit);
    if (ready < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
    return ready < 0 ? 0 : ready;
}

static void watch_connection(int operation, struct connection *one, uint32_t wanted) {
    struct epoll_event event = {.events = wanted, .data.ptr = one};
    if (epoll_ctl(epoll, operation, one->fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

/* A blocking connect to the loopback returns at once while the backlog has room; a non-blocking one
 * would cost a wait. Later calls say MSG_DONTWAIT instead. */
static void open_connection(struct connection *one, bool rotate) {
    static uint32_t opened;
    int fd = socket(target.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s", strerror(errno));
    /* One message and no more: Nagle has nothing to hold back. */
    if (!rotate) no_delay(fd, &target);
    if (rotate && target.to.any.sa_family == AF_INET &&
        ntohl(target.to.ip4.sin_addr.s_addr) >> 24 == 127) {
        int on = 1;
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(0x7f000101u + opened % SOURCES);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) die("bind: %s", strerror(errno));
    }
    if (connect(fd, &target.to.any, target.length) != 0) die("connect: %s", strerror(errno));
    *one = (struct connection){.fd = fd, .message = pattern + opened % PHASES};
    opened++;
}

static void send_more(struct connection *one) {
    size_t size = (size_t)options.size;
    while (one->sent < size) {
        ssize_t n = send(one->fd, one->message + one->sent, size - one->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) die("send: %s", strerror(errno));
            if (!one->wants_out) watch_connection(EPOLL_CTL_MOD, one, EPOLLIN | EPOLLOUT);
            one->wants_out = true;
            return;
        }
        one->sent += (size_t)n;
    }
    if (one->wants_out) watch_connection(EPOLL_CTL_MOD, one, EPOLLIN);
    one->wants_out = false;
}

/* True when the whole message has come back. */
static bool take_echo(struct connection *one, int flags) {
    ssize_t n = recv(one->fd, buffer, sizeof buffer, flags);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n < 0) die("recv: %s", strerror(errno));
    if (n == 0) die("the server closed a connection after %zu of %ld bytes", one->got, options.size);
    if (one->got + (size_t)n > one->sent)
        die("the server sent more than it was sent: %zu of %zu", one->got + (size_t)n, one->sent);
    if (options.verify && memcmp(buffer, one->message + one->got, (size_t)n) != 0)
        die("the echo differs from the message");
    one->got += (size_t)n;
    received += (uint64_t)n;
    if (one->got < (size_t)options.size) return false;
    messages++;
    return true;
}

/* One byte there and back. A server accepts in order, so all connections opened earlier are accepted. */
static void probe(struct connection *one) {
    char byte = 'x';
    if (send(one->fd, &byte, 1, MSG_NOSIGNAL) != 1) die("probe: %s", strerror(errno));
    if (recv(one->fd, &byte, 1, 0) != 1 || byte != 'x') die("probe: no echo");
}

static void open_up_to(struct connection *all, long from, long to) {
    for (long i = from; i < to; i++) {
        open_connection(&all[i], false);
        if (i % OPEN_AT_ONCE == OPEN_AT_ONCE - 1 || i == to - 1) probe(&all[i]);
    }
}

struct window {
    uint64_t begun, ended, received, messages;
    struct usage server, self;
};

static void window_begins(struct window *window) {
    *window = (struct window){.received = received, .messages = messages};
    window->server = usage_of(options.watch);
    window->self = usage_of(getpid());
    window->begun = now_ns();
}

static void window_ends(struct window *window) {
    window->ended = now_ns();
    struct usage server = usage_of(options.watch), self = usage_of(getpid());
    window->received = received - window->received;
    window->messages = messages - window->messages;
    window->server.ran = server.ran - window->server.ran;
    window->server.waited = server.waited - window->server.waited;
    window->self.ran = self.ran - window->self.ran;
    window->self.waited = self.waited - window->self.waited;
}

static void report(const struct window *window, double rate, const char *more) {
    double seconds = (double)(window->ended - window->begun) / 1e9;
    printf("{\"mode\": \"%s\", \"connections\": %ld, \"size\": %ld, \"seconds\": %.6f, "
           "\"messages\": %llu, \"bytes\": %llu, \"rate\": %.3f, "
           "\"server_cpu_ns\": %llu, \"server_wait_ns\": %llu, "
           "\"generator_cpu_ns\": %llu, \"generator_wait_ns\": %llu%s}\n",
           options.mode, options.connections, options.size, seconds,
           (unsigned long long)window->messages, (unsigned long long)window->received, rate,
           (unsigned long long)window->server.ran, (unsigned long long)window->server.waited,
           (unsigned long long)window->self.ran, (unsigned long long)window->self.waited, more);
}

static double per_second(uint64_t amount, const struct window *window) {
    return (double)amount * 1e9 / (double)(window->ended - window->begun);
}

static void run_echo(void) {
    struct connection *all = calloc((size_t)options.connections, sizeof *all);
    if (!all) die("out of memory");
    open_up_to(all, 0, options.connections);
    for (long i = 0; i < options.connections; i++) {
        watch_connection(EPOLL_CTL_ADD, &all[i], EPOLLIN);
        send_more(&all[i]);
    }
    struct window window;
    long open = options.connections;
    int phase = 0; /* 0 warming up, 1 measuring, 2 letting the messages in flight come home */
    uint64_t next = now_ns() + (uint64_t)options.warmup * 1000000u;
    while (open > 0) {
        int ready = wait_for_events(next);
        for (int i = 0; i < ready; i++) {
            struct connection *one = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) send_more(one);
            if (!(events[i].events & ~(uint32_t)EPOLLOUT) || !take_echo(one, MSG_DONTWAIT)) continue;
            if (phase == 2) {
                close(one->fd);
                open--;
                continue;
            }
            one->sent = one->got = 0;
            send_more(one);
        }
        if (now_ns() < next) continue;
        if (phase == 0) window_begins(&window);
        else if (phase == 1) window_ends(&window);
        else die("%ld messages did not come back", open);
        phase++;
        next = now_ns() + (phase == 1 ? (uint64_t)options.duration * 1000000u : PATIENCE_NS);
    }
    /* By bytes, so that messages under way at either end count for their part. */
    report(&window, per_second(window.received, &window) / (double)options.size, "");
    free(all);
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void run_latency(void) {
    uint32_t *taken = malloc(LATENCIES * sizeof *taken);
    struct connection one;
    if (!taken) die("out of memory");
    options.connections = 1;
    open_up_to(&one, 0, 1);
    watch_connection(EPOLL_CTL_ADD, &one, EPOLLIN);
    struct window window;
    size_t count = 0;
    bool measuring = false;
    uint64_t before = now_ns(), next = before + (uint64_t)options.warmup * 1000000u;
    for (;;) {
        before = now_ns();
        if (before >= next) {
            if (measuring) break;
            measuring = true;
            window_begins(&window);
            before = now_ns();
            next = before + (uint64_t)options.duration * 1000000u;
        }
        one.sent = one.got = 0;
        send_more(&one);
        for (bool whole = false; !whole;) {
            if (wait_for_events(before + PATIENCE_NS) == 0) die("a message did not come back");
            if (events[0].events & EPOLLOUT) send_more(&one);
            whole = take_echo(&one, MSG_DONTWAIT);
        }
        if (measuring && count < LATENCIES) taken[count++] = (uint32_t)(now_ns() - before);
    }
    window_ends(&window);
    close(one.fd);
    if (count == 0) die("no message within the measured time");
    qsort(taken, count, sizeof *taken, by_value);
    char more[160];
    snprintf(more, sizeof more,
             ", \"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"max_us\": %.3f",
             taken[count / 2] / 1e3, taken[count * 9 / 10] / 1e3, taken[count * 99 / 100] / 1e3,
             taken[count - 1] / 1e3);
    report(&window, per_second(window.messages, &window), more);
    free(taken);
}

static void begin_anew(struct connection *one) {
    open_connection(one, true);
    if (send(one->fd, one->message, (size_t)options.size, MSG_NOSIGNAL) != options.size)
        die("send: %s", strerror(errno));
    one->sent = (size_t)options.size;
}

/* Connections are taken in the order they were opened, which is the order they are served in, so a
 * blocking recv rarely waits for one while others are ready; epoll would cost two calls more. */
static void run_connect(void) {
    struct connection *all = calloc((size_t)options.connections, sizeof *all);
    if (!all) die("out of memory");
    if (options.connections > OPEN_AT_ONCE) die("at most %d at a time", OPEN_AT_ONCE);
    for (long i = 0; i < options.connections; i++) begin_anew(&all[i]);
    struct window window;
    bool measuring = false;
    uint64_t next = now_ns() + (uint64_t)options.warmup * 1000000u;
    for (long i = 0;; i = (i + 1) % options.connections) {
        struct connection *one = &all[i];
        while (!take_echo(one, 0)) continue;
        close(one->fd);
        begin_anew(one);
        uint64_t now = now_ns();
        if (now < next) continue;
        if (measuring) break;
        measuring = true;
        window_begins(&window);
        next = now_ns() + (uint64_t)options.duration * 1000000u;
    }
    window_ends(&window);
    for (long i = 0; i < options.connections; i++) {
        while (!take_echo(&all[i], 0)) continue;
        close(all[i].fd);
    }
    report(&window, per_second(window.messages, &window), "");
    free(all);
}

static void run_idle(void) {
    struct connection *all = NULL;
    long open = 0, wanted;
    while (scanf("%ld", &wanted) == 1) {
        if (wanted <= open) die("%ld are open already", open);
        all = realloc(all, (size_t)wanted * sizeof *all);
        if (!all) die("out of memory");
        open_up_to(all, open, wanted);
        open = wanted;
        printf("{\"mode\": \"idle\", \"open\": %ld}\n", open);
        fflush(stdout);
    }
    free(all);
}

static void read_options(int count, char **words) {
    if (count < 2) die("usage: loadgen echo|latency|connect|idle --port N [options]");
    options.mode = words[1];
    for (int i = 2; i < count; i++) {
        const char *word = words[i];
        if (!strcmp(word, "--verify")) {
            options.verify = true;
            continue;
        }
        if (++i == count) die("%s lacks its value", word);
        if (!strcmp(word, "--host")) options.host = words[i];
        else if (!strcmp(word, "--path")) options.path = words[i];
        else if (!strcmp(word, "--port")) options.port = number_of(word, words[i]);
        else if (!strcmp(word, "--connections")) options.connections = number_of(word, words[i]);
        else if (!strcmp(word, "--size")) options.size = number_of(word, words[i]);
        else if (!strcmp(word, "--warmup")) options.warmup = number_of(word, words[i]);
        else if (!strcmp(word, "--duration")) options.duration = number_of(word, words[i]);
        else if (!strcmp(word, "--watch")) options.watch = number_of(word, words[i]);
        else die("unknown option %s", word);
    }
    if (options.connections < 1 || options.size < 1 || options.duration < 1)
        die("--connections, --size and --duration begin at 1");
}

int main(int count, char **words) {
    read_options(count, words);
    raise_descriptor_limit();
    if (options.path) address_of_path(&target, options.path);
    else address_of_host(&target, options.host, (int)options.port);
    pattern = malloc((size_t)options.size + PHASES);
    if (!pattern) die("out of memory");
    for (long i = 0; i < options.size + PHASES; i++) pattern[i] = (char)(i * 31 + i / PHASES);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
    if (!strcmp(options.mode, "echo")) run_echo();
    else if (!strcmp(options.mode, "latency")) run_latency();
    else if (!strcmp(options.mode, "connect")) run_connect();
    else if (!strcmp(options.mode, "idle")) run_idle();
    else die("unknown mode %s", options.mode);
    return 0;
}
