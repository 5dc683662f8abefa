/* The words of synthetic Java: methods are a verb and a noun, variables a noun, perhaps with an
 * adjective. */
#ifndef CHANGE_JAVAGEN_WORDS_H
#define CHANGE_JAVAGEN_WORDS_H

enum { JAVA_VERBS = 36, JAVA_NOUNS = 60, JAVA_ADJECTIVES = 27, JAVA_FLAGS = 16 };
extern const char *const JAVA_VERB[JAVA_VERBS];
extern const char *const JAVA_NOUN[JAVA_NOUNS];
extern const char *const JAVA_ADJECTIVE[JAVA_ADJECTIVES];
extern const char *const JAVA_FLAG[JAVA_FLAGS];

#endif
