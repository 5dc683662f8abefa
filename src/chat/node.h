/* The tree of a template, between parser and evaluation. */
#ifndef CHAT_NODE_H
#define CHAT_NODE_H

#include "chat/template.h"

typedef enum { /* statements */
               N_TEXT,
               N_OUTPUT,
               N_IF,    /* child: condition, then, else */
               N_FOR,   /* name(s) in `kids`' targets; child: list, filter, body, else */
               N_SET,   /* child: target, value */
               N_BLOCK, /* kids: statements */
               N_SET_BLOCK,
               N_MACRO,
               N_BREAK,
               N_CONTINUE, /* expressions from here on */
               N_LITERAL,
               N_NAME,
               N_LIST,
               N_DICT, /* kids: key, value, key, value */
               N_ITEM, /* child: object, index */
               N_SLICE,
               N_CALL,   /* child: function; kids: arguments */
               N_FILTER, /* child: input; name; kids: arguments */
               N_TEST,
               N_NOT,
               N_MINUS,
               N_BINARY,  /* name: the operator; child: both sides */
               N_COMPARE, /* the same of ==, <, in, ... */
               N_AND,
               N_OR,
               N_TERNARY /* child: condition, then, else */
} NodeKind;
typedef struct Node Node;
struct Node {
    NodeKind kind;
    int line;
    Value value;      /* of a literal, or a text */
    const char *name; /* of a variable, attribute, filter, test, operator, macro, or of a named argument */
    Node *child[4];
    Node **kid;
    int n, room;
};
struct Template {
    Node *root;
    const char *path;
};

enum { NODE_DEPTH = 200 };

#endif
