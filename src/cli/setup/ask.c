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

static void say(const char *sentence) {
    fprintf(stderr, "%s\n", sentence);
}

static int cancelled(cara_error *err) {
    return cara_fail(err, CARA_ERR_CANCELLED, -1, "interrupted; nothing was changed");
}

/* Asks until the answer can work, as far as that shows before anything is made. */
static int ask_setting(cara_deploy *d, int id, char *dst, size_t size, cara_error *err) {
    const cara_setting *setting = &cara_deploy_settings[id];
    if (!setting->question || d->request.values[id] || !cara_deploy_applies(d, id))
        return CARA_OK;
    for (;;) {
        d->request.values[id] = NULL;
        if (cara_ask(setting->question, cara_deploy_value(d, id), dst, size))
            return cancelled(err);
        if (strcmp(dst, "none") == 0 && !setting->fallback[0])
            dst[0] = 0;
        if (!cara_setting_fits(setting, dst)) {
            char takes[200];
            cara_setting_takes(setting, takes, sizeof takes);
            fprintf(stderr, "That takes %s.\n", takes);
            continue;
        }
        d->request.values[id] = dst;
        int rc = cara_deploy_check_setting(d, id, err);
        if (!rc || rc == CARA_ERR_CANCELLED || rc == CARA_ERR_MEMORY)
            return rc;
        say(err->text);
    }
}

/* 1 also for no file at all. */
static int can_be_read(const char *path) {
    if (!path[0] || access(path, R_OK) == 0)
        return 1;
    fprintf(stderr, "%s cannot be read.\n", path);
    return 0;
}

static int ask_package(cara_deploy *d, cara_ask_answers *answers, cara_error *err) {
    if (d->request.zip || d->request.image)
        return cara_deploy_check_package(d, err);
    int worker = strcmp(cara_deploy_value(d, CARA_SET_VARIANT), "worker") == 0;
    const char *now = cara_deploy_package(d);
    int keep = now && (!worker || strcmp(now, "image") == 0);
    char fallback[sizeof answers->package];
    snprintf(fallback, sizeof fallback, "%s", keep ? "" : answers->package);
    for (;;) {
        if (cara_ask(keep     ? "Package, .zip or .tar (none: the one that is there)"
                     : worker ? "Image, a .tar"
                              : "Package, a .zip, or an image, a .tar",
                     fallback, answers->package, sizeof answers->package))
            return cancelled(err);
        d->request.zip = d->request.image = NULL;
        if (!answers->package[0] && !keep) {
            say("A file is needed: `make package` builds some in build/package.");
            continue;
        }
        if (!can_be_read(answers->package))
            continue;
        if (answers->package[0])
            *(cara_deploy_is_zip(answers->package) ? &d->request.zip : &d->request.image) =
                answers->package;
        int rc = cara_deploy_check_package(d, err);
        if (!rc || rc == CARA_ERR_CANCELLED || rc == CARA_ERR_MEMORY)
            return rc;
        say(err->text);
    }
}

static int ask_model(cara_deploy *d, cara_ask_answers *answers, cara_error *err) {
    const char *delivery = d->request.values[CARA_SET_DELIVERY];
    const char *key = d->stack.exists ? cara_stack_parameter(&d->stack, "ModelKey") : NULL;
    if (d->request.model || (delivery && strcmp(delivery, "image") == 0) ||
        cara_deploy_value(d, CARA_SET_ACCESS_POINT)[0])
        return cara_deploy_check_model(d, err);
    for (;;) {
        if (cara_ask(key && key[0] ? "Model, a .cara (none: the one that is there)"
                     : d->package.has_model
                         ? "Model, a .cara (none: the one inside the image)"
                         : "Model, a .cara (none: the demo model, which knows no "
                           "human voice)",
                     "", answers->model, sizeof answers->model))
            return cancelled(err);
        if (!can_be_read(answers->model))
            continue;
        d->request.model = answers->model[0] ? answers->model : NULL;
        int rc = cara_deploy_check_model(d, err);
        if (!rc || rc == CARA_ERR_CANCELLED || rc == CARA_ERR_MEMORY)
            return rc;
        say(err->text);
    }
}

static int ask_account(cara_deploy *d, cara_ask_answers *answers, cara_error *err) {
    if (d->request.no_link)
        return CARA_OK;
    if (d->n_accounts == 0) {
        char question[300];
        snprintf(question, sizeof question,
                 "No WhatsApp account is linked to AWS account %s in %s yet. Go on without one",
                 d->owner, d->cli.region);
        int yes = cara_ask_yes(question);
        d->request.no_link = yes == 1;
        return yes < 0 ? cancelled(err) : CARA_OK;
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
            return yes < 0 ? cancelled(err) : CARA_OK;
        }
        if (account)
            return CARA_OK;
        if (d->request.waba)
            fprintf(stderr, "There is no WhatsApp account %.80s in %s.\n", d->request.waba,
                    d->cli.region);
        fputs("WhatsApp accounts:\n", stderr);
        for (size_t i = 0; i < d->n_accounts; i++)
            fprintf(stderr, "  %s  %s\n", d->accounts[i].id, d->accounts[i].name);
        if (cara_ask("Whose voice notes", d->accounts[0].id, answers->waba, sizeof answers->waba))
            return cancelled(err);
        d->request.waba = answers->waba;
    }
}

int cara_ask_settings(cara_deploy *d, cara_ask_answers *answers, cara_error *err) {
    int rc = ask_setting(d, CARA_SET_VARIANT, answers->values[CARA_SET_VARIANT],
                         sizeof answers->values[0], err);
    if (!rc)
        rc = ask_package(d, answers, err);
    if (!rc)
        rc = ask_model(d, answers, err);
    for (int id = 0; !rc && id < CARA_N_SETTINGS; id++)
        if (id != CARA_SET_VARIANT)
            rc = ask_setting(d, id, answers->values[id], sizeof answers->values[id], err);
    return rc ? rc : ask_account(d, answers, err);
}
