package keystore

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// cache is a local copy of the last good keys of a store, for a start while that does not
// answer. Each line of the file is one domain, or the end with their number, encrypted
// with AES-256-GCM and a random nonce, in base64. Its place in the file is authenticated,
// so that none can be left out, added or moved.
type cache struct {
	file    string
	keyFile string // 32 bytes in hex
	store   string // its name
}

// maxCache bounds what is read: of a hundred thousand domains it is 150 MB.
const maxCache = 1 << 30

// cached is a domain in a cache, or the end.
type cached struct {
	Domain string      `json:"domain,omitempty"`
	Keys   []cachedKey `json:"keys,omitempty"`
	End    int         `json:"end,omitempty"` // domains
	Empty  bool        `json:"empty,omitempty"`
}

type cachedKey struct {
	Selector string    `json:"selector"`
	Place    string    `json:"place"`
	Made     time.Time `json:"made,omitzero"`
	Kind     int       `json:"kind"`
	Exponent uint32    `json:"e,omitempty"`
	Data     []byte    `json:"data"`
}

// newCache returns the cache of a store in a directory; nil without one. The key is in
// keyFile, or in the directory where that is "".
func newCache(dir, keyFile, store string) *cache {
	if dir == "" {
		return nil
	}
	if keyFile == "" {
		keyFile = filepath.Join(dir, "key")
	}
	sum := sha256.Sum256([]byte(store))
	return &cache{file: filepath.Join(dir, "keys-"+hex.EncodeToString(sum[:4])), keyFile: keyFile, store: store}
}

// MakeCache makes the directory for the local copies of stores, and their key in keyFile, or in
// the directory where that is "", unless they are there.
func MakeCache(dir, keyFile string) error {
	_, err := newCache(dir, keyFile, "").make()
	return err
}

// make makes what is missing to write a copy.
func (c *cache) make() (cipher.AEAD, error) {
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return nil, finding.FileHint(err, filepath.Dir(c.file))
	}
	return c.aead(true)
}

// aead returns what encrypts. A key is made where there is none and one is wanted.
func (c *cache) aead(create bool) (cipher.AEAD, error) {
	if create {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		defer clear(key)
		if _, err := atomicfile.Create(c.keyFile, []byte(hex.EncodeToString(key)+"\n"), 0o600, nil); err != nil {
			return nil, finding.FileHint(err, c.keyFile)
		}
	}
	text, err := regular.Read(c.keyFile, 1<<10)
	defer clear(text)
	if err != nil {
		return nil, finding.ReadHint(err, c.keyFile)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	defer clear(key)
	if err != nil || len(key) != 32 {
		return nil, finding.WithHint(fmt.Errorf("%s is not a key of 32 bytes in hex", c.keyFile),
			"remove it, and a new one is made; the copy of the keys is made anew too")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// place is what is authenticated with a line.
func (c *cache) place(line int) []byte {
	return binary.BigEndian.AppendUint64([]byte("signpost cache 1\n"+c.store+"\n"), uint64(line))
}

// save writes the keys of a snapshot that are good.
func (c *cache) save(s *Snapshot) error {
	aead, err := c.make()
	if err != nil {
		return err
	}
	var failed error
	err = atomicfile.Replace(c.file, 0o600, nil, func(w *bufio.Writer) {
		n := 0
		write := func(d cached) {
			plain, err := json.Marshal(d)
			if err != nil {
				failed = err
				return
			}
			fmt.Fprintln(w, base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, plain, c.place(n))))
			clear(plain)
			n++
		}
		for name, d := range s.shards.all() {
			entry := cached{Domain: name}
			for _, f := range d.files {
				if kept, ok := f.Signer.(*secret); ok {
					entry.Keys = append(entry.Keys, cachedKey{Selector: f.Selector, Place: f.File, Made: f.ModTime,
						Kind: int(kept.kind), Exponent: kept.e, Data: kept.data})
				}
			}
			if len(entry.Keys) > 0 {
				write(entry)
			}
		}
		write(cached{End: n, Empty: n == 0})
	})
	return errors.Join(failed, finding.FileHint(err, c.file))
}

// load returns the keys in a cache, and when they were written; nothing where there is
// none.
func (c *cache) load(recent *recent) (map[string]*DomainKeys, time.Time, error) {
	info, err := os.Stat(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	fail := func(err error) (map[string]*DomainKeys, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("reading the copy of the keys in %s: %w", c.file, err)
	}
	aead, aeadErr := c.aead(false)
	if err = errors.Join(err, aeadErr); err != nil {
		return fail(err)
	}
	opened, _, err := regular.Open(c.file)
	if err != nil {
		return fail(finding.ReadHint(err, c.file))
	}
	defer opened.Close()
	if info.Size() > maxCache {
		return fail(fmt.Errorf("it is larger than %d bytes", maxCache))
	}
	damaged := finding.WithHint(errors.New("it is damaged, or of another key or store"), "remove it, it is made anew")
	all := make(map[string]*DomainKeys)
	lines := bufio.NewScanner(opened)
	lines.Buffer(nil, 4<<20)
	for n := 0; lines.Scan(); n++ {
		sealed, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			return fail(damaged)
		}
		plain, err := aead.Open(nil, nil, sealed, c.place(n))
		if err != nil {
			return fail(damaged)
		}
		var d cached
		err = json.Unmarshal(plain, &d)
		clear(plain)
		switch {
		case err != nil:
			return fail(damaged)
		case d.End == n && d.Domain == "":
			return all, info.ModTime(), nil
		}
		all[d.Domain] = newDomainKeys(d.files(recent), notListed, nil)
	}
	return fail(damaged) // it has no end
}

// files returns the keys of a domain as they were.
func (d cached) files(recent *recent) (files []*file) {
	for _, key := range d.Keys {
		kept := &secret{recent: recent, kind: secretKind(key.Kind), e: key.Exponent, data: key.Data}
		f := &file{Key: Key{Domain: d.Domain, Selector: key.Selector, File: key.Place, ModTime: key.Made, Signer: kept}}
		f.Algorithm, f.Bits = Describe(kept)
		files = append(files, f)
	}
	return files
}
