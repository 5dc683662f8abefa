/* Registries fill themselves: a file that defines an Arch, a Peft, an Experiment or a Command also adds
 * REGISTER(kind, symbol), which puts a pointer to it into a linker section named after the kind.  Adding one
 * is adding its file; nothing else is edited.
 *
 *   const Peft PEFT_LORA = {.name = "lora", ...};
 *   REGISTER(peft, PEFT_LORA)                         at the end of its file
 *
 *   REGISTRY(Peft, peft)                              once, where the kind is listed
 *   for (const Peft *const *p = peft_begin(); p < peft_end(); p++) ...
 *
 * Order within a section is link order (files sorted by name); whoever prints a list sorts it.  Objects must
 * be linked directly, not through a static library, or the linker would leave unreferenced ones out.
 */
#ifndef BASE_REGISTRY_H
#define BASE_REGISTRY_H

#define REGISTER(kind, symbol)                                                                                       \
    static const void *const kind##_entry_##symbol __attribute__((used, section("registry_" #kind))) = &symbol;

#define REGISTRY(type, kind)                                                                                         \
    extern const type *const __start_registry_##kind[] __attribute__((weak));                                        \
    extern const type *const __stop_registry_##kind[] __attribute__((weak));                                         \
    static inline const type *const *kind##_begin(void)                                                              \
    {                                                                                                                \
        return __start_registry_##kind;                                                                              \
    }                                                                                                                \
    static inline const type *const *kind##_end(void)                                                                \
    {                                                                                                                \
        return __stop_registry_##kind;                                                                               \
    }

#endif
