/* The files of torch.save: pytorch_model.bin and *.pt, as the zip of torch 1.6 and later or as the stream of five
 * pickles before it.  A zip is mapped and its tensors used in place; strided, expanded and overlapping views become
 * copies.  Nothing in the file is ever run (io/pickle.h).
 *
 * The tensors are the state dict's: the top-level dict itself, or its member `key`, or a member of one of the usual
 * names ("state_dict", "model", "module", ...), also within another; of these the one with the most tensors.  A
 * prefix "module." that all names have is dropped.  Tied weights are two names over the same bytes.
 *
 * Format: torch/serialization.py (containers), APPNOTE.TXT 6.3 of PKWARE (zip, zip64). */
#ifndef IO_TORCH_H
#define IO_TORCH_H

#include "io/weights.h"

Status torch_open(Weights **out, Arena *run, const char *path, const char *key); /* E_IO, E_FORMAT */
bool torch_looks_like(const char *first, size_t n);                              /* by the first bytes of a file */
/* The globals that the pickles of a file would import, "module name" each, known or not; nothing is loaded. */
Status torch_globals(const char ***names, int *n, Arena *, const char *path);
/* A state dict of these tensors, in their order, as torch.save writes it today; tensors over the same bytes share
 * a storage.  Through a temporary file.  E_MISMATCH: a dtype that torch has no storage for (U16, U32). */
Status torch_write(const char *path, const Stored *, int n);

#endif
