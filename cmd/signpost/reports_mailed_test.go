package main

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/keystore/record"
	"signpost/milter/dkim"
)

// mailed makes mails of the reports that aggregate made, as their reporters send them:
//
//	mailed DIR REPORTS SIGNER
//
// SIGNER is the domain that signs, or "-" for that of the reporter, or "" for none. The record of
// the selector r1 is in $REPORTER_KEY.
func mailed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mailed DIR REPORTS SIGNER")
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, err := record.ForKey(key.Public())
	ts.Check(err)
	ts.Setenv("REPORTER_KEY", public.String())
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.xml"))
	ts.Check(err)
	for _, file := range files {
		report, err := os.ReadFile(file)
		ts.Check(err)
		reporter, _, _ := strings.Cut(filepath.Base(file), "!")
		body := strings.ReplaceAll(string(report), "\n", "\r\n")
		header := [][2]string{{"From", " dmarc@" + reporter}, {"Subject", " Report domain: example.org"},
			{"Content-Type", " text/xml"}}
		text := "Return-Path: <dmarc@" + reporter + ">\r\nReceived: from out.example (out.example [198.51.100.99])" +
			" by mx.example.org; " + time.Now().Format(time.RFC1123Z) + "\r\n"
		signer := args[2]
		if signer == "-" {
			signer = reporter
		}
		if signer != "" {
			text += "DKIM-Signature:" + signatureOf(ts, dkim.Signature{Domain: signer, Selector: "r1", Key: key}, header, body) + "\r\n"
		}
		for _, f := range header {
			text += fmt.Sprintf("%s:%s\r\n", f[0], f[1])
		}
		ts.Check(os.WriteFile(filepath.Join(dir, filepath.Base(file)+".eml"), []byte(text+"\r\n"+body), 0o644))
	}
}

func signatureOf(ts *testscript.TestScript, by dkim.Signature, header [][2]string, body string) string {
	recipe, err := (&dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed}).Compile()
	ts.Check(err)
	m := recipe.NewMessage()
	for _, f := range header {
		m.Field([]byte(f[0]), []byte(f[1]))
	}
	ts.Check(m.Begin(by))
	m.Write([]byte(body))
	values, err := m.Sign(time.Now())
	ts.Check(err)
	return values[0]
}
