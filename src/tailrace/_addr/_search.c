/* Whether a staircase of IPv4 rules covers an address: the one question of a block list that a
 * server asks at each connection.
 *
 * In Python it takes a call for each of inet_pton, int.from_bytes, the method and two bisections:
 * 300 ns where there are ten rules. Here it is one call. The structure is that of `intervals.py`,
 * which changes it and stays its only writer; without this module the question is answered there,
 * with the same results.
 *
 * It refuses to know rules, families and what is no address; a negative answer is all it gives.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <arpa/inet.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

enum { FIRSTS, KEYS, HEIGHTS, BASES, LISTS };

/* The address as a number: of text, or of four bytes in network order. 0: it is none. */
static int number_of(PyObject *address, uint32_t *out) {
    uint32_t packed;
    if (PyBytes_Check(address)) {
        if (PyBytes_GET_SIZE(address) != sizeof packed) return 0;
        memcpy(&packed, PyBytes_AS_STRING(address), sizeof packed);
    } else {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(address, &size);
        if (text == NULL) { /* a lone surrogate, or no text */
            PyErr_Clear();
            return 0;
        }
        if (strlen(text) != (size_t)size || inet_pton(AF_INET, text, &packed) != 1) return 0;
    }
    *out = ntohl(packed);
    return 1;
}

/* The index of the last of the first keys that is not above `point`; -1 with an exception. */
static Py_ssize_t block_of(PyObject *firsts, uint32_t point) {
    Py_ssize_t low = 0, high = PyList_GET_SIZE(firsts);
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        unsigned long first = PyLong_AsUnsignedLong(PyList_GET_ITEM(firsts, middle));
        if (first == (unsigned long)-1 && PyErr_Occurred()) return -1;
        if (first > point) high = middle;
        else low = middle + 1;
    }
    if (low == 0) PyErr_SetString(PyExc_ValueError, "a staircase begins at 0");
    return low - 1;
}

/* The height of one block's staircase at `point`, to *height; 0 with an exception. */
static int height_in(PyObject *keys, PyObject *values, uint32_t point, int *height) {
    Py_buffer steps, heights;
    if (PyObject_GetBuffer(keys, &steps, PyBUF_SIMPLE) < 0) return 0;
    if (PyObject_GetBuffer(values, &heights, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&steps);
        return 0;
    }
    const uint32_t *key = steps.buf;
    size_t low = 0, high = (size_t)steps.len / sizeof *key;
    int known = high > 0 && (size_t)heights.len / sizeof *height == high && *key <= point;
    while (known && high - low > 1) {
        size_t middle = (low + high) / 2;
        if (key[middle] > point) high = middle;
        else low = middle;
    }
    if (known) *height = ((const int *)heights.buf)[low];
    else PyErr_SetString(PyExc_ValueError, "a block has a height for each step");
    PyBuffer_Release(&steps);
    PyBuffer_Release(&heights);
    return known;
}

/* covers_v4(address, (firsts, keys, heights, bases)): the lists of a CoverageV4. */
static PyObject *covers_v4(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs) {
    if (nargs != 2 || !PyTuple_Check(args[1]) || PyTuple_GET_SIZE(args[1]) != LISTS) {
        PyErr_SetString(PyExc_TypeError, "covers_v4() takes an address and four lists");
        return NULL;
    }
    PyObject **lists = &PyTuple_GET_ITEM(args[1], 0);
    for (int index = 0; index < LISTS; index++) {
        if (!PyList_Check(lists[index])) {
            PyErr_SetString(PyExc_TypeError, "covers_v4() takes an address and four lists");
            return NULL;
        }
    }
    uint32_t point;
    if (!number_of(args[0], &point)) Py_RETURN_FALSE;
    Py_ssize_t block = block_of(lists[FIRSTS], point);
    if (block < 0) return NULL;
    for (int index = KEYS; index < LISTS; index++) {
        if (PyList_GET_SIZE(lists[index]) <= block) {
            PyErr_SetString(PyExc_ValueError, "the lists are of one length");
            return NULL;
        }
    }
    long base = PyLong_AsLong(PyList_GET_ITEM(lists[BASES], block));
    if (base == -1 && PyErr_Occurred()) return NULL;
    int height;
    if (!height_in(PyList_GET_ITEM(lists[KEYS], block), PyList_GET_ITEM(lists[HEIGHTS], block),
                   point, &height)) {
        return NULL;
    }
    return PyBool_FromLong(height + base > 0);
}

static PyMethodDef functions[] = {
    {"covers_v4", (PyCFunction)(void (*)(void))covers_v4, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tailrace._addr._search",
    .m_doc = "The question of a block list; see _search.pyi.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__search(void)
{
    return PyModuleDef_Init(&definition);
}
