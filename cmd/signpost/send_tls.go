package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"

	"github.com/urfave/cli/v2"
)

// tlsPlan is how TLS is to be used.
type tlsPlan struct {
	mode      string // starttls, implicit, opportunistic, off
	byDefault bool   // nobody asked for that mode
	roots     *x509.CertPool
	insecure  bool
}

func planTLS(c *cli.Context) (tlsPlan, error) {
	p := tlsPlan{mode: strings.ToLower(c.String("tls")), insecure: c.Bool("insecure")}
	p.byDefault = p.mode == "" && c.String("ca") == ""
	if p.mode != "" {
		if _, err := settings.OneOf("starttls", "implicit", "opportunistic", "off")(p.mode); err != nil {
			return p, usageError("--tls: %w", err)
		}
	}
	if file := c.String("ca"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return p, exitError{exitUsage, fmt.Errorf("--ca: %w", err)}
		}
		p.roots = x509.NewCertPool()
		if !p.roots.AppendCertsFromPEM(data) {
			return p, finding.WithHint(usageError("--ca: %s has no certificate in PEM form", file),
				"it has lines with BEGIN CERTIFICATE")
		}
	}
	return p, nil
}

// defaultTLS is the mode when none is given: port 465 is for TLS from the first
// byte (RFC 8314, section 3.3), and a password is for nobody's eyes.
func defaultTLS(server, user string) string {
	_, port, _ := net.SplitHostPort(server)
	switch {
	case port == "465" || port == "smtps" || port == "submissions":
		return "implicit"
	case user != "":
		return "starttls"
	}
	return "opportunistic"
}

// config is for a server of that name. A lenient one does not check who it is.
func (p tlsPlan) config(host string, lenient bool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: p.roots, InsecureSkipVerify: p.insecure || lenient}
}

// describe is for the result; nil stands for clear text.
func (p tlsPlan) describe(state *tls.ConnectionState) *sentTLS {
	if state == nil {
		return nil
	}
	return &sentTLS{
		Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite),
		Names: namesOf(state.PeerCertificates[0]), Checked: len(state.VerifiedChains) > 0,
	}
}

// namesOf are the names that a certificate is for.
func namesOf(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && certificate.Subject.CommonName != "" {
		names = append(names, certificate.Subject.CommonName)
	}
	if names == nil {
		names = []string{}
	}
	return names
}

func certificateNames(certificate *x509.Certificate) string {
	names := namesOf(certificate)
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ")
}
