/* The system calls of a connection, without the socket module in between.
 *
 * Of the 7,110 instructions that an echoed message cost in the compiled build, 5,760 were those of
 * socket.recv, socket.send and epoll.poll around the kernel: 64 KiB allocated and shrunk, arguments
 * parsed by format strings, the interpreter lock given away and taken back for calls that never
 * wait (bench/experiments/README.md). This file makes the same calls. It is an option: without it
 * the handles use `socket` and `select`, with the same results (`calls.py` decides, at import).
 *
 * It refuses to know events, limits, and what an errno means to a connection: all that is in
 * Python, once, for both ways. Whatever else a socket can be asked for is answered by a
 * socket object that a Connection makes when it is first asked.
 *
 * The interpreter lock (GIL) is kept during calls on non-blocking descriptors that copy no more
 * than KEEP bytes, about 50 us at the most: giving it away and taking it back costs 390
 * instructions, more than copying a message of 1 KiB. It is released for larger copies, for a wait
 * for events that may wait, and for close(2), which may too (SO_LINGER).
 *
 * Errors are OSError of the errno, as from the socket module; EINTR runs the signal handlers and
 * tries again (PEP 475).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

/* Up to here a chunk is received into a buffer of the thread and then copied. */
#define SHARED 65536
/* Up to here a copy into or out of the kernel keeps the GIL. */
#define KEEP 262144
/* Events, and chunks of one sendmsg, that are taken from the stack. */
#define EVENTS 256
#define CHUNKS 64

/* A system call that copies up to `size` bytes. */
#define COPY(size, call) \
    do { \
        if ((size) <= KEEP) { \
            call; \
        } else { \
            Py_BEGIN_ALLOW_THREADS call; \
            Py_END_ALLOW_THREADS \
        } \
    } while (0)

#ifndef Py_BEGIN_CRITICAL_SECTION /* before 3.13 the GIL is one */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* What a Connection does not do itself: attributes of its socket object. */
#define FORWARDED(what) \
    what(0, "family"), what(1, "type"), what(2, "proto"), what(3, "connect_ex"), \
    what(4, "getsockopt"), what(5, "gettimeout"), what(6, "recvmsg"), what(7, "setblocking"), \
    what(8, "settimeout")
#define NAME_OF(index, name) name
static const char *const forwarded[] = {FORWARDED(NAME_OF)};
enum { NAMES = sizeof forwarded / sizeof *forwarded };

typedef struct {
    PyTypeObject *connection;
    PyObject *socket; /* the class socket.SocketType */
    PyObject *names[NAMES], *close, *getpeername, *getsockname, *sendmsg, *setsockopt;
} State;

/* Owns a connected, non-blocking descriptor; or holds the socket object that owns it. */
typedef struct {
    PyObject_HEAD
    int fd; /* -1 once closed */
    PyObject *sock;
} Connection;

static State *state_of(PyObject *self) {
    return PyType_GetModuleState(Py_TYPE(self));
}

static int has_arguments(const char *name, Py_ssize_t given, Py_ssize_t least, Py_ssize_t most) {
    if (given >= least && given <= most) return 1;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, %zd given", name, least, most,
                 given);
    return 0;
}

static int as_int(PyObject *value, int *out) {
    long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred()) return 0;
    if (number < INT_MIN || number > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "number does not fit a C int");
        return 0;
    }
    *out = (int)number;
    return 1;
}

/* After a system call failed: 1 if it is to be made again, 0 with an exception. */
static int interrupted(void) {
    if (errno != EINTR) {
        PyErr_SetFromErrno(PyExc_OSError);
        return 0;
    }
    return PyErr_CheckSignals() == 0;
}

/* -- a connection ------------------------------------------------------------------------- */

static PyObject *new_connection(State *state, int fd, PyObject *sock) {
    Connection *self = PyObject_New(Connection, state->connection);
    if (self != NULL) {
        self->fd = fd;
        self->sock = Py_XNewRef(sock);
    }
    return (PyObject *)self;
}

static PyObject *connection_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    State *state = PyType_GetModuleState(type);
    if (PyTuple_GET_SIZE(args) != 1 || (keywords != NULL && PyDict_GET_SIZE(keywords))) {
        PyErr_SetString(PyExc_TypeError, "Connection() takes a descriptor or a socket object");
        return NULL;
    }
    PyObject *source = PyTuple_GET_ITEM(args, 0);
    int fd = PyObject_AsFileDescriptor(source); /* a closed socket: ValueError */
    if (fd < 0) return NULL;
    return new_connection(state, fd, PyLong_Check(source) ? NULL : source);
}

