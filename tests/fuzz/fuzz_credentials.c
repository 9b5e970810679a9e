/* What a container's agent or the instance metadata service answers with. */
#include "aws/credentials/credentials.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    cara_credentials credentials;
    cara_error err = {0};
    int rc = cara_credentials_from_json((const char *)data, n, "agent", &credentials, &err);
    if (rc ? !err.text[0] || credentials.access_key : !credentials.access_key)
        abort();
    cara_credentials_free(&credentials);
    return 0;
}
