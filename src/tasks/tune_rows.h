/* validation.jsonl: the output of the finished predictor on each validation example, a line of JSON, so that two
 * runs can be compared on the same examples (vernier compare) and scored by other programs.
 *
 *     {"id": "3f2a..", "label": 1, "score": 0.73, "predicted": 1}       a class
 *     {"id": "12", "label": "java", "predicted": "c"}                   with two classes also the score of the second
 *     {"id": "12", "label": 2.5, "predicted": 2.1, "loss": 0.16}        a number, and its squared error
 *     {"id": "12", "loss": 2.31, "tokens": 40}                          a text: mean nats of its scored tokens */
#ifndef TASKS_TUNE_ROWS_H
#define TASKS_TUNE_ROWS_H

#include "tasks/tune.h"

#define TUNE_ROWS "validation.jsonl"

Status tune_rows_defects(const TuneJob *, const double *score, double threshold); /* of j->valid */
/* The user's own classes or numbers: of j->own_valid. */
Status tune_rows_own(const TuneJob *, const OwnPredictions *);
/* Scores each text of its own: one forward pass more. */
Status tune_rows_texts(const TuneJob *, Predictor *, const LmTexts *);

#endif