/* The socket object, borrowed; it owns the descriptor from the moment it is made. */
static PyObject *socket_of(Connection *self) {
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->sock == NULL && self->fd < 0) {
        errno = EBADF;
        PyErr_SetFromErrno(PyExc_OSError);
    } else if (self->sock == NULL) {
        State *state = state_of((PyObject *)self);
        PyObject *made = PyObject_CallFunction(state->socket, "iiii", -1, -1, -1, self->fd);
        PyObject *done = made == NULL ? NULL : PyObject_CallMethod(made, "setblocking", "i", 0);
        Py_XDECREF(done);
        self->sock = made;
    }
    Py_END_CRITICAL_SECTION();
    return PyErr_Occurred() ? NULL : self->sock;
}

static PyObject *connection_forward(PyObject *op, void *index) {
    PyObject *sock = socket_of((Connection *)op);
    return sock == NULL ? NULL : PyObject_GetAttr(sock, state_of(op)->names[(intptr_t)index]);
}

static PyObject *forward_call(PyObject *op, PyObject *name, PyObject *const *args,
                              Py_ssize_t count) {
    PyObject *sock = socket_of((Connection *)op);
    PyObject *method = sock == NULL ? NULL : PyObject_GetAttr(sock, name);
    if (method == NULL) return NULL;
    PyObject *result = PyObject_Vectorcall(method, args, (size_t)count, NULL);
    Py_DECREF(method);
    return result;
}

static PyObject *receive_large(int fd, Py_ssize_t size) {
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL) return NULL;
    char *room = PyBytes_AS_STRING(data);
    ssize_t count;
    do {
        COPY(size, count = recv(fd, room, (size_t)size, 0));
        if (count < 0 && !interrupted()) {
            Py_DECREF(data);
            return NULL;
        }
    } while (count < 0);
    if (count < size) _PyBytes_Resize(&data, count);
    return data;
}

static PyObject *connection_recv(PyObject *op, PyObject *const *args, Py_ssize_t nargs) {
    /* Of the thread, not of the stack: musl gives a thread 128 KiB. */
    static _Thread_local char room[SHARED];
    if (!has_arguments("recv", nargs, 1, 1)) return NULL;
    Py_ssize_t size = PyLong_AsSsize_t(args[0]);
    if (size < 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "negative size in recv");
        return NULL;
    }
    int fd = ((Connection *)op)->fd;
    if (size > SHARED) return receive_large(fd, size);
    for (;;) {
        ssize_t count = recv(fd, room, (size_t)size, 0);
        if (count >= 0) return PyBytes_FromStringAndSize(room, count);
        if (!interrupted()) return NULL;
    }
}

