//go:build openssl

#include "openssl.h"

#include <malloc.h>
#include <string.h>
#include <sys/prctl.h>

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

// Go's runtime has a thread that, while there is work, looks every 20 µs whether others have been in C
// or in the kernel for long, and begins anew whenever work comes after none. Behind an MTA that takes
// a fifth of the processor time of the program. What it finds is a signature, after which the thread
// comes back by itself. So let timers be late by a tick of the kernel, at 250 a second, which the
// runtime's own pace allows for: it slows down to 10 ms by itself. A thread has this from the one
// that made it (PR_SET_TIMERSLACK in prctl(2)), so it is done in the first one, before the runtime begins.
__attribute__((constructor)) static void be_patient(void) {
	unsigned long nanoseconds = 4000000;

	(void)prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); // only speed depends on it
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

// What is signed is the digest with its algorithm before it (RFC 8017, section 9.2, note 1). OpenSSL
// would put it there too, but only after a search through the names of all that it knows.
//
// OpenSSL checks the result of the Chinese remainder theorem with the public
// exponent before it gives it out, and does without it when it is wrong
// (rsa_ossl_mod_exp): a fault in the arithmetic does not give the key away.
size_t signpost_sign(EVP_PKEY *key, const unsigned char *digest, unsigned char *signature, size_t size, char *reason) {
	static const unsigned char sha256[] = {
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
	};
	unsigned char info[sizeof sha256 + 32];
	EVP_PKEY_CTX *ctx;

	memcpy(info, sha256, sizeof sha256);
	memcpy(info + sizeof sha256, digest, 32);
	ERR_clear_error();
	ctx = EVP_PKEY_CTX_new(key, NULL);
	if (ctx == NULL ||
	    EVP_PKEY_sign_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_sign(ctx, signature, &size, info, sizeof info) <= 0) {
		tell(reason);
		size = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	return size;
}
