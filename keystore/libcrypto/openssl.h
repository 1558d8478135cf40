#include <openssl/evp.h>

// What the three functions that can fail write into reason.
#define SIGNPOST_REASON 256

const char *signpost_version(void);

int signpost_begin(void);

// The key of a PKCS#1 RSAPrivateKey, or NULL.
EVP_PKEY *signpost_load(const unsigned char *der, long size, char *reason);

// The length of the signature, or 0.
size_t signpost_sign(EVP_PKEY *key, const unsigned char *digest, unsigned char *signature, size_t size, char *reason);
