"""The benchmark's parts, one module each, imported by the commands beside this folder.

`stats` is arithmetic, `peers` says how each server is started, `rows` what is measured with which
target, `launch` starts and watches processes, `build` compiles the C programs, `table` writes
Markdown.
"""
