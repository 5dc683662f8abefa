/* Keywords are those of the languages' own references; a word reserved in some places only (var, record,
 * async) is an identifier, because most of its uses are. */
#include "text/lex_table.h"

#include <string.h>

static const char *const NOTHING[] = {NULL};

static const char *const JAVA_WORDS[] = {
    "_",         "abstract", "assert", "break",   "case",         "catch",     "class",      "const",
    "continue",  "default",  "do",     "else",    "enum",         "extends",   "false",      "final",
    "finally",   "for",      "goto",   "if",      "implements",   "import",    "instanceof", "interface",
    "native",    "new",      "null",   "package", "private",      "protected", "public",     "return",
    "static",    "strictfp", "super",  "switch",  "synchronized", "this",      "throw",      "throws",
    "transient", "true",     "try",    "void",    "volatile",     "while",     NULL};
static const char *const JAVA_TYPES[] = {"boolean", "byte", "char", "double", "float", "int", "long", "short", NULL};

static const char *const C_WORDS[] = {"_Alignas",       "_Alignof",      "_Atomic",  "_Generic", "_Noreturn",
                                      "_Static_assert", "_Thread_local", "auto",     "break",    "case",
                                      "const",          "continue",      "default",  "do",       "else",
                                      "enum",           "extern",        "for",      "goto",     "if",
                                      "inline",         "register",      "restrict", "return",   "sizeof",
                                      "static",         "struct",        "switch",   "typedef",  "union",
                                      "void",           "volatile",      "while",    NULL};
static const char *const C_TYPES[] = {"_Bool", "_Complex", "bool",  "char",   "double",   "float",
                                      "int",   "long",     "short", "signed", "unsigned", NULL};

static const char *const CPP_WORDS[] = {
    "alignas",    "alignof",   "and",       "and_eq",       "asm",           "auto",
    "bitand",     "bitor",     "break",     "case",         "catch",         "class",
    "co_await",   "co_return", "co_yield",  "compl",        "concept",       "const",
    "const_cast", "consteval", "constexpr", "constinit",    "continue",      "decltype",
    "default",    "delete",    "do",        "dynamic_cast", "else",          "enum",
    "explicit",   "export",    "extern",    "false",        "for",           "friend",
    "goto",       "if",        "inline",    "mutable",      "namespace",     "new",
    "noexcept",   "not",       "not_eq",    "nullptr",      "operator",      "or",
    "or_eq",      "private",   "protected", "public",       "register",      "reinterpret_cast",
    "requires",   "return",    "sizeof",    "static",       "static_assert", "static_cast",
    "struct",     "switch",    "template",  "this",         "thread_local",  "throw",
    "true",       "try",       "typedef",   "typeid",       "typename",      "union",
    "using",      "virtual",   "void",      "volatile",     "while",         "xor",
    "xor_eq",     NULL};
static const char *const CPP_TYPES[] = {"bool", "char", "char16_t", "char32_t", "char8_t",  "double",  "float",
                                        "int",  "long", "short",    "signed",   "unsigned", "wchar_t", NULL};

static const char *const CSHARP_WORDS[] = {
    "abstract",  "as",         "base",     "break",     "case",      "catch",    "checked",  "class",    "const",
    "continue",  "default",    "delegate", "do",        "else",      "enum",     "event",    "explicit", "extern",
    "false",     "finally",    "fixed",    "for",       "foreach",   "goto",     "if",       "implicit", "in",
    "interface", "internal",   "is",       "lock",      "namespace", "new",      "null",     "operator", "out",
    "override",  "params",     "private",  "protected", "public",    "readonly", "ref",      "return",   "sealed",
    "sizeof",    "stackalloc", "static",   "struct",    "switch",    "this",     "throw",    "true",     "try",
    "typeof",    "unchecked",  "unsafe",   "using",     "virtual",   "void",     "volatile", "while",    NULL};
static const char *const CSHARP_TYPES[] = {"bool",   "byte",  "char",  "decimal", "double", "float", "int",    "long",
                                           "object", "sbyte", "short", "string",  "uint",   "ulong", "ushort", NULL};

