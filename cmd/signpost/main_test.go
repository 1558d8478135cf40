package main

import (
	"errors"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/milter/reports/mailbox/mailboxtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signpost": main})
}

// TestScripts runs the stories in testdata. They have commands of our own:
//
//	code N command [arg ...]
//
// runs a command that must exit with code N. Others are documented where they
// are.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// Else each command, with the race detector, waits for a second at its end.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Values[testOfStory{}] = e.T()
			e.Values[storyMailbox{}] = new(*mailboxtest.Server)
			e.Values[storySessions{}] = sessionsOf(t, "README.md")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"nameserver": serveZone,
			"nsd":        nsdServer, // check_test.go
			"code":       code,
			"smtpserver": smtpServer,    // send_test.go
			"signpostd":  signpostd,     // health_test.go
			"redis":      redisServer,   // store_test.go
			"vault":      vaultServer,   // store_test.go
			"aggregate":  aggregate,     // reports_test.go
			"mailed":     mailed,        // reports_mailed_test.go
			"imap":       mailboxServer, // reports_mailbox_test.go
			"readme":     readmeSession, // console_test.go
			"statuspage": statusPage,    // console_test.go
		},
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [arg ...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("usage: code N command [arg ...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}
