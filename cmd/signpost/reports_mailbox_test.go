package main

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/milter/reports/mailbox/mailboxtest"
)

// storyMailbox is the key of the IMAP server of a story, a **mailboxtest.Server.
type storyMailbox struct{}

// mailboxServer is the command imap of the stories:
//
//	imap FOLDER FILE ...
//
// puts files into a folder of an IMAP server, as messages that came now. The first starts the
// server, with TLS, until the story ends, and sets $IMAP to the URL of its user and $IMAP_CA to
// the certificate.
func mailboxServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: imap FOLDER FILE ...")
	}
	server := ts.Value(storyMailbox{}).(**mailboxtest.Server)
	if *server == nil {
		*server = mailboxtest.Start(testOf(ts), true)
		ts.Setenv("IMAP", fmt.Sprintf("imaps://dmarc@example.org@127.0.0.1:%d", (*server).Port))
		ts.Setenv("IMAP_CA", (*server).CAFile)
	}
	for _, file := range args[1:] {
		(*server).Add(testOf(ts), args[0], ts.ReadFile(file), time.Now())
	}
}
