/* Registries fill themselves: a file that defines an Arch, a Peft, an Experiment or a Command also says
 * REGISTER(kind, symbol), which adds a pointer to it when the program starts.  Adding one is adding its file; nothing
 * else is edited.
 *
 *   const Peft PEFT_LORA = {.name = "lora", ...};
 *   REGISTER(peft, PEFT_LORA)                         at the end of its file
 *
 *   REGISTRY(Peft, peft)                              once, where the kind is listed
 *   for (const Peft *const *p = peft_begin(); p < peft_end(); p++) ...
 *
 * A program that links libvernier sees the library's entries and then its own, in one list.  Within one object the
 * order is link order (files sorted by name); whoever prints a list sorts it.  The static library is a single object,
 * so that the linker leaves no entry out.
 */
#ifndef BASE_REGISTRY_H
#define BASE_REGISTRY_H

enum { REGISTRY_KINDS = 16, REGISTRY_MOST = 256 }; /* kinds, and entries of one kind */

void registry_add(const char *kind, const void *entry); /* a programmer error when there is no room */
const void *const *registry_begin(const char *kind);
const void *const *registry_end(const char *kind); /* equals the beginning where nothing was added */

#define REGISTER(kind, symbol)                                                                                       \
    __attribute__((constructor)) static void kind##_enters_##symbol(void)                                            \
    {                                                                                                                \
        registry_add(#kind, &symbol);                                                                                \
    }

#define REGISTRY(type, kind)                                                                                         \
    static inline const type *const *kind##_begin(void)                                                              \
    {                                                                                                                \
        return (const type *const *)registry_begin(#kind);                                                           \
    }                                                                                                                \
    static inline const type *const *kind##_end(void)                                                                \
    {                                                                                                                \
        return (const type *const *)registry_end(#kind);                                                             \
    }

#endif