static PyObject *connection_recv_into(PyObject *op, PyObject *const *args, Py_ssize_t nargs) {
    Py_buffer view;
    if (!has_arguments("recv_into", nargs, 1, 1) ||
        PyObject_GetBuffer(args[0], &view, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    int fd = ((Connection *)op)->fd;
    ssize_t count;
    do {
        COPY(view.len, count = recv(fd, view.buf, (size_t)view.len, 0));
    } while (count < 0 && interrupted());
    PyBuffer_Release(&view);
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *send_from(int fd, const char *start, Py_ssize_t size, int flags) {
    ssize_t count;
    do {
        COPY(size, count = send(fd, start, (size_t)size, flags));
    } while (count < 0 && interrupted());
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *connection_send(PyObject *op, PyObject *const *args, Py_ssize_t nargs) {
    int flags = 0;
    if (!has_arguments("send", nargs, 1, 2) || (nargs == 2 && !as_int(args[1], &flags))) {
        return NULL;
    }
    int fd = ((Connection *)op)->fd;
    if (PyBytes_CheckExact(args[0])) {
        return send_from(fd, PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]), flags);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0) return NULL;
    PyObject *sent = send_from(fd, view.buf, view.len, flags);
    PyBuffer_Release(&view);
    return sent;
}

/* sendmsg(chunks, (), flags) for a short list without ancillary data; the rest is forwarded. */
static PyObject *connection_sendmsg(PyObject *op, PyObject *const *args, Py_ssize_t nargs) {
    int flags = 0;
    if (nargs != 3 || !PyList_CheckExact(args[0]) || PyList_GET_SIZE(args[0]) > CHUNKS ||
        !PyTuple_CheckExact(args[1]) || PyTuple_GET_SIZE(args[1])) {
        return forward_call(op, state_of(op)->sendmsg, args, nargs);
    }
    if (!as_int(args[2], &flags)) return NULL;
    Py_buffer views[CHUNKS];
    struct iovec parts[CHUNKS];
    Py_ssize_t held = 0;
    size_t size = 0;
    ssize_t count = -1;
    for (; held < PyList_GET_SIZE(args[0]) && held < CHUNKS; held++) {
        PyObject *chunk = PySequence_GetItem(args[0], held);
        int code = chunk == NULL ? -1 : PyObject_GetBuffer(chunk, &views[held], PyBUF_SIMPLE);
        Py_XDECREF(chunk);
        if (code < 0) goto done;
        parts[held].iov_base = views[held].buf;
        parts[held].iov_len = (size_t)views[held].len;
        size += (size_t)views[held].len;
    }
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = held; /* its type differs between systems */
    int fd = ((Connection *)op)->fd;
    do {
        COPY(size, count = sendmsg(fd, &message, flags));
    } while (count < 0 && interrupted());
done:
    while (held--) PyBuffer_Release(&views[held]);
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *connection_setsockopt(PyObject *op, PyObject *const *args, Py_ssize_t nargs) {
    int level, name, value;
    if (nargs != 3 || !PyLong_CheckExact(args[2])) {
        return forward_call(op, state_of(op)->setsockopt, args, nargs);
    }
    if (!as_int(args[0], &level) || !as_int(args[1], &name) || !as_int(args[2], &value)) {
        return NULL;
    }
    if (setsockopt(((Connection *)op)->fd, level, name, &value, sizeof value) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

/* An IP address as the socket module gives it; that of another family is forwarded. A socket object
 * made only to be asked for one costs five system calls. */
static PyObject *name_of(PyObject *op, PyObject *name,
                         int (*ask)(int, struct sockaddr *, socklen_t *)) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } at;
    socklen_t size = sizeof at;
    char text[INET6_ADDRSTRLEN];
    if (ask(((Connection *)op)->fd, &at.any, &size) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    if (size >= sizeof at.v4 && at.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &at.v4.sin_addr, text, sizeof text);
        return Py_BuildValue("si", text, (int)ntohs(at.v4.sin_port));
    }
    if (size >= sizeof at.v6 && at.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &at.v6.sin6_addr, text, sizeof text);
        return Py_BuildValue("siII", text, (int)ntohs(at.v6.sin6_port),
                             (unsigned)ntohl(at.v6.sin6_flowinfo), (unsigned)at.v6.sin6_scope_id);
    }
    return forward_call(op, name, NULL, 0);
}

static PyObject *connection_getpeername(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    return name_of(op, state_of(op)->getpeername, getpeername);
}

static PyObject *connection_getsockname(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    return name_of(op, state_of(op)->getsockname, getsockname);
}

/* The address of the peer as bytes: 4, also where IPv6 carries IPv4, or 16; None of other families.
 * Limits on peers ask for it at each connection; as text it costs 4,000 instructions more. */
static PyObject *connection_peer_key(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } at;
    socklen_t size = sizeof at;
    if (getpeername(((Connection *)op)->fd, &at.any, &size) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (size >= sizeof at.v4 && at.any.sa_family == AF_INET) {
        return PyBytes_FromStringAndSize((const char *)&at.v4.sin_addr, 4);
    }
    if (size >= sizeof at.v6 && at.any.sa_family == AF_INET6) {
        const char *bytes = (const char *)&at.v6.sin6_addr;
        int mapped = IN6_IS_ADDR_V4MAPPED(&at.v6.sin6_addr);
        return PyBytes_FromStringAndSize(mapped ? bytes + 12 : bytes, mapped ? 4 : 16);
    }
    Py_RETURN_NONE;
}

static PyObject *connection_shutdown(PyObject *op, PyObject *how) {
    int value;
    if (!as_int(how, &value)) return NULL;
    if (shutdown(((Connection *)op)->fd, value) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *connection_fileno(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    return PyLong_FromLong(((Connection *)op)->fd);
}

static PyObject *connection_close(PyObject *op, PyObject *Py_UNUSED(nothing)) {
    Connection *self = (Connection *)op;
    int fd = self->fd, code = 0;
    self->fd = -1;
    if (self->sock != NULL) return PyObject_CallMethodNoArgs(self->sock, state_of(op)->close);
    if (fd >= 0) {
        Py_BEGIN_ALLOW_THREADS
        code = close(fd);
        Py_END_ALLOW_THREADS
    }
    /* FreeBSD and macOS tell that the peer has reset the connection; it is closed all the same. */
    if (code < 0 && errno != ECONNRESET) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *connection_repr(PyObject *op) {
    return PyUnicode_FromFormat("<Connection fd=%d>", ((Connection *)op)->fd);
}

static void connection_finalize(PyObject *op) {
    Connection *self = (Connection *)op;
    if (self->fd < 0 || self->sock != NULL) {
        return; /* a socket object looks after itself */
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyErr_ResourceWarning(op, 1, "unclosed %R", op) < 0) PyErr_WriteUnraisable(op);
    close(self->fd);
    self->fd = -1;
    PyErr_Restore(type, value, traceback);
}

static void connection_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    if (PyObject_CallFinalizerFromDealloc(op) < 0) return;
    Py_CLEAR(((Connection *)op)->sock);
    PyObject_Free(op);
    Py_DECREF(type);
}

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))connection_##name, METH_FASTCALL, NULL}

static PyMethodDef connection_methods[] = {
    METHOD(recv),
    METHOD(recv_into),
    METHOD(send),
    METHOD(sendmsg),
    METHOD(setsockopt),
    {"getpeername", connection_getpeername, METH_NOARGS, NULL},
    {"getsockname", connection_getsockname, METH_NOARGS, NULL},
    {"peer_key", connection_peer_key, METH_NOARGS, NULL},
    {"shutdown", connection_shutdown, METH_O, NULL},
    {"fileno", connection_fileno, METH_NOARGS, NULL},
    {"close", connection_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define FORWARD(index, name) {name, connection_forward, NULL, NULL, (void *)(intptr_t)index}
static PyGetSetDef connection_getset[] = {FORWARDED(FORWARD), {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot connection_slots[] = {
    {Py_tp_new, connection_new},           {Py_tp_dealloc, connection_dealloc},
    {Py_tp_finalize, connection_finalize}, {Py_tp_repr, connection_repr},
    {Py_tp_methods, connection_methods},   {Py_tp_getset, connection_getset},
    {0, NULL},
};

static PyType_Spec connection_spec = {
    .name = "tailrace._handles._kernel.Connection",
    .basicsize = sizeof(Connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = connection_slots,
};

/* -- functions ---------------------------------------------------------------------------- */

/* accept(listening socket or descriptor): a Connection, or None when nobody waits. */
static PyObject *kernel_accept(PyObject *module, PyObject *source) {
    int listening = PyObject_AsFileDescriptor(source);
    if (listening < 0) return NULL;
    int fd;
    do {
#ifdef SOCK_NONBLOCK
        fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else /* macOS */
        fd = accept(listening, NULL, NULL);
        if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
            PyErr_SetFromErrno(PyExc_OSError);
            close(fd);
            return NULL;
        }
#endif
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) Py_RETURN_NONE;
    } while (fd < 0 && interrupted());
    if (fd < 0) return NULL;
    PyObject *connection = new_connection(PyModule_GetState(module), fd, NULL);
    if (connection == NULL) close(fd);
    return connection;
}

#ifdef __linux__

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Seconds as epoll_wait wants them: ms, rounded up as select.epoll does; -1 for ever. */
static int milliseconds(PyObject *timeout, int *out) {
    *out = -1;
    if (timeout == Py_None) return 1;
    double ms = ceil(PyFloat_AsDouble(timeout) * 1e3);
    if (PyErr_Occurred()) return 0;
    if (isnan(ms)) {
        PyErr_SetString(PyExc_ValueError, "the timeout is not a number");
        return 0;
    }
    if (ms > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the timeout is too large");
        return 0;
    }
    if (ms >= 0) *out = (int)ms;
    return 1;
}

static int wait_for(int epoll, struct epoll_event *found, int most, int ms) {
    double deadline = ms > 0 ? now() + ms * 1e-3 : 0;
    for (;;) {
        int count;
        if (ms == 0) count = epoll_wait(epoll, found, most, 0);
        else {
            Py_BEGIN_ALLOW_THREADS
            count = epoll_wait(epoll, found, most, ms);
            Py_END_ALLOW_THREADS
        }
        if (count >= 0 || !interrupted()) return count;
        if (ms > 0) {
            double left = ceil((deadline - now()) * 1e3);
            ms = left > 0 ? (int)left : 0;
        }
    }
}

/* epoll_wait(epoll descriptor, seconds or None, how many at the most): [(descriptor, mask), ...] */
static PyObject *kernel_epoll_wait(PyObject *Py_UNUSED(module), PyObject *const *args,
                                   Py_ssize_t nargs) {
    struct epoll_event found[EVENTS];
    int epoll, ms, most;
    if (!has_arguments("epoll_wait", nargs, 3, 3) || !as_int(args[0], &epoll) ||
        !milliseconds(args[1], &ms) || !as_int(args[2], &most)) {
        return NULL;
    }
    if (most < 1) {
        PyErr_SetString(PyExc_ValueError, "epoll_wait asks for one event or more");
        return NULL;
    }
    int count = wait_for(epoll, found, most < EVENTS ? most : EVENTS, ms);
    PyObject *list = count < 0 ? NULL : PyList_New(count);
    for (int index = 0; list != NULL && index < count; index++) {
        PyObject *fd = PyLong_FromLong(found[index].data.fd);
        PyObject *mask = PyLong_FromUnsignedLong(found[index].events);
        PyObject *pair = fd == NULL || mask == NULL ? NULL : PyTuple_New(2);
        if (pair == NULL) {
            Py_XDECREF(fd);
            Py_XDECREF(mask);
            Py_CLEAR(list);
            break;
        }
        PyTuple_SET_ITEM(pair, 0, fd);
        PyTuple_SET_ITEM(pair, 1, mask);
        PyList_SET_ITEM(list, index, pair);
    }
    return list;
}

/* epoll_ctl(epoll descriptor, operation, descriptor, mask): None. It never waits. */
static PyObject *kernel_epoll_ctl(PyObject *Py_UNUSED(module), PyObject *const *args,
                                  Py_ssize_t nargs) {
    int epoll, operation, fd, mask;
    if (!has_arguments("epoll_ctl", nargs, 4, 4) || !as_int(args[0], &epoll) ||
        !as_int(args[1], &operation) || !as_int(args[2], &fd) || !as_int(args[3], &mask)) {
        return NULL;
    }
    struct epoll_event event = {.events = (uint32_t)mask, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

#endif

/* -- the module --------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"accept", kernel_accept, METH_O, NULL},
#ifdef __linux__
    {"epoll_ctl", (PyCFunction)(void (*)(void))kernel_epoll_ctl, METH_FASTCALL, NULL},
    {"epoll_wait", (PyCFunction)(void (*)(void))kernel_epoll_wait, METH_FASTCALL, NULL},
#endif
    {NULL, NULL, 0, NULL},
};

static int kernel_exec(PyObject *module) {
    State *state = PyModule_GetState(module);
    PyObject *socket = PyImport_ImportModule("socket");
    if (socket == NULL) return -1;
    state->socket = PyObject_GetAttrString(socket, "SocketType");
    Py_DECREF(socket);
    state->close = PyUnicode_InternFromString("close");
    state->getpeername = PyUnicode_InternFromString("getpeername");
    state->getsockname = PyUnicode_InternFromString("getsockname");
    state->sendmsg = PyUnicode_InternFromString("sendmsg");
    state->setsockopt = PyUnicode_InternFromString("setsockopt");
    for (int index = 0; index < NAMES; index++) {
        state->names[index] = PyUnicode_InternFromString(forwarded[index]);
    }
    if (PyErr_Occurred()) return -1;
    state->connection = (PyTypeObject *)PyType_FromModuleAndSpec(module, &connection_spec, NULL);
    if (state->connection == NULL) return -1;
    return PyModule_AddType(module, state->connection);
}

static int kernel_traverse(PyObject *module, visitproc visit, void *arg) {
    State *state = PyModule_GetState(module);
    Py_VISIT(state->connection);
    Py_VISIT(state->socket);
    return 0;
}

static int kernel_clear(PyObject *module) {
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->connection);
    Py_CLEAR(state->socket);
    Py_CLEAR(state->close);
    Py_CLEAR(state->getpeername);
    Py_CLEAR(state->getsockname);
    Py_CLEAR(state->sendmsg);
    Py_CLEAR(state->setsockopt);
    for (int index = 0; index < NAMES; index++) Py_CLEAR(state->names[index]);
    return 0;
}

static void kernel_free(void *module) {
    kernel_clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, kernel_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tailrace._handles._kernel",
    .m_doc = "The system calls of a connection; see _kernel.pyi.",
    .m_size = sizeof(State),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = kernel_traverse,
    .m_clear = kernel_clear,
    .m_free = kernel_free,
};

PyMODINIT_FUNC
PyInit__kernel(void)
{
    return PyModuleDef_Init(&definition);
}
