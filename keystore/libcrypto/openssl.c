//go:build openssl

#include "openssl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

const char *signpost_version(void) { return OpenSSL_version(OPENSSL_VERSION); }

int signpost_begin(void) {
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
}

// Errors are kept by thread, so they are read before the call returns.
static void tell(char *reason) {
	ERR_error_string_n(ERR_peek_last_error(), reason, SIGNPOST_REASON);
	ERR_clear_error();
}

EVP_PKEY *signpost_load(const unsigned char *der, long size, char *reason) {
	EVP_PKEY *key;

	ERR_clear_error();
	key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, size);
	if (key == NULL)
		tell(reason);
	return key;
}

// OpenSSL checks the result of the Chinese remainder theorem with the public
// exponent before it gives it out, and does without it when it is wrong
// (rsa_ossl_mod_exp): a fault in the arithmetic does not give the key away.
size_t signpost_sign(EVP_PKEY *key, const unsigned char *digest, unsigned char *signature, size_t size, char *reason) {
	EVP_PKEY_CTX *ctx;

	ERR_clear_error();
	ctx = EVP_PKEY_CTX_new(key, NULL);
	if (ctx == NULL ||
	    EVP_PKEY_sign_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) <= 0 ||
	    EVP_PKEY_sign(ctx, signature, &size, digest, 32) <= 0) {
		tell(reason);
		size = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	return size;
}
