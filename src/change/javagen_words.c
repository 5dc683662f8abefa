/* The words of synthetic Java. */
#include "change/javagen_words.h"

const char *const JAVA_VERB[JAVA_VERBS] = {
    "get",    "set",     "compute", "find",  "update", "check",  "is",     "has",    "add",
    "remove", "read",    "write",   "parse", "build",  "create", "count",  "load",   "copy",
    "reset",  "convert", "merge",   "apply", "handle", "print",  "encode", "decode", "sort",
    "search", "scale",   "fill",    "draw",  "next",   "to",     "from",   "insert", "validate"};
const char *const JAVA_NOUN[JAVA_NOUNS] = {
    "value",  "index",  "size",  "width", "height",  "total",   "count",  "sum",      "offset",   "length",
    "node",   "name",   "key",   "item",  "list",    "array",   "buffer", "data",     "line",     "token",
    "price",  "rate",   "score", "level", "limit",   "weight",  "time",   "date",     "row",      "column",
    "cell",   "point",  "angle", "speed", "color",   "state",   "status", "flag",     "mode",     "code",
    "type",   "id",     "user",  "file",  "path",    "message", "result", "input",    "output",   "matrix",
    "vector", "factor", "step",  "range", "average", "error",   "hash",   "position", "distance", "byte"};
const char *const JAVA_ADJECTIVE[JAVA_ADJECTIVES] = {
    "max",   "min",    "first", "last",  "next",  "old",   "new",   "current", "start",
    "end",   "left",   "right", "total", "base",  "raw",   "valid", "empty",   "default",
    "local", "remote", "temp",  "final", "inner", "outer", "prev",  "best",    "upper"};
const char *const JAVA_FLAG[JAVA_FLAGS] = {"found",   "done",    "valid",   "enabled", "visible", "ready",
                                           "empty",   "active",  "changed", "sorted",  "closed",  "running",
                                           "success", "reverse", "strict",  "debug"};
