// Package libcrypto signs with RSA keys through OpenSSL's libcrypto, which takes
// a third of the time of crypto/rsa, where the program is built with the tag
// openssl, and through crypto/rsa where it is not. The signatures are the same.
//
// With libcrypto, all timers of the program may be 4 ms late: see be_patient.
package libcrypto
