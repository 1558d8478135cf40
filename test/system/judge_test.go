package system

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"
)

// A verdict is what one verifier says of one signature.
type verdict struct {
	verifier string
	message  int // index
	signature
	result string // "pass", or what is wrong
}

func (v verdict) String() string {
	return fmt.Sprintf("%s: message %d, %v: %s", v.verifier, v.message, v.signature, v.result)
}

// A verifier looks at messages, for which it may write files into dir.
type verifier struct {
	name   string
	verify func(dir string, messages [][]byte) ([]verdict, error)
}

// verifiers returns all of them, first the one that takes no process.
func (w *world) verifiers() []verifier {
	return []verifier{{"go-msgauth", w.goMsgauth}, {"dkimpy", w.dkimpy}, {"Mail::DKIM", w.mailDKIM}, {"opendkim-testmsg", w.opendkim}}
}

// judge lets verifiers look at every signature of the messages. Mail::DKIM gives
// no verdict on Ed25519.
func (w *world) judge(messages [][]byte, verifiers []verifier) []verdict {
	w.t.Helper()
	messages = slices.Clone(messages)
	for i, message := range messages {
		// Without a body the blank line need not be there, but some insist on it.
		if !bytes.Contains(message, []byte("\r\n\r\n")) {
			messages[i] = slices.Concat(message, []byte("\r\n"))
		}
	}
	dir, err := os.MkdirTemp(w.dir, "judge")
	if err != nil {
		w.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	verdicts := make([][]verdict, len(verifiers))
	errs := make([]error, len(verifiers))
	var running sync.WaitGroup
	for i, verifier := range verifiers {
		running.Go(func() { verdicts[i], errs[i] = verifier.verify(dir, messages) })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return slices.Concat(verdicts...)
}

func (w *world) goMsgauth(_ string, messages [][]byte) ([]verdict, error) {
	var verdicts []verdict
	for i, message := range messages {
		results, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: w.lookupTXT})
		if err != nil {
			return nil, fmt.Errorf("go-msgauth, message %d: %w", i, err)
		}
		for n, field := range signatureFields(message) {
			v := verdict{"go-msgauth", i, field.signature, "pass"}
			if err := results[n].Err; err != nil {
				v.result = err.Error()
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

func (w *world) dkimpy(dir string, messages [][]byte) ([]verdict, error) {
	return w.script("dkimpy", dir, messages, "/usr/bin/python3", "testdata/dkimpy.py")
}

func (w *world) mailDKIM(dir string, messages [][]byte) ([]verdict, error) {
	verdicts, err := w.script("Mail::DKIM", dir, messages, "/usr/bin/perl", "testdata/mail-dkim.pl")
	return slices.DeleteFunc(verdicts, func(v verdict) bool { return v.algorithm == "ed25519-sha256" }), err
}

// script runs a verifier that takes files and prints a line per signature.
func (w *world) script(verifier, dir string, messages [][]byte, command ...string) ([]verdict, error) {
	index := make(map[string]int) // by file
	for i, message := range messages {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d", verifier, i))
		if err := os.WriteFile(path, message, 0o600); err != nil {
			return nil, err
		}
		index[path] = i
		command = append(command, path)
	}
	out, err := w.command(command[0], command[1:]...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", verifier, err, stderrOf(err))
	}
	var verdicts []verdict
	for line := range strings.Lines(string(out)) {
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(column) != 5 {
			return nil, fmt.Errorf("%s: unexpected line %q", verifier, line)
		}
		s := signature{column[1], column[2], column[3]}
		verdicts = append(verdicts, verdict{verifier, index[column[0]], s, column[4]})
	}
	return verdicts, nil
}

func stderrOf(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}

// opendkim asks opendkim-testmsg, which is content with one good signature.
// So it gets each message once per signature, without the others.
func (w *world) opendkim(dir string, messages [][]byte) ([]verdict, error) {
	command := []string{"-c", `for f; do out=$(opendkim-testmsg -t "$0" <"$f" 2>&1); echo "$? $out" | tr '\n' ' '; echo; done`, dir}
	var verdicts []verdict
	for i, message := range messages {
		fields := signatureFields(message)
		for n, field := range fields {
			alone := message
			for other := len(fields) - 1; other >= 0; other-- {
				if other != n {
					alone = slices.Concat(alone[:fields[other].start], alone[fields[other].end:])
				}
			}
			path := filepath.Join(dir, fmt.Sprintf("opendkim-%d-%d", i, n))
			if err := os.WriteFile(path, alone, 0o600); err != nil {
				return nil, err
			}
			command = append(command, path)
			verdicts = append(verdicts, verdict{verifier: "opendkim-testmsg", message: i, signature: field.signature})
		}
	}
	out, err := w.command("sh", command...).Output()
	if err != nil {
		return nil, fmt.Errorf("opendkim-testmsg: %w\n%s", err, stderrOf(err))
	}
	results := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i := range verdicts {
		verdicts[i].result = strings.TrimSpace(results[i])
		if verdicts[i].result == "0" {
			verdicts[i].result = "pass"
		}
	}
	return verdicts, nil
}

// lookupTXT asks the world's DNS as a program in the world would.
func (w *world) lookupTXT(name string) ([]string, error) {
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.nameserver()+":53")
		},
	}
	return resolver.LookupTXT(context.Background(), dns.Fqdn(name))
}
