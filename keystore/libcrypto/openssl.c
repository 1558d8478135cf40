//go:build openssl

#include "openssl.h"

#include <malloc.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

const char *signpost_version(void) { return OpenSSL_version(OPENSSL_VERSION); }

// The C library would keep memory apart for each of the many threads that Go makes, of which
// few sign at one time.
int signpost_begin(void) {
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 2);
#endif
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
}

// Errors are kept by thread, so they are read before the call returns.
static void tell(char *reason) {
	ERR_error_string_n(ERR_peek_last_error(), reason, SIGNPOST_REASON);
	ERR_clear_error();
}

// To decode a key from DER would take fifty times as long.
EVP_PKEY *signpost_load(const unsigned char *numbers, const size_t *sizes, char *reason) {
	static const char *const names[] = {
		OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
		OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
		OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
	};
	enum { COUNT = sizeof names / sizeof *names };
	OSSL_PARAM params[COUNT + 1];
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;
	int i;

	ERR_clear_error();
	for (i = 0; i < COUNT; i++) {
		// Nothing is written to it.
		params[i] = OSSL_PARAM_construct_BN(names[i], (unsigned char *)numbers, sizes[i]);
		numbers += sizes[i];
	}
	params[COUNT] = OSSL_PARAM_construct_end();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (ctx == NULL ||
	    EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		tell(reason);
	EVP_PKEY_CTX_free(ctx);
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
