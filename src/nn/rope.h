/* Rotary positions of a stack: how fast each pair of channels turns, the angles of a pass's rows, and the keys of
 * config.json that say so, in the form of transformers 4 and in that of 5. */
#ifndef NN_ROPE_H
#define NN_ROPE_H

#include "io/json.h"
#include "nn/model.h"

int rope_dims(const Config *); /* channels of a head that turn: an even number, 0 without rotary positions */
/* Radians per position of each pair, in single precision as the reference computes them: rate (rope_dims() / 2).
 * local: of the layers with a window. */
void rope_rates(float *rate, const Config *, bool local);
/* The angles of n rows at these positions: tables (n, dims / 2) on the arena.  The other fields are the caller's. */
Turn rope_turn(Arena *, const float *rate, int64_t dims, const int32_t *position, int64_t n);

/* Reads rope_theta with rope_scaling, or rope_parameters, which has precedence; keys that are absent leave what is
 * there.  E_FORMAT: a rope_type that is not supported, or one without its numbers. */
Status rope_read(Rope *, const cJSON *root, const char *path);
void rope_write(const Rope *, cJSON *root);

/* The window of a layer, 0 for none; a window that no text of the model's length fills is none.  A local layer has
 * one by its type, whether it binds or not. */
int window_of(const Config *, int layer);
bool window_is_local(const Config *, int layer);
/* Reads layer_types, which says where the window is; absent, the config stays.  E_FORMAT: an unknown type, or an
 * order of layers that window_from and global_every cannot say. */
Status window_read(Config *, const cJSON *root, const char *path);
void window_write(const Config *, cJSON *root);

#endif
