/* A question to `vernier attend`: the options that every kind of answer shares, read and checked. */
#ifndef ANALYSIS_ASK_H
#define ANALYSIS_ASK_H

#include "analysis/page.h"
#include "cli/command.h"
#include "cli/output.h"
#include "run/run.h"

typedef struct {
    const Args *args;
    Arena *arena;
    PageAttention x;
    Model *model, *other;
    Hooks *hooks; /* of an adapter on the model */
    Tokenizer *tokenizer;
    LoadOptions load;      /* --dtype */
    Batch batch;           /* the model's input */
    Maps read[2];          /* of the model and of --base on it, for the chosen part; probs NULL: not read */
    const int32_t *target; /* (T) of a decoder that was given a text; NULL: its own next tokens */
    Progress progress;     /* of the progress that ask_going_on() shows */
    Folder folder;         /* where figures and tables go; arena NULL: nowhere */
} Ask;

Status ask_models(Ask *); /* --model (or --compare), --adapter, --base, --dtype, --part */
Status ask_maps(Ask *);   /* --layer, --head */
Status ask_number(Ask *); /* --number */
Status ask_format(Ask *); /* --format */
Status ask_tokenizer(Ask *);
Status ask_input(Ask *);     /* the same; --text or --ids, --source, --data-flow */
Status ask_data_flow(Ask *); /* part of that */

/* Work that takes a while: shows the progress; E_INTERRUPT once the user has stopped it. */
Status ask_going_on(Ask *, const char *phase, int64_t done, int64_t total);

/* The maps of the model and, with --base, of that one: a base that lacks the model's prefix gives it no attention.
 * rows: queries that have labels.  E_MISMATCH. */
Status ask_read(Ask *, Arena *, const Batch *, Part, int64_t rows, Maps *model, Maps *base);

#endif
