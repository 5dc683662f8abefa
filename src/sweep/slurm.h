/* The script of a job array, one task for each cell.  A task runs `vernier sweep cell DIR`, which takes its cell from
 * SLURM_ARRAY_TASK_ID; one that ends with exit code 75, because Slurm takes its machine back or its time is over, is
 * requeued and continues. */
#ifndef SWEEP_SLURM_H
#define SWEEP_SLURM_H

#include "sweep/plan.h"

typedef struct {
    const char *const *option; /* "time=2:00:00", "exclusive": lines #SBATCH --... as they are */
    int options;
    int jobs; /* tasks at a time; 0: as many as Slurm starts */
} Slurm;

/* The script for the listed cells.  E_CONFIG: an option that is no line of a script. */
Status slurm_script(const char **text, const Slurm *, const Plan *, Arena *, const char *dir, int64_t n,
                    const int64_t *cell);
/* Writes it to DIR/sweep.sbatch and submits that by sbatch; *job is the number that sbatch prints.  E_IO: there is no
 * sbatch, or it has rejected the script. */
Status slurm_submit(const char **job, Arena *, const char *dir, const char *text);

#endif
