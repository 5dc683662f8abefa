/* Published ways of tuning under their own names: a method with the settings that its paper trained with.  Each of
 * them is a default that an option replaces.
 *
 *   jit-fine    Ni et al., FSE 2022: the whole encoder is trained, with a head on its first state and the features
 *   cct5        Lin et al., FSE 2023: the same on CCT5, with a weighted focal loss.  Its 2,500 steps, with an evaluation
 *               every 100, are five epochs of five evaluations on JIT-Defects4J
 *
 * CCT5's published code makes its optimiser before it replaces the head by a fresh one.  That head is in no group of
 * parameters, so it stays as it was drawn, and the encoder is trained against it.  Before a head on the text alone the
 * dropout never stops, so predictions are random draws.  Features are standardised on each split by itself, and `fix`
 * is lost.  --as-published keeps all of these. */
#ifndef TASKS_RECIPE_H
#define TASKS_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *name, *title, *source;
    const char *task, *method; /* "jit", "full" */
    double lr;
    int64_t epochs, batch, evaluations, patience; /* TuneOptions */
    bool focal;                                   /* the loss */
    double weight;  /* of a defective commit in it, against 1 of another; 0: as the loss has it */
    double dropout; /* before a head on the text alone; 0: the model's */
    bool published; /* there is another form, with the defects of the published code */
} Recipe;
extern const Recipe RECIPES[];               /* ends with a NULL name */
const Recipe *recipe_find(const char *name); /* NULL: none; name may be NULL */

#endif
