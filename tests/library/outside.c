/* A program outside the repository: it loads a checkpoint, attaches LoRA, takes a training step, captures the
 * attention of the first layer and draws it.
 *
 *     cc outside.c $(pkg-config --cflags --libs vernier) -o outside
 *     ./outside MODEL attention.svg                        MODEL: the directory of a GPT-2 */
#include <vernier.h>

static Status study(const char *dir, const char *figure)
{
    Arena run = arena_open(0), step = arena_open(0);
    Model *model;
    TRY(model_load(&model, &run, dir));

    Hooks *hooks = hooks_new(&run);
    const Peft *lora = peft_find("lora");
    PeftConfig method = {0};
    lora->defaults(&method, &model->config);
    TRY(peft_attach(lora, model, hooks, &method));

    const int32_t ids[] = {3, 1, 4, 1, 5, 9}, target[] = {1, 4, 1, 5, 9, -1};
    const Batch batch = {.b = 1, .t = 6, .ids = ids, .target = target};
    TrainConfig config = train_defaults();
    config.total = 1;
    Trainer *trainer;
    StepStats stats;
    TRY(trainer_open(&trainer, &run, model, hooks, &config));
    TRY(trainer_step(trainer, &step, &batch, &stats));

    Seen *seen = NEW(&run, Seen, model_layers(model, PART_DECODER));
    measure_pass(seen, &run, model, hooks, PART_DECODER, &batch);
    Tensor head = tensor_at(tensor_at(seen[0].probs, 0), 0);
    Fig *fig = fig_open(figure, 160, 160);
    fig_heatmap(fig, fig_whole(fig), head, (HeatStyle){.title = "Layer 0, head 0", .causal = true, .bar = true});
    return fig_close(fig);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    Status status = study(argv[1], argv[2]);
    if (status) fprintf(stderr, "outside: %s\n", err_message());
    return err_exit_status(status);
}
