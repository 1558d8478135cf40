package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// program publishes by a program of the user, which is run once for each change and
// told by its environment what to do. README.md has the contract.
type program struct {
	path     string
	zones    zones
	resolver *dns.Resolver
	timeout  time.Duration // of one run
}

func openProgram(rest string, resolver *dns.Resolver) (Publisher, error) {
	name, zone, _ := strings.Cut(rest, ",zone=")
	if name == "" {
		return nil, finding.WithHint(errors.New("the program is missing"),
			"name it, as in exec:/usr/local/bin/publish")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	zones, err := zonesOf(zone, resolver)
	if err != nil {
		return nil, err
	}
	return &program{path: path, zones: zones, resolver: resolver, timeout: time.Minute}, nil
}

// Publish is that of a Publisher. It fails where anything else is at the name.
func (p *program) Publish(ctx context.Context, name, value string, ttl time.Duration) error {
	return p.change(ctx, name, func(texts []string) (action string, newValue string, err error) {
		found, err := mayPublish(value, texts)
		if err != nil || found {
			return "", "", err
		}
		return "set", value, nil
	}, ttl)
}

// Withdraw is that of a Publisher.
func (p *program) Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error {
	return p.change(ctx, name, func(texts []string) (action string, newValue string, err error) {
		found, err := mayWithdraw(value, instead, texts)
		switch {
		case err != nil || !found && instead == "" || found && texts[0] == instead:
			return "", "", err
		case instead == "":
			return "delete", "", nil
		}
		return "set", instead, nil
	}, ttl)
}

// Replace is that of a Publisher.
func (p *program) Replace(ctx context.Context, name, old, value string, ttl time.Duration) error {
	return p.change(ctx, name, func(texts []string) (action, newValue string, err error) {
		done, err := replaced(old, value, texts)
		if err != nil || done {
			return "", "", err
		}
		return "set", value, nil
	}, ttl)
}

// change runs the program, if decide has something to do in view of the TXT records
// that are there.
func (p *program) change(ctx context.Context, name string, decide func(texts []string) (action,
	value string, err error), ttl time.Duration) error {
	zone, err := p.zones.find(ctx, name)
	if err != nil {
		return err
	}
	texts, err := p.texts(ctx, name)
	if err != nil {
		return err
	}
	action, value, err := decide(texts)
	if err == nil && action != "" {
		err = p.run(ctx, []string{
			"PUBLISH_ACTION=" + action,
			"PUBLISH_ZONE=" + zone,
			"PUBLISH_NAME=" + name,
			"PUBLISH_TTL=" + strconv.Itoa(int(ttl/time.Second)),
			"PUBLISH_VALUE=" + value,
			"PUBLISH_STRINGS=" + quotedStrings(value),
			"PUBLISH_OLD=" + strings.Join(texts, "\n"),
		})
	}
	if err != nil {
		return fmt.Errorf("changing %s in the zone %s with %s: %w", name, zone, p.path, err)
	}
	return nil
}

// run runs the program. When it fails, the error has what it printed.
func (p *program) run(ctx context.Context, variables []string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	command := exec.CommandContext(ctx, p.path)
	command.Env = append(os.Environ(), variables...)
	command.WaitDelay = time.Second
	// What a script has started must end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	out, err := command.CombinedOutput()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v", p.timeout)
	}
	if err == nil {
		return nil
	}
	const most = 500
	said := strings.Join(strings.Fields(string(out)), " ")
	if said = strings.ToValidUTF8(said[max(0, len(said)-most):], ""); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// texts returns the TXT records at a name: what the name servers of the zone say, or
// where they cannot be asked from here, the resolver. It must be known, as what is
// there is lost when another record is set.
func (p *program) texts(ctx context.Context, name string) ([]string, error) {
	resolver := p.resolver
	answer, err := resolver.Lookup(ctx, name, miekg.TypeTXT)
	if direct, failed := resolver.Direct(ctx, name, ""); failed == nil {
		if said, failed := direct.Lookup(ctx, name, miekg.TypeTXT); failed == nil {
			resolver, answer, err = direct, said, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if resolver.FromWildcard(ctx, answer) {
		return nil, nil // nothing is at the name itself
	}
	if len(answer.CNAMEs) > 0 {
		return nil, fmt.Errorf("%s is an alias of %s, where no TXT record can be", name, answer.Owner())
	}
	var texts []string
	for _, txt := range answer.TXT() {
		texts = append(texts, txt.Text())
	}
	return texts, nil
}

// quotedStrings returns a text as a zone file has it: in strings, with quotes.
func quotedStrings(text string) string {
	if text == "" {
		return ""
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var quoted []string
	for _, s := range record.NewTXT(text) {
		quoted = append(quoted, `"`+escape.Replace(s)+`"`)
	}
	return strings.Join(quoted, " ")
}