static const char *const PYTHON_WORDS[] = {
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield",    NULL};

static const char *const JAVASCRIPT_WORDS[] = {
    "async",    "await",  "break",  "case",   "catch",      "class",   "const", "continue", "debugger",
    "default",  "delete", "do",     "else",   "export",     "extends", "false", "finally",  "for",
    "function", "if",     "import", "in",     "instanceof", "let",     "new",   "null",     "of",
    "return",   "static", "super",  "switch", "this",       "throw",   "true",  "try",      "typeof",
    "var",      "void",   "while",  "with",   "yield",      NULL};

static const StringForm PLAIN[] = {{"\"", "\"", .escapes = true}, {"'", "'", .escapes = true}, {0}};
static const StringForm JAVA_STRINGS[] = {{"\"\"\"", "\"\"\"", .escapes = true, .lines = true},
                                          {"\"", "\"", .escapes = true},
                                          {"'", "'", .escapes = true},
                                          {0}};
static const StringForm CSHARP_STRINGS[] = {{"$@\"", "\"", .lines = true, .doubled = true},
                                            {"@$\"", "\"", .lines = true, .doubled = true},
                                            {"@\"", "\"", .lines = true, .doubled = true},
                                            {"$\"", "\"", .escapes = true},
                                            {"\"", "\"", .escapes = true},
                                            {"'", "'", .escapes = true},
                                            {0}};
static const StringForm PYTHON_STRINGS[] = {{"\"\"\"", "\"\"\"", .escapes = true, .lines = true},
                                            {"'''", "'''", .escapes = true, .lines = true},
                                            {"\"", "\"", .escapes = true},
                                            {"'", "'", .escapes = true},
                                            {0}};
static const StringForm JAVASCRIPT_STRINGS[] = {{"`", "`", .escapes = true, .lines = true, .holes = true},
                                                {"\"", "\"", .escapes = true},
                                                {"'", "'", .escapes = true},
                                                {0}};

static const char *const C_OPERATORS[] = {"<<=", ">>=", "...", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=",
                                          "&&",  "||",  "+=",  "-=", "*=", "/=", "%=", "&=", "^=", "|=", "##", NULL};
static const char *const CPP_OPERATORS[] = {"<<=", ">>=", "...", "->*", "<=>", "->", "++", "--", "<<", ">>",
                                            "<=",  ">=",  "==",  "!=",  "&&",  "||", "+=", "-=", "*=", "/=",
                                            "%=",  "&=",  "^=",  "|=",  "::",  ".*", "##", NULL};
static const char *const JAVA_OPERATORS[] = {">>>=", "<<=", ">>=", ">>>", "...", "->", "::", "++", "--",
                                             "<<",   ">>",  "<=",  ">=",  "==",  "!=", "&&", "||", "+=",
                                             "-=",   "*=",  "/=",  "%=",  "&=",  "^=", "|=", NULL};
static const char *const CSHARP_OPERATORS[] = {">>>=", "<<=", ">>=", ">>>", "\?\?=", "=>", "\?\?", "?.", "..", "->",
                                               "::",   "++",  "--",  "<<",  ">>",    "<=", ">=",   "==", "!=", "&&",
                                               "||",   "+=",  "-=",  "*=",  "/=",    "%=", "&=",   "^=", "|=", NULL};
static const char *const PYTHON_OPERATORS[] = {"**=", "//=", "<<=", ">>=", "...", "->", ":=", "**", "//",
                                               "<<",  ">>",  "<=",  ">=",  "==",  "!=", "+=", "-=", "*=",
                                               "/=",  "%=",  "&=",  "^=",  "|=",  "@=", NULL};
static const char *const JAVASCRIPT_OPERATORS[] = {
    ">>>=", "===",  "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "\?\?=", "...", "=>",
    "?.",   "\?\?", "**",  "++",  "--",  "<<",  ">>",  "<=",  ">=",  "==",    "!=",  "&&",
    "||",   "+=",   "-=",  "*=",  "/=",  "%=",  "&=",  "^=",  "|=",  NULL};

const LexTable LEX_TABLE[LANGS] = {
    [LANG_NONE] = {"none", "", NOTHING, NOTHING, NOTHING, PLAIN + 2, ""},
    [LANG_JAVA] = {"java", " .java ", JAVA_WORDS, JAVA_TYPES, JAVA_OPERATORS, JAVA_STRINGS, "", "//", "/*", "*/",
                   .dollar = true},
    [LANG_C] = {"c", " .c .h ", C_WORDS, C_TYPES, C_OPERATORS, PLAIN, "LuU8", "//", "/*", "*/", .digit_mark = '\''},
    [LANG_CPP] = {"cpp", " .cpp .cc .cxx .c++ .hpp .hh .hxx .ipp .inl ", CPP_WORDS, CPP_TYPES, CPP_OPERATORS, PLAIN,
                  "LuU8R", "//", "/*", "*/", .raw = true, .digit_mark = '\''},
    [LANG_CSHARP] = {"csharp", " .cs ", CSHARP_WORDS, CSHARP_TYPES, CSHARP_OPERATORS, CSHARP_STRINGS, "", "//", "/*",
                     "*/", .quotes = true},
    [LANG_PYTHON] = {"python", " .py .pyi ", PYTHON_WORDS, NOTHING, PYTHON_OPERATORS, PYTHON_STRINGS, "rRbBuUfF", "#",
                     NULL, NULL},
    [LANG_JAVASCRIPT] = {"javascript", " .js .jsx .mjs .cjs ", JAVASCRIPT_WORDS, NOTHING, JAVASCRIPT_OPERATORS,
                         JAVASCRIPT_STRINGS, "", "//", "/*", "*/", .regex = true, .dollar = true}};

const char *const LANG_NAMES[LANGS + 1] = {"none", "java", "c", "cpp", "csharp", "python", "javascript", NULL};

const char *lang_name(Lang lang)
{
    return LEX_TABLE[lang].name;
}

Lang lang_find(const char *name)
{
    for (int i = 1; i < LANGS; i++)
        if (!strcmp(LEX_TABLE[i].name, name)) return (Lang)i;
    return LANG_NONE;
}

Lang lang_of_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t n = dot ? strlen(dot) : 0;
    if (n < 2 || n > 8) return LANG_NONE;
    char word[16] = " ";
    for (size_t i = 0; i < n; i++) word[i + 1] = dot[i] >= 'A' && dot[i] <= 'Z' ? (char)(dot[i] + 32) : dot[i];
    strcpy(word + n + 1, " ");
    for (int i = 1; i < LANGS; i++)
        if (strstr(LEX_TABLE[i].endings, word)) return (Lang)i;
    return LANG_NONE;
}

const char *const *lang_primitives(Lang lang)
{
    return LEX_TABLE[lang].primitives;
}

/* The lists are short and most words miss at the first letter: a plain walk is as fast as anything. */
bool lex_listed(const char *const *sorted, const char *word, size_t n)
{
    for (; *sorted; sorted++) {
        if ((*sorted)[0] < word[0]) continue;
        if ((*sorted)[0] > word[0]) return false;
        if (strlen(*sorted) == n && !memcmp(*sorted, word, n)) return true;
    }
    return false;
}
