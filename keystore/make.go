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
	Bits      int       // of an RSA key
	Flat      bool      // as <domain>.private, not <domain>/<selector>.private
	Made      time.Time // that it gets as the time when it was made; zero for now
}

// Made is a key that Make has made, and where.
type Made struct {
	Order
	File       string // or the place in a store
	RecordFile string // "" where there is none
	Record     record.DKIM
	// RecordErr says why the record is not in its file. The key counts all the same.
	RecordErr error
}

// Make makes a key in the key directory dir, and beside it a file with its
// record, with .txt in the place of .private. See Install for the rights of the
// key file. It never overwrites: the error is fs.ErrExist when one of the files
// is there, and then neither is made. A record that cannot be written is in RecordErr.
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
	made.RecordFile = RecordFile(made.File)
	for _, name := range []string{made.File, made.RecordFile} {
		if _, err := os.Lstat(name); err == nil {
			return made, finding.WithHint(fmt.Errorf("%s: %w", name, fs.ErrExist),
				"nothing is ever overwritten; choose another selector, or move the file away")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return made, fmt.Errorf("looking for %s: %w",
				name, finding.FileHint(err, existing(filepath.Dir(name))))
		}
	}
	key, dkim, err := NewPrivate(order)
	if err != nil {
		return made, err
	}
	defer clear(key)
	if made.Record = dkim; order.Made.IsZero() {
		order.Made = time.Now()
	}
	if err := install(dir, made.File, key, order.Made); err != nil {
		return made, err
	}
	access, err := accessOf(dir, made.RecordFile)
	if err == nil {
		text := made.Record.Genkey(order.Selector, order.Domain)
		_, err = atomicfile.Create(made.RecordFile, []byte(text), 0o644, access.give)
	}
	if err != nil {
		made.RecordErr = fmt.Errorf("writing record %s: %w",
			made.RecordFile, finding.FileHint(err, filepath.Dir(made.RecordFile)))
	}
	return made, nil
}

// NewPrivate makes a key as an order says, as PEM with PKCS#8, and its record.
func NewPrivate(order Order) ([]byte, record.DKIM, error) {
	key, err := newKey(order.Algorithm, order.Bits)
	if err != nil {
		return nil, record.DKIM{}, fmt.Errorf("making a key for %s: %w", order.Domain, err)
	}
	defer wipeSigner(key)
	dkim, err := record.ForKey(key.Public())
	if err != nil {
		return nil, record.DKIM{}, err
	}
	block, err := encode(key)
	return block, dkim, err
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

// PEM returns a private key, as ParsePrivate reads it, as PEM with PKCS#8.
func PEM(key []byte) ([]byte, error) {
	signer, err := ParsePrivate(key)
	if err != nil {
		return nil, err
	}
	defer wipeSigner(signer)
	return encode(signer)
}

// encode returns a key as PEM with PKCS#8, as opendkim-genkey makes it.
func encode(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
