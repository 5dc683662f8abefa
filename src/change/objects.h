/* The objects of a git repository: loose files and packs, of its own object directory and of the alternates that this
 * names, read without trusting any of them and handed to libgit2 as its object database.
 *
 * An object counts as read only when its bytes hash to its id, so damage of whatever kind costs the objects that it
 * hits and nothing else: they are reported by name, and the next copy of the object is tried first.  Replacements
 * (git replace) are followed here, for every type and for libgit2, too.  Multi-pack indices and commit graphs are not
 * used; git keeps the single indices beside them. */
#ifndef CHANGE_OBJECTS_H
#define CHANGE_OBJECTS_H

#include <git2.h>

#include "change/pack.h"

typedef enum { OBJECT_FOUND, OBJECT_MISSING, OBJECT_DAMAGED, OBJECT_STOPPED } ObjectState;

typedef struct Objects Objects;
Objects *objects_open(Arena *, const char *folder); /* .git/objects */
void objects_close(Objects *);
/* A database for git_repository_set_odb; NULL when libgit2 will not.  It must be freed before objects_close. */
git_odb *objects_database(Objects *);
void objects_replace(Objects *, const unsigned char id[20], const unsigned char by[20]);

ObjectState objects_read(Objects *, Arena *, const unsigned char id[20], Object *out);
ObjectState objects_header(Objects *, const unsigned char id[20], ObjectType *, size_t *size);

/* Whether an object that is not there is worth a remark: not while a name is looked up. */
void objects_missing_said(Objects *, bool);
void objects_partial(Objects *); /* missing objects were not fetched: reported once, and not counted as damage */
int64_t objects_damaged(const Objects *); /* different objects found damaged or (when worth a remark) missing */
/* The object that could not be read last, damaged or missing, since objects_forget; false: none. */
bool objects_failed(const Objects *, unsigned char id[20], ObjectState *);
void objects_forget(Objects *);
bool objects_promised(const Objects *); /* a pack comes from a promisor: the clone is a partial one */

/* Reading ends as soon as `stop` returns true; objects_stopped reports that it did. */
void objects_watch(Objects *, bool (*stop)(void));
bool objects_stopped(Objects *); /* calls `stop`, too */

/* Remarks of the database and of those who read from it, each reported once. */
void objects_note(Objects *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *objects_remark(Objects *); /* the next one; NULL when all are reported */
/* Of those not reported yet one that contains the word, or else the first; they stay unreported. */
const char *objects_reason(const Objects *, const char *word);

#endif
