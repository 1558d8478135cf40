package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A keyRecord is what DOMAIN.txt says is to be published.
type keyRecord struct {
	name    string   // relative to the domain: mail._domainkey
	strings []string // the parts of the value, each at most 255 bytes
}

// readRecord reads DOMAIN.txt, in the shape that opendkim-genkey gives it:
//
//	mail._domainkey	IN	TXT	( "v=DKIM1; k=rsa; "
//		  "p=..." )  ; ----- DKIM key mail for example.org
func readRecord(keys, domain string) (keyRecord, error) {
	path := filepath.Join(keys, domain+".txt")
	content, err := os.ReadFile(path)
	if err != nil {
		return keyRecord{}, err
	}
	var r keyRecord
	if fields := strings.Fields(string(content)); len(fields) > 0 {
		r.name = fields[0]
	}
	for _, quoted := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(string(content), -1) {
		r.strings = append(r.strings, quoted[1])
	}
	if !strings.HasSuffix(r.name, "._domainkey") || len(r.strings) == 0 {
		return keyRecord{}, fmt.Errorf("%s holds no TXT record of a key", path)
	}
	return r, nil
}

// lookupTXT answers as the DNS would if what DOMAIN.txt says were published.
func lookupTXT(keys, name string) ([]string, error) {
	_, domain, found := strings.Cut(name, "._domainkey.")
	if !found || strings.ContainsRune(domain, filepath.Separator) {
		return nil, errors.New("no key record: " + name)
	}
	r, err := readRecord(keys, domain)
	if err != nil {
		return nil, err
	}
	if r.name+"."+domain != name {
		// In the text of the error, for the verifier wraps no errors.
		return nil, fmt.Errorf("no such name: %s, and %s.txt is about %s", name, domain, r.name)
	}
	return []string{strings.Join(r.strings, "")}, nil
}
