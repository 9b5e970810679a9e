#include "cli/setup/ask.h"

#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

int cara_ask_is_terminal(void) {
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

int cara_ask(const char *question, const char *fallback, char *dst, size_t size) {
    char line[1024];
    if (fallback[0])
        fprintf(stderr, "%s [%s]: ", question, fallback);
    else
        fprintf(stderr, "%s: ", question);
    fflush(stderr);
    if (cara_cli_interrupted() || !fgets(line, sizeof line, stdin)) {
        fputc('\n', stderr);
        return -1;
    }
    char *begin = line + strspn(line, " \t");
    size_t n = strcspn(begin, "\r\n");
    while (n && (begin[n - 1] == ' ' || begin[n - 1] == '\t'))
        n--;
    begin[n] = 0;
    snprintf(dst, size, "%s", n ? begin : fallback);
    return 0;
}

int cara_ask_yes(const char *question) {
    char text[600], answer[16];
    snprintf(text, sizeof text, "%s [y/N]", question);
    for (;;) {
        if (cara_ask(text, "", answer, sizeof answer))
            return -1;
        if (!answer[0] || strcmp(answer, "n") == 0 || strcmp(answer, "no") == 0)
            return 0;
        if (strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0)
            return 1;
        fputs("Please answer yes or no.\n", stderr);
    }
}

static int ask_setting(cara_deploy *d, int id, char *dst, size_t size) {
    const cara_setting *setting = &cara_deploy_settings[id];
    if (!setting->question || d->request.values[id] || !cara_deploy_applies(d, id))
        return 0;
    for (;;) {
        if (cara_ask(setting->question, cara_deploy_value(d, id), dst, size))
            return -1;
        if (strcmp(dst, "none") == 0 && !setting->fallback[0])
            dst[0] = 0;
        if (cara_setting_fits(setting, dst))
            break;
        char takes[200];
        cara_setting_takes(setting, takes, sizeof takes);
        fprintf(stderr, "That takes %s.\n", takes);
    }
    if (strcmp(dst, cara_deploy_value(d, id)) != 0)
        d->request.values[id] = dst;
    return 0;
}

/* A file that can be read, or nothing where `needless`. */
static int ask_file(const char *question, const char *fallback, int optional, char *dst,
                    size_t size) {
    for (;;) {
        if (cara_ask(question, fallback, dst, size))
            return -1;
        if ((!dst[0] && optional) || (dst[0] && access(dst, R_OK) == 0))
            return 0;
        fprintf(stderr, "%s cannot be read.\n", dst[0] ? dst : "A file without a name");
    }
}

static int ask_package(cara_deploy *d, cara_ask_answers *answers) {
    if (d->request.zip || d->request.image) {
        return 0;
    }
    int worker = strcmp(cara_deploy_value(d, CARA_SET_VARIANT), "worker") == 0;
    const char *now = cara_deploy_package(d);
    int keep = now && (!worker || strcmp(now, "image") == 0);
    if (ask_file(keep     ? "Package, .zip or .tar (none: the one that is there)"
                 : worker ? "Image, a .tar"
                          : "Package, a .zip, or an image, a .tar",
                 keep ? "" : answers->package, keep, answers->package, sizeof answers->package))
        return -1;
    size_t n = strlen(answers->package);
    if (n > 4 && strcmp(answers->package + n - 4, ".zip") == 0)
        d->request.zip = answers->package;
    else if (n)
        d->request.image = answers->package;
    return 0;
}

static int ask_account(cara_deploy *d, cara_ask_answers *answers) {
    if (d->request.no_link)
        return 0;
    if (d->n_accounts == 0) {
        char question[300];
        snprintf(question, sizeof question,
                 "No WhatsApp account is linked to AWS account %s in %s yet. Go on without one",
                 d->owner, d->cli.region);
        int yes = cara_ask_yes(question);
        d->request.no_link = yes == 1;
        return yes < 0 ? -1 : 0;
    }
    for (;;) {
        const cara_deploy_account *account = cara_deploy_find_account(d, NULL);
        if (account && cara_deploy_has_other_destination(d, account) && !d->request.take_over) {
            char question[500];
            snprintf(question, sizeof question,
                     "Events of %s go to %.200s now. Send them here instead", account->name,
                     account->destination);
            int yes = cara_ask_yes(question);
            d->request.take_over = yes == 1;
            return yes < 0 ? -1 : 0;
        }
        if (account)
            return 0;
        fputs("WhatsApp accounts:\n", stderr);
        for (size_t i = 0; i < d->n_accounts; i++)
            fprintf(stderr, "  %s  %s\n", d->accounts[i].id, d->accounts[i].name);
        if (cara_ask("Whose voice notes", d->accounts[0].id, answers->waba, sizeof answers->waba))
            return -1;
        d->request.waba = answers->waba;
    }
}

int cara_ask_settings(cara_deploy *d, cara_ask_answers *answers) {
    if (ask_setting(d, CARA_SET_VARIANT, answers->values[CARA_SET_VARIANT],
                    sizeof answers->values[0]) ||
        ask_package(d, answers))
        return -1;
    const char *delivery = d->request.values[CARA_SET_DELIVERY];
    if (!d->request.model && (!delivery || strcmp(delivery, "image") != 0) &&
        !cara_deploy_value(d, CARA_SET_ACCESS_POINT)[0]) {
        const char *key = d->stack.exists ? cara_stack_parameter(&d->stack, "ModelKey") : NULL;
        if (ask_file(key && key[0] ? "Model, a .cara (none: the one that is there)"
                                   : "Model, a .cara (none: the one inside the package)",
                     "", 1, answers->model, sizeof answers->model))
            return -1;
        if (answers->model[0])
            d->request.model = answers->model;
    }
    for (int id = 0; id < CARA_N_SETTINGS; id++)
        if (id != CARA_SET_VARIANT &&
            ask_setting(d, id, answers->values[id], sizeof answers->values[id]))
            return -1;
    return ask_account(d, answers);
}
