/* Which model file a command uses, and the remark about the demo model. */
#include "app/model/path.h"
#include "cli/cli.h"
#include "cli/named.h"

void cara_cli_remark_demo(void) {
    cara_error remark;
    cara_fail(&remark, CARA_OK, -1,
              "using the demo model, which knows some 420 words of fishing reports and no human "
              "voice; name a real one by CARACOLA_MODEL");
    cara_cli_name(&remark);
    cara_cli_remark("%s", remark.text);
}

int cara_cli_model_file(const char *flag, int quiet, char **out, cara_error *err) {
    cara_model_choice choice;
    int rc = cara_model_choose_file(flag, &choice, err);
    *out = choice.path;
    if (!rc && choice.is_demo && !quiet)
        cara_cli_remark_demo();
    return rc;
}
