package keystore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/dns"
)

// What is known of the keys is kept over a restart in one file of the state
// directory, so that a start while the DNS does not answer signs with the key
// that worked. Without it nothing is lost but that knowledge. Its first line is
// stateHeader, each further one a key:
//
//	DOMAIN SELECTOR PRINT PRESENCE ASKED ACTIVE STOPPED
//
// with the times of a mark, and half of the SHA-256 of the public key in hex.
const (
	stateFile   = "keys"
	stateHeader = "signpost state 1"
)

// print tells keys apart: of one name, and of one another.
type print [sha256.Size / 2]byte

// fingerprint returns the print of a key and its name.
func fingerprint(key *Key) (p print) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n", key.Domain, key.Selector)
	if der, err := x509.MarshalPKIXPublicKey(key.Signer.Public()); err == nil {
		hash.Write(der)
	}
	copy(p[:], hash.Sum(nil))
	return p
}

// remember writes what is known of the keys into dir, line by line: of a hundred
// thousand domains that is ten megabytes.
func (s *Snapshot) remember(dir string) error {
	file := filepath.Join(dir, stateFile)
	err := replaceFile(file, 0o600, nil, func(w *bufio.Writer) {
		fmt.Fprintln(w, stateHeader)
		for _, name := range s.Domains() {
			d := s.shards.find(name)
			known := d.state.Load()
			for i, m := range known.marks {
				if m != (mark{}) {
					fmt.Fprintf(w, "%s %s %x %s %d %d %d\n", name, known.keys[i].Selector, fingerprint(known.keys[i]),
						m.presence, m.asked, m.active, m.stopped)
				}
			}
		}
	})
	if err != nil {
		return fmt.Errorf("writing the state %s: %w", file, explain(err, dir))
	}
	return nil
}

// recall reads what remember wrote. A file that is not there is no error; one
// that is damaged is, and what could be read of it counts. Nothing, and an error,
// is for a directory or a file that cannot be read.
func recall(dir string) (map[print]mark, error) {
	file := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("reading the state directory %s: %w", dir, explain(err, dir))
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", file, explain(err, file))
	}
	marks, err := parseState(data)
	if err != nil {
		return marks, fmt.Errorf("the state %s: %w; hint: it is passed over, and written anew", file, err)
	}
	return marks, nil
}

func parseState(data []byte) (map[print]mark, error) {
	marks := make(map[print]mark)
	lines := bufio.NewScanner(bytes.NewReader(data))
	if !lines.Scan() || lines.Text() != stateHeader {
		return marks, fmt.Errorf("it does not begin with %q", stateHeader)
	}
	for n := 2; lines.Scan(); n++ {
		p, m, err := parseMark(strings.Fields(lines.Text()))
		if err != nil {
			return marks, fmt.Errorf("line %d: %w", n, err)
		}
		marks[p] = m
	}
	return marks, lines.Err()
}

func parseMark(fields []string) (p print, m mark, err error) {
	if len(fields) != 7 {
		return p, m, fmt.Errorf("%d fields, not 7", len(fields))
	}
	if n, err := hex.Decode(p[:], []byte(fields[2])[:min(len(fields[2]), 2*len(p))]); err != nil || n != len(p) {
		return p, m, fmt.Errorf("%q is no print of a key", fields[2])
	}
	for m.presence = dns.Unknown; m.presence.String() != fields[3]; m.presence++ {
		if m.presence == dns.Missing {
			return p, mark{}, fmt.Errorf("%q is none of unknown, there, missing", fields[3])
		}
	}
	for i, into := range []*uint32{&m.asked, &m.active, &m.stopped} {
		value, err := strconv.ParseUint(fields[4+i], 10, 32)
		if err != nil {
			return p, mark{}, fmt.Errorf("%q is no time", fields[4+i])
		}
		*into = uint32(value)
	}
	return p, m, nil
}

// replaceFile writes a file that is whole whenever it is looked at:
//
//	open(O_EXCL) of a hidden name, write, fsync, close, rename, fsync of the directory
func replaceFile(name string, mode fs.FileMode, adjust func(*os.File) error, write func(*bufio.Writer)) error {
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	w := bufio.NewWriter(temp)
	write(w) // an error stays with w
	if err := w.Flush(); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := fill(temp, nil, mode, adjust); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// saveSoon is how long a change may wait to be written with others.
const saveSoon = 2 * time.Second
