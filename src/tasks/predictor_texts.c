/* Texts as a predictor's card has them read. */
#include "tasks/predictor.h"

Status predictor_texts(LmTexts *out, Predictor *p, Arena *a, const LmSet *s)
{
    if (lm_has_chats(s) && !p->lm.chat) {
        Chat *chat = NEW(a, Chat, 1);
        TRY(chat_open(chat, a, predictor_path(p, a, p->tokenizer), &p->text));
        p->lm.chat = chat;
    }
    return lm_tokens(out, a, s, p->net, &p->text, &p->lm);
}
