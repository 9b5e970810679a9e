/* Which model file a command uses, and the remark about the demo model. */
#include "app/model/path.h"
#include "cli/cli.h"

void cara_cli_remark_demo(void) {
    cara_cli_remark(
        "using the demo model, which knows some 420 words of fishing reports and no human "
        "voice; name a real one by --model or CARACOLA_MODEL");
}

int cara_cli_model_file(const char *flag, int quiet, char **out, cara_error *err) {
    cara_model_choice choice;
    int rc = cara_model_choose_file(flag, &choice, err);
    *out = choice.path;
    if (!rc && choice.is_demo && !quiet)
        cara_cli_remark_demo();
    return rc;
}
