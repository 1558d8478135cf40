package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	miekg "github.com/miekg/dns"
	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/milter/verify"
)

// recordsAtHand holds the records of --keys and --record.
func recordsAtHand(c *cli.Context) (dns.Source, error) {
	var records []miekg.RR
	if c.String("keys") != "" {
		set, err := loadKeys(c)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		for _, problem := range set.Problems() {
			warn(c, "%s", problem)
		}
		if records, err = keysAtHand(set.Snapshot); err != nil {
			return nil, err
		}
		if len(records) == 0 && c.String("record") == "" {
			return nil, usageError("--keys: there is no key in %s", c.String("keys"))
		}
	}
	if path := c.String("record"); path != "" {
		text, err := readRecordFile(path)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--record: %w", err)}
		}
		name, err := recordName(c.String("name"))
		if err != nil {
			return nil, err
		}
		found, err := verify.ParseRecords(text, filepath.Base(path), name)
		if errors.Is(err, verify.ErrNoName) {
			err = finding.WithHint(err, "add --name example.org, or --name _dmarc.example.org for DMARC")
		}
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--record: %s: %w", path, err)}
		}
		records = append(records, found...)
	}
	return verify.NewRecords(records), nil
}

func keysAtHand(snapshot *keystore.Snapshot) ([]miekg.RR, error) {
	var records []miekg.RR
	for _, domain := range snapshot.Domains() {
		for _, key := range snapshot.Keys(domain) {
			r, err := record.ForKey(key.Signer.Public())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key.File, err)
			}
			records = append(records, verify.NewTXT(record.Name(key.Selector, domain), r.String()))
		}
	}
	return records, nil
}

// maxRecordFile is far above what a zone file has.
const maxRecordFile = 16 << 20

func readRecordFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRecordFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxRecordFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxRecordFile)
	}
	return string(text), nil
}

// recordName checks --name, which may be one of a key, of a policy or a domain.
func recordName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if _, ok := miekg.IsDomainName(name); !ok || strings.ContainsAny(name, " \t@/\\") || !strings.Contains(name, ".") {
		return "", finding.WithHint(usageError("--name: invalid DNS name %q", name),
			"give it as s1._domainkey.example.org")
	}
	return name, nil
}
