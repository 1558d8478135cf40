package keystore

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Order says what key to make.
type Order struct {
	Domain    string // A-labels
	Selector  string
	Algorithm Algorithm
	Bits      int  // of an RSA key
	Flat      bool // as <domain>.private, not <domain>/<selector>.private
}

// Made is a key that Make has made, and where.
type Made struct {
	Order
	File       string
	RecordFile string
	Record     record.DKIM
}

// Make makes a key in the key directory dir, and beside it a file with its
// record, with .txt in the place of .private. See Install for the rights of the
// key file. It never overwrites: the error is fs.ErrExist when one of the files
// is there, and then neither is made.
func Make(dir string, order Order) (Made, error) {
	made := Made{Order: order}
	file := path.Join(order.Domain, order.Selector+".private")
	if order.Flat {
		file = order.Domain + ".private"
	}
	// signpostd must find the key by this name.
	if _, ok, err := claimOf(file, Selectors{fallback: order.Selector}); err != nil || !ok {
		return made, errors.Join(fmt.Errorf("%q cannot be the name of a key file", file), err)
	}
	made.File = filepath.Join(dir, filepath.FromSlash(file))
	made.RecordFile = strings.TrimSuffix(made.File, ".private") + ".txt"
	for _, name := range []string{made.File, made.RecordFile} {
		if _, err := os.Lstat(name); err == nil {
			return made, finding.WithHint(fmt.Errorf("%s: %w", name, fs.ErrExist),
				"nothing is ever overwritten; choose another selector, or move the file away")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return made, fmt.Errorf("looking for %s: %w",
				name, finding.FileHint(err, existing(filepath.Dir(name))))
		}
	}
	key, err := newKey(order.Algorithm, order.Bits)
	if err != nil {
		return made, fmt.Errorf("making a key for %s: %w", order.Domain, err)
	}
	if made.Record, err = record.ForKey(key.Public()); err != nil {
		return made, err
	}
	block, err := encode(key)
	if err != nil {
		return made, err
	}
	if err := install(dir, made.File, block, time.Now()); err != nil {
		return made, err
	}
	access, err := accessIn(dir)
	if err == nil {
		text := made.Record.Genkey(order.Selector, order.Domain)
		_, err = atomicfile.Create(made.RecordFile, []byte(text), 0o644, access.give)
	}
	if err != nil {
		return made, fmt.Errorf(
			"the key %s is made, and \"signpost dns\" prints its record, but writing %s failed: %w",
			made.File, made.RecordFile, finding.FileHint(err, filepath.Dir(made.RecordFile)))
	}
	return made, nil
}

func newKey(algorithm Algorithm, bits int) (crypto.Signer, error) {
	switch {
	case algorithm == Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case bits < MinBits || bits > MaxBits:
		return nil, fmt.Errorf("an RSA key has %d to %d bits, not %d", MinBits, MaxBits, bits)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

// encode returns a key as PEM with PKCS#8, as opendkim-genkey makes it.
func encode(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
