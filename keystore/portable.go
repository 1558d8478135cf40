package keystore

import (
	"bytes"
	"fmt"
	"time"

	"signpost/keystore/finding"
)

// madePrefix begins a line before the PEM block of a key that says when it was made, in
// RFC 3339. Parsers ignore such lines (RFC 7468, section 2).
const madePrefix = "Made: "

// Portable returns a key as PEM with PKCS#8, and before it the time when it was made. data
// is the key as ParsePrivate reads it: a snapshot does not hand out its secrets.
// That is for places that keep no file times: every file of a Kubernetes Secret is
// written anew with each change, and which of two keys is newer would be lost.
func Portable(key *Key, data []byte) ([]byte, error) {
	signer, err := ParsePrivate(data)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", key.File, err)
	}
	defer wipeSigner(signer)
	if !key.samePublic(&Key{Signer: signer}) {
		return nil, finding.WithHint(fmt.Errorf("key %s was replaced in the meantime", key.File),
			"do it again")
	}
	block, err := encode(signer)
	if err != nil {
		return nil, err
	}
	line := madePrefix + key.ModTime.UTC().Format(time.RFC3339) + "\n"
	return append([]byte(line), block...), nil
}

// madeIn returns the time that a key file says it was made, and false if it says none.
func madeIn(data []byte) (time.Time, bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	text, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(madePrefix))
	if !ok {
		return time.Time{}, false
	}
	made, err := time.Parse(time.RFC3339, string(text))
	return made, err == nil
}
