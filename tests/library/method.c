/* A program outside the repository with a method of its own.  It sees the library's methods and architectures, and
 * its own method among them, by name as in the list. */
#include <stdio.h>
#include <string.h>
#include <vernier.h>

static Status attach(Model *m, Hooks *h, const PeftConfig *c)
{
    (void)m, (void)h, (void)c;
    return OK;
}

static const Peft MINE = {.name = "mine", .summary = "nothing", .source = "this file", .attach = attach};
REGISTER(peft, MINE)

int main(void)
{
    int methods = 0, archs = 0, mine = 0;
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++) methods++, mine += *p == &MINE;
    for (const Arch *const *a = arch_begin(); a < arch_end(); a++) archs++;
    printf("%d methods, %d of them this program's; %d architectures\n", methods, mine, archs);
    bool found = peft_find("mine") == &MINE && peft_find("lora") && arch_find("t5");
    return found && mine == 1 && methods > 10 && archs >= 4 ? 0 : 1;
}
