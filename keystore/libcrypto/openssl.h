#include <openssl/evp.h>

// What the three functions that can fail write into reason.
#define SIGNPOST_REASON 256

const char *signpost_version(void);

int signpost_begin(void);

// The key of eight numbers, the lowest byte first, or NULL: n, e, d, p, q, d mod p-1, d mod q-1,
// 1/q mod p.
EVP_PKEY *signpost_load(const unsigned char *numbers, const size_t *sizes, char *reason);

// The length of the signature, or 0.
size_t signpost_sign(EVP_PKEY *key, const unsigned char *digest, unsigned char *signature, size_t size, char *reason);
