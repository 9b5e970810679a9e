/* Questions of `setup` and `teardown`, on a terminal. */
#ifndef CLI_SETUP_ASK_H
#define CLI_SETUP_ASK_H

#include "deploy/deploy.h"

/* 1 where standard input and standard error are a terminal. */
int cara_ask_is_terminal(void);
/* Asks on standard error, reads a line of standard input into dst ([size]), without blanks around
 * it; an empty one is `fallback`. 0, or -1 at the end of the input or on a signal. */
int cara_ask(const char *question, const char *fallback, char *dst, size_t size);
/* 1 yes, 0 no, -1 as above. An empty answer is no. */
int cara_ask_yes(const char *question);

/* Keeps the answers. */
typedef struct cara_ask_answers {
    char values[CARA_N_SETTINGS][256];
    char package[1024], model[1024], waba[120];
} cara_ask_answers;

/* Asks for every setting that has a question and no flag, and for package, model and WhatsApp
 * account where they are needed, and puts the answers into d->request. An answer that cannot work
 * is asked again, with the reason. CANCELLED at the end of the input and on a signal; else what is
 * wrong with a flag. */
int cara_ask_settings(cara_deploy *d, cara_ask_answers *answers, cara_error *err);

#endif
